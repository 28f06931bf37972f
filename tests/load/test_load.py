"""Load runs: when clips arrive, what is counted as latency, percentiles, and one real path from the command to the page."""

from __future__ import annotations

import csv
import json
from collections import Counter
from itertools import pairwise
from math import exp
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelbench.bench.progress import Silent
from reelbench.cli import main
from reelbench.config import compose
from reelbench.errors import ConfigError
from reelbench.load.arrivals import OneAfterAnother, Timetable, draw, poisson
from reelbench.load.config import Loading, _load_config, compose_load, read_types
from reelbench.load.figures import add_figures, in_system, judge_bound, percentile
from reelbench.load.folder import LoadFolder, newest_offline, read_load
from reelbench.load.records import LoadRecord, Query
from reelbench.load.run import run_load
from reelbench.report.load_page import write_load_page
from reelbench.report.load_terminal import bound_line, few_words, reasons
from reelbench.system.first_come import FirstCome
from reelbench.system.folder import SystemFolder
from reelbench.system.plans import LongestFirst, Resources
from reelbench.system.tasks import Machine, Task, Timing, Timings
from support.clips import make_clip
from system_run.scenario import composed

EYE = {"judge": None, "ear": None}


@given(seed=st.integers(0, 2**32), per_min=st.floats(0.1, 600))
def test_arrivals_are_a_poisson_process(seed: int, per_min: float) -> None:
    """Over 2000 arrivals: rising, the mean gap as asked for, gaps exponential (a share of 1/e lies beyond the mean) and independent."""
    times = poisson(2000, per_min, seed)
    assert times == poisson(2000, per_min, seed)
    gaps = [b - a for a, b in zip([0.0, *times], times, strict=False)]
    mean = 60 / per_min
    assert min(gaps) > 0 and abs(sum(gaps) / 2000 / mean - 1) < 0.15
    assert abs(sum(gap > mean for gap in gaps) / 2000 - exp(-1)) < 0.07
    neighbours = sum((a - mean) * (b - mean) for a, b in pairwise(gaps)) / 1999 / mean**2
    assert abs(neighbours) < 0.2


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300), st.floats(0.01, 100))
def test_a_percentile_is_the_smallest_that_so_many_do_not_exceed(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    within = sum(value <= found.seconds for value in values)
    assert found.seconds in values and within >= percent / 100 * len(values) - 1e-6
    below = sum(value < found.seconds for value in values)
    assert below < percent / 100 * len(values) + 1e-6
    if found.maximum:
        assert found.seconds == max(values)


def test_the_99th_of_few_is_said_to_be_the_maximum() -> None:
    assert percentile(range(1, 101), 99).seconds == 99 and not percentile(range(1, 101), 99).maximum
    assert percentile(range(1, 100), 99).seconds == 99 and percentile(range(1, 100), 99).maximum
    assert percentile(range(1, 101), 7).seconds == 7


def test_every_round_has_every_clip_and_warm_up_is_apart() -> None:
    queries = draw(["a", "b", "c"], 7, 2, seed=1)
    assert [query.warmup for query in queries] == [True] * 2 + [False] * 7
    counted = [query.clip for query in queries if not query.warmup]
    assert sorted(counted[:3]) == sorted(counted[3:6]) == ["a", "b", "c"]
    assert len({query.name for query in queries}) == 9


def test_clips_wait_for_the_warm_up_or_for_each_other() -> None:
    table = Timetable({"a": 0.5, "b": 2.0}, ["warm"])
    assert table.at("warm") == 0 and table.at("a") == float("inf")
    table.ended("warm", 3.0)
    table.ended("a", 9.0)
    assert (table.at("a"), table.at("b"), table.begin_s) == (3.5, 5.0, 3.0)
    stream = OneAfterAnother(["warm", "a", "b"], 1)
    assert stream.at("a") == stream.begin_s == float("inf")
    stream.ended("warm", 1.0)
    stream.ended("a", 4.0)
    assert (stream.at("a"), stream.at("b"), stream.begin_s) == (1.0, 4.0, 1.0)


def query(name: str, arrived: float, ended: float, status: str = "done", kind: str = "talking") -> Query:
    fields = {"name": name, "clip": name, "kind": kind, "video_s": 10.0, "status": status, "reason": "told to fail"}
    return Query.model_validate({**fields, "arrived_s": arrived, "began_s": arrived, "ended_s": ended, "work_s": 2.0})


def record(*queries: Query) -> LoadRecord:
    made = LoadRecord(
        id="one", created="2026-01-01T00:00:00+00:00", command="reelbench load", scenario="single_stream", corpus="types",
        system="default", plan="auto", cores=(0, 1), fingerprint="f", system_key="k", status="finished",
        settings={"memory_every_s": 2.0}, queries=list(queries),
    )  # fmt: skip
    add_figures(made)
    return made


def test_figures_by_hand() -> None:
    made = record(query("a", 0, 4), query("b", 1, 9, kind="music"), query("c", 10, 20, "failed"))
    assert [one.seconds for one in made.figures.percentiles] == [4, 8, 8]
    assert made.figures.failed == 1 and made.figures.queries == 2 and made.span_s == 20
    assert made.per_min == pytest.approx(6) and made.video_per_s == pytest.approx(1) and made.in_system_most == 2
    assert made.utilisation == pytest.approx(6 / 40) and made.by_kind["music"].mean_s == 8
    assert in_system(made.queries) == [(0, 1), (1, 2), (4, 1), (9, 0), (10, 1), (20, 0)]
    assert few_words(made.figures) == "p90 and p99 of 2 samples are the maximum"
    assert "c: told to fail" in reasons(made)


@pytest.mark.parametrize(("limit", "kept", "code"), [(8.0, True, 0), (7.9, False, 1)])
def test_a_bound_that_is_broken_is_exit_1(limit: float, kept: bool, code: int) -> None:
    made = record(query("a", 0, 4), query("b", 1, 9))
    made.bound = judge_bound(made.counted, 99, limit)
    assert made.bound.kept is kept and made.exit_code == code
    assert f"bound {'kept' if kept else 'broken'}: p99 8.00 s of 2 samples (the maximum)" in bound_line(made.bound)


def test_a_clip_that_failed_breaks_the_bound() -> None:
    bound = judge_bound([query("a", 0, 1), query("b", 0, 1, "failed")], 99, 5)
    assert bound.kept is False and "some clip failed" in bound_line(bound)


@pytest.mark.parametrize(
    ("settings", "words"),
    [(["scenario=flood"], "no scenario"), (["load.rate=-1"], "above 0"), (["load.queries=0"], "load.queries")],
)
def test_what_makes_no_sense_is_refused(settings: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        compose_load([*settings, "system.analyzers=[audio_analysis]"])


def test_the_corpus_of_kinds_has_a_clip_of_each_kind() -> None:
    types = read_types(None)
    clips = compose(["corpus=types"]).corpus["scripts"]
    assert sorted(types.of(clip) for clip in clips) == sorted(kind.name for kind in types.types)
    assert "other" not in {types.of(clip) for clip in compose(["corpus=system"]).corpus["scripts"]}
    assert types.of("holidays/silent.mp4") == "no speech" and types.of("mine") == "other"


def loading(clips: Path, runs: Path, scenario: str, *settings: str, **system: object) -> Loading:
    return Loading(_load_config(scenario, settings), composed(clips, runs, **system), read_types(None))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "plan"),
    [
        (["scenario=server"], "first_come"),
        (["plan=auto", "scenario=server"], "auto"),
        (["scenario=offline"], "auto"),
        (["scenario=single_stream"], "auto"),
    ],
)
def test_the_plan_of_a_scenario_unless_another_is_asked_for(settings: list[str], plan: str) -> None:
    found = compose_load([*settings, "system.analyzers=[audio_analysis]"])
    assert found.system.plan.name == found.load.plan == plan
    assert (found.system.plan.order["_target_"] == "reelbench.system.first_come.FirstCome") == (plan == "first_come")


