"""Timings from runs, predictions held against real runs, what-if, and the command."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from reelbench.bench.progress import Silent
from reelbench.bench.records import ClipRecord
from reelbench.cli import cli
from reelbench.errors import ConfigError, InputError, ReelBenchError
from reelbench.report.plan_terminal import print_comparison, print_what_if
from reelbench.report.system_terminal import predicted
from reelbench.report.wording import number
from reelbench.system.costs import busy_s
from reelbench.system.folder import SystemFolder
from reelbench.system.planning.compare import compare
from reelbench.system.planning.fit import line, timings_of
from reelbench.system.planning.measure import compose_measuring, find_run, write_timings
from reelbench.system.planning.predict import predict, setting_of
from reelbench.system.planning.whatif import split_factors, what_if
from reelbench.system.records import AnalyzerRecord, Span, SystemRecord
from reelbench.system.runner import run_system
from reelbench.system.setup import Prepared, prepare
from reelbench.system.tasks import BUILT_IN, Timings, read_timings

from .scenario import composed
from .test_planning_simulate import assert_valid

SLOW = {"eye": {"sleep_s": 0.6}, "ear": {"sleep_s": 0.3}}
"""Seconds a clip. 'eye' has the longest row of tasks; when it is four times as fast, 'ear' has."""
FASTER = {**SLOW, "eye": {"sleep_s": 0.15}}


@dataclass(frozen=True)
class Measured:
    """A run of the slow system one task at a time, its timings, and a real run of the faster system under plan auto."""

    timings: Timings
    run: SystemFolder
    slow: Prepared
    faster: SystemFolder
    ready: Prepared


@pytest.fixture(scope="module")
def measured(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    runs = tmp_path_factory.mktemp("runs")
    plain = composed(clips, runs, plan="sequential", actors=SLOW)
    plain = replace(plain, plan=plain.plan.model_copy(update={"decode": "once"}))
    run = run_system(plain, "test", Silent())
    timings, _ = write_timings([run], runs / "system" / "timings.json", "test", waiting=False)
    faster = composed(clips, runs, actors=FASTER)
    slow = prepare(composed(clips, runs, actors=SLOW), Silent())
    return Measured(timings, run, slow, run_system(faster, "test", Silent()), prepare(faster, Silent()))


def test_timings_say_what_each_task_took_and_where(measured: Measured) -> None:
    tasks = measured.timings.tasks
    assert set(tasks) == {"decode", "sound", "judge", "eye", "ear"}
    spans = [span for span in measured.run.spans if span.kind == "task" and span.name == "eye"]
    length = sum(clip.duration_s or 0.0 for clip in measured.run.record.clips)
    assert tasks["eye"].seen == len(spans) == 3
    eye = tasks["eye"]
    assert len(spans) * eye.fixed_s + eye.per_video_s * length == pytest.approx(sum(map(busy_s, spans)), rel=0.05)
    assert tasks["eye"].beside is None  # nothing ran beside it
    assert tasks["eye"].pss_bytes > 1e6 and tasks["eye"].load_s > 0 and tasks["eye"].variant == "plain"
    kept = json.loads((measured.run.path / "environment.json").read_text())
    assert measured.timings.fingerprint == kept["fingerprint"] and "cores" in measured.timings.machine


def test_one_task_at_a_time_is_simulated_in_the_order_in_which_it_ran(measured: Measured) -> None:
    plan = composed(Path(), Path(), plan="sequential").plan.model_copy(update={"decode": "once"})
    ready = replace(measured.slow, composed=replace(measured.slow.composed, plan=plan))
    prediction = predict(ready, measured.timings)
    assert order(prediction.spans) == order(measured.run.spans)
    comparison = compare(ready, measured.timings, measured.run)
    print(f"predicted / run: {comparison.predicted_s / comparison.real_s:.3f}")
    assert comparison.replayed_s <= comparison.real_s
    assert not [note for note in comparison.notes if note.startswith(("plan", "decode", "cores", "not done", "done"))]


def order(spans: Sequence[Span]) -> list[tuple[str, str]]:
    return [(s.clip, s.name) for s in sorted(spans, key=lambda s: s.start_s) if s.kind == "task"]


def test_a_what_if_prediction_holds_against_a_real_run(measured: Measured) -> None:
    found = what_if(measured.slow, measured.timings, {"eye": 4.0})
    comparison = compare(measured.ready, measured.timings, measured.faster)
    print(f"what-if: predicted / run: {found.after_s / comparison.real_s:.3f}")
    assert (found.before_limit, found.after_limit) == ("eye", "ear")
    assert found.after_s < found.before_s and found.table[0].name == "eye"
    work = [span for span in measured.faster.spans if span.kind == "task"]
    seconds = {name: sum(busy_s(one) for one in work if one.name == name) for name in {one.name for one in work}}
    assert max(seconds, key=lambda name: seconds[name]) == "ear"
    setting = setting_of(measured.ready, measured.timings)
    assert_valid(measured.faster.spans, setting)
    assert_valid(predict(measured.ready, measured.timings).spans, setting)


def test_a_run_tells_what_was_predicted_of_it_where_timings_were_there(measured: Measured) -> None:
    assert measured.run.record.prediction == {} and predicted(measured.run.record) == ""
    expected = predict(measured.ready, measured.timings).makespan_s
    assert measured.faster.record.prediction["makespan_s"] == pytest.approx(expected)
    assert predicted(measured.faster.record).startswith(f"{number(expected)} s were predicted")


def test_where_each_decodes_for_itself_the_decoding_is_added_to_those_that_look_or_listen(measured: Measured) -> None:
    plan = measured.slow.composed.plan.model_copy(update={"decode": "each"})
    ready = replace(measured.slow, composed=replace(measured.slow.composed, plan=plan))
    once, each = (setting_of(one, measured.timings) for one in (measured.slow, ready))
    seconds = [{t.name: setting.takes(t) for t in setting.tasks if t.rank == 0} for setting in (once, each)]
    more = {name: each_s - seconds[0][name] for name, each_s in seconds[1].items()}
    frames, sound = seconds[0]["decode"], seconds[0]["sound"]
    assert more == pytest.approx({"judge": 0.0, "eye": frames, "ear": frames + sound})


def test_timings_of_another_machine_and_what_was_never_measured_are_said(measured: Measured) -> None:
    tasks = {name: timing for name, timing in measured.timings.tasks.items() if name != "ear"}
    tasks["eye"] = tasks["eye"].model_copy(update={"variant": "other"})
    elsewhere = measured.timings.model_copy(update={"fingerprint": "0", "machine": "a big one", "tasks": tasks})
    prediction = predict(measured.slow, elsewhere)
    notes = "\n".join(prediction.notes)
    assert not prediction.same_machine and "another machine (a big one)" in notes
    assert "never measured" in notes and "ear" in notes and "eye: the timings are of its variant 'other'" in notes
    with pytest.raises(ConfigError, match="ear was never measured"):
        what_if(measured.slow, elsewhere, {"ear": 2.0})
    with pytest.raises(ConfigError, match="color does not take part"):
        what_if(measured.slow, measured.timings, {"color": 2.0})


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one core")
def test_it_is_measured_alone_and_with_all_cores_at_work_where_there_are_several() -> None:
    def plans(*words: str) -> list[tuple[str, str]]:
        found = compose_measuring(["system.analyzers=[color_analysis]", *words])
        return [(one.plan.name, one.plan.decode) for one in found]

    assert plans() == [("sequential", "once"), ("auto", "once")]
    assert plans("plan.cores=1") == [("sequential", "once")]
    assert plans("plan=original") == [("original", "each")]


def test_measuring_again_keeps_the_others_only_where_it_is_told_to(measured: Measured, tmp_path: Path) -> None:
    target = tmp_path / "timings.json"
    other = measured.timings.model_copy(update={"tasks": {"another": measured.timings.tasks["eye"]}})
    target.write_text(other.model_dump_json())
    write_timings([measured.run], target, "test", keep=True)
    assert {"another", "eye"} <= set(read_timings(target).tasks)
    write_timings([measured.run], target, "test")
    assert "another" not in read_timings(target).tasks
    target.write_text(other.model_copy(update={"fingerprint": "0"}).model_dump_json())
    with pytest.raises(InputError, match="another machine"):
        write_timings([measured.run], target, "test", keep=True)


def test_a_line_is_found_and_never_below_zero() -> None:
    assert line([5, 10, 20], [2, 3, 5]) == (pytest.approx(1.0), pytest.approx(0.2))
    fixed, slope = line([5, 10, 20], [0.1, 2, 6])
    assert fixed == 0 and slope > 0
    fixed, slope = line([5, 10, 20], [3, 2, 1])
    assert slope == 0 and fixed == pytest.approx(2)
    assert line([10, 10.1], [2, 2]) == (0.0, pytest.approx(4 / 20.1))


def test_waiting_for_a_core_counts_unless_it_is_left_out_and_work_always_does(tmp_path: Path) -> None:
    folder = run_of(tmp_path / "one", 4.0, 0)
    folder.spans = [span("x", "c", 4.0, cpu=1.0, waited=2.5)]
    for counted, seconds in ((True, 4.0), (False, 1.5)):
        timings, _ = write_timings([folder], tmp_path / "timings.json", "test", waiting=counted)
        assert timings.tasks["x"].seconds(10.0) == pytest.approx(seconds)
    assert busy_s(span("x", "c", 4.0, cpu=1.0, waited=2.5)) == pytest.approx(1.5)
    assert busy_s(span("x", "c", 4.0, cpu=3.0, waited=6.0)) == pytest.approx(3.0)
    assert busy_s(span("x", "c", 4.0, cpu=9.0, waited=0.0)) == pytest.approx(4.0)


def test_what_tasks_cost_each_other_is_told_from_what_they_cost_alone(tmp_path: Path) -> None:
    """x takes 0.2 s a second of video alone and half as long again beside y, which takes no longer."""
    both = [("x", "c", 0.0, 3.0, 0), ("y", "c", 0.0, 3.0, 1), ("x", "d", 3.0, 9.0, 0), ("y", "d", 3.0, 9.0, 1)]
    alone = [("x", "c", 0.0, 2.0, 0), ("y", "c", 2.0, 5.0, 0), ("x", "d", 5.0, 9.0, 0), ("y", "d", 9.0, 15.0, 0)]
    folders = [run_with(tmp_path / name, spans) for name, spans in (("alone", alone), ("both", both))]
    timings, fits = timings_of(folders, "test")
    x, y = timings.tasks["x"], timings.tasks["y"]
    assert (x.per_video_s, x.beside) == (pytest.approx(0.2), pytest.approx(1.5))
    assert (y.per_video_s, y.beside) == (pytest.approx(0.3), 1.0) and fits[0].error == pytest.approx(0)
    # Beside others for half of its time only: it is slowed down for that half.
    half = [("x", "c", 0.0, 2.5, 0), ("y", "c", 1.25, 4.25, 1)]
    more, _ = timings_of([folders[0], run_with(tmp_path / "half", half)], "test")
    assert more.tasks["x"].beside == pytest.approx(1.5)
    assert timings_of([folders[1]], "test")[0].tasks["x"].beside is None


def run_with(path: Path, spans: Sequence[tuple[str, str, float, float, int]]) -> SystemFolder:
    """``spans``: name, clip (c: 10 s, d: 20 s), start, end, core."""
    folder = run_of(path, 1.0, 0)
    folder.record.cores = (0, 1)
    folder.record.clips = [ClipRecord(name=name, duration_s=length) for name, length in (("c", 10.0), ("d", 20.0))]
    folder.spans = [
        Span(session=0, kind="task", name=n, clip=c, status="done", start_s=a, end_s=b, cores=(core,))
        for n, c, a, b, core in spans
    ]
    return folder


def test_an_outlier_among_repeats_does_not_move_the_timing(tmp_path: Path) -> None:
    folders = [run_of(tmp_path / str(n), seconds, n) for n, seconds in enumerate((2.0, 2.0, 50.0))]
    timings, (fit,) = timings_of(folders, "test")
    assert timings.tasks["x"].seconds(10.0) == pytest.approx(2.0) and fit.error == pytest.approx(0)
    assert timings.tasks["x"].seen == 3
    (tmp_path / "2" / "environment.json").write_text(json.dumps({"fingerprint": "g", "machine": {}}))
    with pytest.raises(InputError, match="different machines"):
        timings_of(folders, "test")
    with pytest.raises(InputError, match="no task was done"):
        timings_of([run_of(tmp_path / "4", 1.0, 4, status="failed")], "test")


def span(name: str, clip: str, seconds: float, cpu: float = 0.0, waited: float = 0.0, status: str = "done") -> Span:
    return Span.model_validate(
        {"session": 0, "kind": "task", "clip": clip, "name": name, "status": status, "start_s": 1.0, "end_s": 1.0 + seconds,
         "cpu_s": cpu, "sample": {"run_queue_s": waited}}
    )  # fmt: skip


def run_of(path: Path, seconds: float, number: int, status: str = "done") -> SystemFolder:
    path.mkdir()
    (path / "environment.json").write_text(json.dumps({"fingerprint": "f", "machine": {"cpu": "a"}}))
    record = SystemRecord(
        id=str(number), created="", command="", corpus="", system="", plan="", decode="once", cores=(0,), memory_bytes=1,
        key="", clips=[{"name": "c", "duration_s": 10.0}], analyzers={"x": AnalyzerRecord(name="x", variant="v")},
    )  # fmt: skip
    folder = SystemFolder(path, record)
    folder.spans = [span("x", "c", seconds, status=status)]
    return folder


def test_factors_and_settings_are_told_apart() -> None:
    words = ["a=2x", "decode=1.5", "plan=auto", "corpus.path=2x.mp4", "plan.cores=2"]
    assert split_factors(words, ["a"]) == ({"a": 2.0, "decode": 1.5}, words[2:])
    with pytest.raises(ConfigError, match="there is no analyzer 'b'"):
        split_factors(["b=2x"], ["a"])
    for word in ("a=0x", "a=-2x", "a=fast", "a=", "a=nan"):
        with pytest.raises(ConfigError, match="A number above 0"):
            split_factors([word], ["a"])


def ask(*words: str) -> str:
    done = CliRunner().invoke(cli, ["plan", *words], standalone_mode=False)
    if isinstance(done.exception, ReelBenchError):
        raise done.exception
    assert done.exception is None, done.exception
    return done.stdout


def test_the_command_predicts_and_asks_what_if(clips: Path, measured: Measured, tmp_path: Path) -> None:
    names = ("color_analysis", "audio_analysis", "decode", "sound")
    tasks = dict(zip(names, measured.timings.tasks.values(), strict=False))
    (tmp_path / "system").mkdir()
    kept = measured.timings.model_copy(update={"tasks": tasks}).model_dump_json()
    (tmp_path / "system" / "timings.json").write_text(kept)
    common = [
        "corpus=folder",
        f"corpus.path={clips}",
        f"runs_dir={tmp_path}",
        f"system.analyzers=[{','.join(names[:2])}]",
    ]
    text = ask("predict", "plan=auto", "--schedule", *common)
    assert all(word in text for word in ("plan auto", "critical path", "limited by", "core 0", "b.mp4: decode"))
    found = json.loads(ask("whatif", "color_analysis=2x", "--json", *common))
    assert found["factors"] == {"color_analysis": 2.0} and {row["name"] for row in found["table"]} == set(names)
    assert json.loads(ask("show", "--json", *common))["this_machine"]
    assert "color_analysis" in ask("show", *common)
    with pytest.raises(InputError, match="no system run 'none'"):
        ask("predict", "--run", "none", *common)
    with pytest.raises(ConfigError, match="there is no analyzer 'colour'"):
        ask("whatif", "colour=2x", *common)
    with pytest.raises(InputError, match="there are no timings"):
        ask("predict", *common, f"plan.timings={tmp_path / 'none.json'}")
    ask("measure", "--run", str(measured.run.path), "--out", str(tmp_path / "mine.json"), *common)
    assert "eye" in read_timings(tmp_path / "mine.json").tasks
    assert find_run(measured.faster.path.parent, measured.faster.record.id).record.id == measured.faster.record.id


def test_what_is_printed_says_the_same_as_the_figures(measured: Measured) -> None:
    comparison = compare(measured.ready, measured.timings, measured.faster)
    text = printed(print_comparison, comparison)
    assert (
        f"run {measured.faster.record.id} took {number(comparison.real_s)} s: {100 * comparison.error:+.1f} %" in text
    )
    found = what_if(measured.slow, measured.timings, {"eye": 4.0})
    text = printed(print_what_if, found)
    assert f"with eye 4 times as fast: {number(found.after_s)} s" in text and "limited by ear" in text
    with pytest.raises(InputError, match="did nothing of what this plan would do"):
        compare(measured.ready, measured.timings, empty(measured))


def empty(measured: Measured) -> SystemFolder:
    """A run in which only decoding was done."""
    folder = SystemFolder(measured.faster.path, measured.faster.record)
    folder.spans = [span for span in measured.faster.spans if span.name in BUILT_IN]
    return folder


def printed(print_it: Callable[..., None], what: object) -> str:
    text = StringIO()
    print_it(what, to=Console(file=text, width=120, color_system=None, highlight=False))
    return text.getvalue()
