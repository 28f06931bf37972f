"""A finished folder whose figures do not follow from what was measured is refused by name; an honest one of every kind is not.

One small run and one small comparison are really measured; each test forges a copy of them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reelbench.bench.integrity import NO_MANIFEST
from reelbench.bench.manifest import MANIFEST, manifest_digest
from reelbench.bench.record_folder import remarks_on
from reelbench.bench.run_folder import read_record
from reelbench.bench.runner import measure
from reelbench.comparison.ab import compare
from reelbench.comparison.claims.measured import Comparisons, Here
from reelbench.comparison.folder import read_comparison
from reelbench.comparison.offline.compare import compare_runs, save_comparison
from reelbench.config import validate
from reelbench.errors import InputError
from reelbench.report.ab_page import write_ab_page
from reelbench.report.page import write_run_page
from reelbench.tracking.sync import local_folders
from support.clips import make_clip
from support.forging import Forge, edit, reseal_all
from support.run_configs import Told, run_node

CONF = Path(__file__).parents[1] / "conf"
QUALITY = {"_target_": "reelbench.quality.spans.SpanQuality", "part": "effects", "by": "start", "least": 0.01}
RUN, COMPARISON = "run", "comparison"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``runs/run``, ``runs/other`` and ``runs/comparisons/comparison``, of clips whose ground truth the analyzer partly finds."""
    home = tmp_path_factory.mktemp("measured")
    clips = home / "clips"
    clips.mkdir()
    for index, name in enumerate(("a", "b")):
        make_clip(clips / f"{name}.mp4", frames=20)
        right = [{"start_s": i / 12.5, "end_s": i / 12.5, "label": "brightness"} for i in range(4 + 3 * index)]
        (clips / f"{name}.truth.json").write_text(json.dumps({"effects": right}))
    node = run_node({"_target_": "support.analyzers.Brightness", "name": "brightness"}, clips, home / "runs", passes=4)
    config = validate({**node, "quality": QUALITY, "resume": False}, "plain")
    for name in (RUN, "other"):
        measure(config, [], "test", Told()).path.rename(home / "runs" / name)
    overrides = [
        f"hydra.searchpath=['file://{CONF}']", "analyzer=brightness", "corpus=folder", f"corpus.path={clips}", "measure=quick",
        "measure.pairs.looks=[6]", f"runs_dir={home / 'runs'}", "tracking.uri=off", f"quality._target_={QUALITY['_target_']}",
        *(f"+quality.{key}={value}" for key, value in QUALITY.items() if key != "_target_"),
    ]  # fmt: skip
    folder, _ = compare(overrides, "plain", "plain analyzer.pause_s=0.05", "test", Told())
    folder.path.rename(home / "runs" / "comparisons" / COMPARISON)
    return home


@pytest.fixture
def runs(measured: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(measured / "runs", tmp_path / "runs"))


def halve(file: str) -> Forge:
    def apply(folder: Path) -> None:
        rows = pq.read_table(folder / file).to_pylist()
        for row in rows:
            row["total_s"] /= 2
        pq.write_table(pa.Table.from_pylist(rows), folder / file)

    return apply


def drop_half(folder: Path) -> None:
    """Every second pass, the slow ones perhaps."""
    table = pq.read_table(folder / "samples.parquet")
    rows = [row for row in table.to_pylist() if row["repetition"] % 2 == 0]
    pq.write_table(pa.Table.from_pylist(rows, table.schema), folder / "samples.parquet")


def slow_answers(folder: Path) -> None:
    """The answers came a second after the passes were over, as the parent saw."""
    table = pq.read_table(folder / "samples.parquet")
    rows = [{**row, "request_s": row["request_s"] + 1} for row in table.to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows, table.schema), folder / "samples.parquet")


FORGED_RUNS: dict[str, tuple[Forge, str]] = {
    "samples halved": (halve("samples.parquet"), r"x_realtime is recorded as \S+, but what was measured gives "),
    "passes dropped": (drop_half, r"passes over a.mp4 is recorded as 4, but what was measured gives 2"),
    "summary ×10": (edit("run.json", lambda r: r["summary"].update(x_realtime=10 * r["summary"]["x_realtime"])), r"x_realtime is rec"),
    "cold start": (edit("run.json", lambda r: r["summary"].update(cold_start_s=0.001)), r"cold_start_s is recorded as 0.001, but"),
    "quality": (edit("run.json", lambda r: r["quality"]["overall"].update(event_f1=0.99)), r"quality.event_f1 is recorded as 0.99,"),
    "quality of a clip": (
        edit("run.json", lambda r: r["quality"]["per_clip"]["a.mp4"].update(event_f1=1.0)),
        r"quality of a.mp4.event_f1 is recorded as 1, but what was measured gives 0",
    ),
    "what the parent saw": (
        edit("run.json", lambda r: r["observed"][0].update(status="failed", text="a pass took longer")),
        r"check 'clock'.\w+ is recorded as '",
    ),
    "passes that the clock did not count": (
        slow_answers, r"check 'clock'.status is recorded as 'passed', but what was measured gives 'failed'",
    ),
    "events": (edit("results/a.mp4.json", lambda r: r.update(events=r["events"][:4])), r"quality.\w+ is recorded as \S+, but"),
}  # fmt: skip