@pytest.fixture
def one_clip(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    make_clip(folder / "silent.mp4", frames=8)
    return folder


def test_a_clip_that_comes_while_another_is_worked_on_waits_and_that_counts(one_clip: Path, tmp_path: Path) -> None:
    """Five clips a second, each 0.3 s of work, one at a time: what a clip waits grows, and is part of its latency."""
    slow = {**EYE, "eye": {"sleep_s": 0.3}}
    settings = ("load.queries=5", "load.rate=600", "load.warmup=1", "load.memory_every_s=0.1")
    folder = run_load(
        loading(one_clip, tmp_path, "server", *settings, actors=slow, plan="sequential"), "test", Silent()
    )
    found = folder.record
    assert found.exit_code == 0 and [query.status for query in found.queries] == ["done"] * 6
    arrived = [query.arrived_s for query in found.counted]
    assert arrived == pytest.approx(poisson(5, 600, 0))
    for at, query_ in enumerate(found.counted):
        assert query_.latency_s is not None and query_.began_s is not None and query_.arrived_s is not None
        assert query_.began_s >= query_.arrived_s, "it began before it had arrived"
        assert query_.latency_s >= 0.3 * (at + 1) - query_.arrived_s, "waiting is not in the latency"
    assert found.in_system_most >= 2 and found.rate_source == "as it was asked for"
    assert len(found.memory) > 3 and found.pss_peak_bytes is not None and found.pss_peak_bytes > 10e6


def test_one_after_the_other_and_each_repeat_is_computed(one_clip: Path, tmp_path: Path) -> None:
    settings = ("load.queries=4", "load.warmup=1")
    folder = run_load(loading(one_clip, tmp_path, "single_stream", *settings, actors=EYE), "test", Silent())
    counted = folder.record.counted
    for before, after in pairwise(counted):
        assert after.arrived_s is not None and before.ended_s is not None and after.arrived_s >= before.ended_s
    assert folder.record.in_system_most == 1
    assert folder.record.notes == ["no copy of a clip was looked at: system.check_copy=false"], "and no other remark"
    run = SystemFolder.open(folder.path / folder.record.system_run)
    spans = Counter(span.name for span in run.spans if span.kind == "task")
    assert spans == {"decode": 5, "eye": 5} and len(list(run.path.glob("results/*/eye.json"))) == 5


def test_a_failed_clip_is_counted_apart(one_clip: Path, tmp_path: Path) -> None:
    faults = {**EYE, "eye": {"faults": {"silent.mp4": "raise"}, "once": str(tmp_path / "raised")}}
    folder = run_load(
        loading(one_clip, tmp_path, "offline", "load.queries=3", "load.warmup=0", actors=faults), "test", Silent()
    )
    found = folder.record
    assert found.exit_code == 5 and found.figures.failed == 1 and found.figures.queries == 2
    assert "told to fail" in "".join(reasons(found))


class Interrupting(Silent):
    """Presses Ctrl-C when the second clip of three is over."""

    def message(self, text: str) -> None:
        if text.startswith("silent.mp4#3: "):
            raise KeyboardInterrupt


def test_ctrl_c_keeps_what_was_done(one_clip: Path, tmp_path: Path) -> None:
    settings = loading(one_clip, tmp_path, "single_stream", "load.queries=3", actors=EYE)
    with pytest.raises(KeyboardInterrupt):
        run_load(settings, "test", Interrupting())
    (path,) = (tmp_path / "load").iterdir()
    found = read_load(path)
    assert found.status == "interrupted" and found.exit_code == 130
    assert [query.status for query in found.counted] == ["done", "done", "pending"]
    assert "Not complete" in write_load_page(path).read_text()


def test_a_page_of_hostile_names(tmp_path: Path) -> None:
    made = record(query("<script>alert(1)</script>", 0, 4), query("b", 1, 9, "failed"))
    folder = LoadFolder.create(tmp_path, made)
    page = write_load_page(folder.path).read_text()
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page
    rows = list(csv.DictReader((folder.path / "queries.csv").open()))
    assert rows[0]["name"] == "<script>alert(1)</script>" and rows[1]["status"] == "failed"


def test_from_the_command_to_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Real footage, a real analyzer; 'auto' measures offline first."""
    words = [
        "load",
        "scenario=server",
        "corpus=shipped",
        "corpus.footage=[footage/carphone_pristine.mp4]",
        "load.queries=2",
    ]
    words += ["system.analyzers=[color_analysis]", f"runs_dir={tmp_path}", "load.warmup=0", "load.share=3", "--json"]
    words += ["tracking.uri=off"]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    found = json.loads(capsys.readouterr().out)
    offline = newest_offline(tmp_path, found["system_key"])
    assert offline is not None and offline.per_min and offline.id in found["rate_source"]
    assert found["by_kind"]["talking"]["queries"] == 2 and found["rate_per_min"] > 0
    assert any("the queue grows" in note for note in found["notes"])
    page = tmp_path / "load" / found["id"] / "report.html"
    assert "Poisson" in page.read_text() and "the maximum of 2" in page.read_text()


def test_first_come_is_done_first() -> None:
    """The last small task of the first clip goes before the long decoding of the next, where the longest way would put it off."""
    timings = Timings(
        tasks={name: Timing(per_video_s=cost) for name, cost in (("decode", 1.0), ("eye", 2.0), ("end", 0.01))}
    )
    tasks = [
        task
        for rank, clip in enumerate("ab")
        for task in (
            Task(clip, "decode", 10, rank),
            Task(clip, "eye", 10, rank, ("decode",)),
            Task(clip, "end", 10, rank, ("eye",)),
            Task(clip, "other", 10, rank, ("decode",)),
        )
    ]
    by_key = {task.key: task for task in tasks}
    first, longest = FirstCome(), LongestFirst()
    for plan in (first, longest):
        plan.begin(tasks, timings, Machine((0, 1), 10**9))
    ready = [by_key["b", "decode"], by_key["a", "end"]]
    assert first.next(ready, [], Resources((0,))) == by_key["a", "end"]
    assert longest.next(ready, [], Resources((0,))) == by_key["b", "decode"]
    assert first.next([by_key["a", "other"], by_key["a", "eye"]], [], Resources((0,))) == by_key["a", "eye"]