FORGED_COMPARISONS: dict[str, tuple[Forge, str]] = {
    "a pair": (
        edit("comparison.json", lambda r: r["pairs"][2].update(b_s=r["pairs"][2]["b_s"] / 3)),
        r"pair 2 on \w.mp4, arm b: seconds is recorded as \S+, but what was measured gives ",
    ),
    "samples of an arm": (halve("b/samples.parquet"), r"x_realtime is recorded as \S+, but what was measured gives "),
    "effect": (edit("comparison.json", lambda r: r["speed"]["effect"].update(ratio=0.2)), r"speed.effect.ratio is recorded as 0.2,"),
    "verdict": (edit("comparison.json", lambda r: r.update(verdict="faster")), r"verdict is recorded as 'faster', .* 'slower'"),
    "verdict throughout": (
        edit("comparison.json", lambda r: [r.update(verdict="faster"), r["speed"].update(verdict="faster")]),
        r"speed.verdict is recorded as 'faster', but what was measured gives 'slower'",
    ),
    "sentence": (edit("comparison.json", lambda r: r.update(sentence="B is 9× faster.")), r"sentence is recorded as 'B is 9×"),
    "quality": (
        edit("comparison.json", lambda r: r["quality"].update(verdict="worse")), r"quality.verdict is recorded as 'worse', but",
    ),
    "quality of an arm": (
        edit("a/run.json", lambda r: r["quality"]["per_clip"]["b.mp4"].update(event_f1=0.1)),
        r"quality of b.mp4.event_f1 is recorded as 0.1, but what was measured gives ",
    ),
    "a disturbance": (
        edit("comparison.json", lambda r: [pair.update(a_idle_cpu_s=pair["b_s"]) for pair in r["pairs"]]),
        r"audit 'idle arm' of arm a is recorded as 'passed', but what was measured gives 'failed'",
    ),
    "a check of an arm": (
        edit("comparison.json", lambda r: [a.update(status="not applicable") for a in r["audits"] if a["name"] == "clock"]),
        r"audit 'clock' of arm a is recorded as 'not applicable', but what was measured gives 'passed'",
    ),
    "exit code": (edit("comparison.json", lambda r: r.update(exit_code=0)), r"exit_code is recorded as 0, but"),
    "an audit that failed": (
        edit("comparison.json", lambda r: r["audits"][0].update(status="failed")), r"verdict is recorded as 'slower', .* failed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("sealed", [True, False], ids=["manifest written again", "manifest kept"])
@pytest.mark.parametrize("name", FORGED_RUNS)
def test_a_forged_run_is_refused_with_the_figure_and_both_values(runs: Path, name: str, sealed: bool) -> None:
    forge, sentence = FORGED_RUNS[name]
    forge(runs / RUN)
    if sealed:
        reseal_all(runs / RUN)
    readers: list[Callable[[], object]] = [
        lambda: read_record(runs / RUN),
        lambda: write_run_page(runs / RUN),
        lambda: compare_runs(runs / "other", runs / RUN),
    ]
    for reader in readers:
        with pytest.raises(InputError, match=sentence):
            reader()
    assert str(runs / RUN) in local_folders(runs)[1]


@pytest.mark.parametrize("sealed", [True, False], ids=["manifest written again", "manifest kept"])
@pytest.mark.parametrize("name", FORGED_COMPARISONS)
def test_a_forged_comparison_is_refused_with_the_figure_and_both_values(runs: Path, name: str, sealed: bool) -> None:
    forge, sentence = FORGED_COMPARISONS[name]
    folder = runs / "comparisons" / COMPARISON
    forge(folder)
    if sealed:
        reseal_all(folder)
    readers: list[Callable[[], object]] = [
        lambda: read_comparison(folder),
        lambda: write_ab_page(folder),
        lambda: compare_runs(folder / "a", folder / "b"),
    ]
    for reader in readers:
        with pytest.raises(InputError, match=sentence):
            reader()
    claims = Comparisons(("folder",), Here("", "", "")).read(runs)
    assert not claims.found and len(claims.damaged) == 1


def test_honest_folders_are_read_by_all_and_say_nothing(runs: Path) -> None:
    folder = runs / "comparisons" / COMPARISON
    record = read_comparison(folder)
    assert record.verdict == "slower" and record.quality is not None and record.quality.verdict == "not worse"
    assert 0 < read_record(runs / RUN).quality.overall["event_f1"] < 1
    assert remarks_on(folder, record) == remarks_on(runs / RUN, read_record(runs / RUN)) == ()
    for made in (compare_runs(runs / "other", runs / RUN), compare_runs(folder / "a", folder / "b")):
        assert remarks_on(save_comparison(made, runs), made) == ()
    write_run_page(runs / RUN)
    write_ab_page(folder)  # pages are no part of what was measured
    assert not local_folders(runs)[1]


def test_a_folder_without_a_manifest_opens_and_is_marked(runs: Path) -> None:
    (runs / RUN / MANIFEST).unlink()
    assert remarks_on(runs / RUN, read_record(runs / RUN)) == (NO_MANIFEST,)
    halve("samples.parquet")(runs / RUN)
    with pytest.raises(InputError, match="x_realtime"):
        read_record(runs / RUN)


def test_what_is_missing_or_was_added_is_named(runs: Path) -> None:
    (runs / RUN / "results" / "c.mp4.json").write_text("{}")
    with pytest.raises(InputError, match=r"results/c\.mp4\.json was added"):
        read_record(runs / RUN)
    (runs / RUN / "results" / "c.mp4.json").unlink()
    read_record(runs / RUN)
    (runs / RUN / "environment.json").unlink()
    with pytest.raises(InputError, match=r"environment\.json is missing"):
        read_record(runs / RUN)


def test_where_mlflow_has_it_may_be_noted_afterwards(runs: Path) -> None:
    before = manifest_digest(runs / RUN)
    edit("run.json", lambda r: r.update(mlflow_run_id="0123456789abcdef" * 2))(runs / RUN)
    assert read_record(runs / RUN).mlflow_run_id and manifest_digest(runs / RUN) == before


def test_other_ground_truth_is_not_held_against_a_run(runs: Path, measured: Path) -> None:
    """Its hash is not the recorded one: the scores then rest on the manifest alone."""
    truth = measured / "clips" / "a.truth.json"
    kept = truth.read_bytes()
    try:
        truth.write_text(json.dumps({"effects": []}))
        assert remarks_on(runs / RUN, read_record(runs / RUN)) == ()
    finally:
        truth.write_bytes(kept)


def test_runs_with_other_ground_truth_are_not_compared(runs: Path) -> None:
    edit("run.json", lambda r: r["clips"][0].update(truth_sha256="ab" * 32))(runs / RUN)
    reseal_all(runs / RUN)
    made = compare_runs(runs / "other", runs / RUN)
    assert made.verdict == "invalid" and "different ground truth: a.mp4 (sha256 " in made.invalid


def _numbers(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _numbers(inner, (*path, key))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_single_number_that_changes_is_noticed(runs: Path, data: st.DataObject) -> None:
    """Of the record, of a result, of a sample and of a frame."""
    folder = runs / RUN
    file = folder / data.draw(st.sampled_from(["run.json", "results/b.mp4.json", "samples.parquet", "frames.parquet"]))
    kept = file.read_bytes()
    other = data.draw(st.floats(0.001, 1000).filter(lambda number: number != 1))
    try:
        if file.suffix == ".json":
            content = json.loads(kept)
            *way, last = data.draw(st.sampled_from(list(_numbers(content))))
            holder = content
            for key in way:
                holder = holder[key]
            holder[last] = holder[last] * other if holder[last] else other
            if isinstance(holder[last], float) and float(holder[last]).is_integer():
                holder[last] = int(holder[last])
            file.write_text(json.dumps(content, indent=1))
        else:
            table = pq.read_table(file)
            row = data.draw(st.integers(0, table.num_rows - 1))
            column = data.draw(
                st.sampled_from([n for n in table.column_names if pa.types.is_floating(table.schema.field(n).type)])
            )
            rows = table.to_pylist()
            rows[row][column] = (rows[row][column] or 1.0) * other
            pq.write_table(pa.Table.from_pylist(rows, table.schema), file)
        with pytest.raises(InputError):
            read_record(folder)
    finally:
        file.write_bytes(kept)
    read_record(folder)
