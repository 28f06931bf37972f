"""A whole comparison, with real clips in real worker processes: what it decides, and what makes it invalid."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from time import thread_time
from typing import Any

import pyarrow.parquet as pq
import pytest

from reelbench.bench import live
from reelbench.bench.process import WorkerProcess
from reelbench.bench.run_folder import RunFolder, read_record
from reelbench.comparison.ab import compare
from reelbench.comparison.folder import ComparisonFolder, read_comparison
from reelbench.errors import EXIT_FAILED, EXIT_INCONCLUSIVE, EXIT_REGRESSION, ConfigError, UnavailableError
from support.clips import make_clip
from support.run_configs import Told

CONF = Path(__file__).parents[1] / "conf"
FASTER = "plain"
SLOW = "plain analyzer.pause_s=0.3"


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        make_clip(folder / name, frames=20)
        (folder / name).with_suffix(".truth.json").write_text(json.dumps({"objects": []}))
    return folder


def ab(clips: Path, a: str, b: str, *more: str, resume: bool = False, looks: str = "[8]") -> ComparisonFolder:
    """The arms on the clips, with one look at eight pairs unless told otherwise."""
    settings = [
        f"hydra.searchpath=['file://{CONF}']", "analyzer=brightness", "corpus=folder", f"corpus.path={clips}", "measure=quick",
        f"measure.pairs.looks={looks}", "measure.pairs.restart_every=20", f"runs_dir={clips.parent / 'runs'}", "tracking.uri=off",
        "quality._target_=support.metrics.RightLabels",
    ]  # fmt: skip
    return compare([*settings, *more], a, b, "test", Told(), resume=resume)[0]


def test_the_slower_arm_is_slower_and_every_sample_is_kept(clips: Path) -> None:
    folder = ab(clips, FASTER, SLOW)
    record = read_comparison(folder.path)
    assert record.status == "finished" and record.verdict == "slower" and record.exit_code == EXIT_REGRESSION
    assert record.speed is not None and record.speed.effect.ratio > 1.5
    assert record.quality is not None and record.quality.verdict == "not worse"
    assert {audit.name for audit in record.audits if audit.status == "passed"} >= {"what executed", "repeated frames"}
    assert len(record.pairs) == 8 and max(Counter(pair.clip for pair in record.pairs).values()) == 3
    assert sorted(Counter(pair.order for pair in record.pairs).values()) in ([4, 4], [3, 5])
    for pair in record.pairs:
        for name, seconds in (("a", pair.a_s), ("b", pair.b_s)):
            rows = pq.read_table(folder.path / name / "samples.parquet").to_pylist()
            mine = [
                row["total_s"]
                for row in rows
                if row["kind"] == "timed" and row["clip"] == pair.clip and row["repetition"] == pair.repetitions[0]
            ]
            assert mine == [seconds]
    assert read_record(folder.path / "a").comparison == record.id


def test_swapping_the_arms_turns_the_verdict_round(clips: Path) -> None:
    assert ab(clips, SLOW, FASTER).record.verdict == "faster"


@pytest.mark.parametrize(
    ("b", "words"),
    [
        ("plain 'analyzer.faults={b.mp4: segfault}'", ["arm b", "b.mp4", "SIGSEGV"]),
        ("plain 'analyzer.faults={b.mp4: raise}'", ["arm b", "b.mp4", "told to fail"]),
        ("plain analyzer.load_fault=raise", ["cannot load", "told to fail"]),
        ("pretender", ["arm b", "asked for int8, ran fp32"]),
        ("exotic on_unavailable=fallback", ["arm b", "asked for exotic, ran plain"]),
        ("wrong_here on_unavailable=fallback", ["arm b", "asked for wrong_here, ran plain", "in FP32"]),
        ("plain analyzer.cheat=caches analyzer.burn_ms=10", ["arm b", "repeated frames", "faster"]),
        ("plain analyzer.cheat=watches", ["arm b", "untimed", "20 events"]),
    ],
)
def test_what_cannot_be_trusted_is_invalid(clips: Path, b: str, words: list[str]) -> None:
    record = read_comparison(ab(clips, FASTER, b).path)
    assert record.verdict == "invalid" and record.exit_code == EXIT_FAILED
    assert all(word in record.sentence for word in words), record.sentence


def test_the_comparing_process_may_work_between_passes_but_not_during_them(
    clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where passes are short, setting up is long beside them: counting it made honest comparisons invalid."""
    ask, disturbed = WorkerProcess.ask, False

    def busy(self: WorkerProcess, request: str, *args: Any, **more: Any) -> Any:
        until = thread_time() + (0.3 if request in ("load", "evidence") else 0.0)
        while thread_time() < until:
            pass
        answer = ask(self, request, *args, **more)
        if disturbed and request == "analyze":
            # Real time is burnt in test_audits.py; what share of a pass it comes to is up to the machine.
            self.waiting_cpu_s += 0.1 * answer["sample"]["total_s"]
        return answer

    monkeypatch.setattr(WorkerProcess, "ask", busy)
    record = ab(clips, "plain", "plain").record
    assert record.verdict != "invalid" and record.parent_cpu_share is not None and record.parent_cpu_share < 0.01
    disturbed = True
    record = ab(clips, "plain", "plain").record
    assert record.verdict == "invalid" and "parent process: while passes were timed" in record.invalid


def test_an_arm_that_fails_half_way_leaves_what_was_measured(clips: Path) -> None:
    folder = ab(clips, "plain", "plain 'analyzer.faults={b.mp4: killed}'")
    assert folder.record.status == "failed"
    kept = pq.read_table(folder.path / "a" / "samples.parquet").num_rows
    assert kept >= len(folder.record.pairs)
    assert read_record(folder.path / "b").status == "failed"


def test_a_metric_that_is_nan_is_invalid_not_zero(clips: Path) -> None:
    record = ab(clips, "plain", "plain analyzer.cheat=hallucinates", "+quality.broken=true").record
    assert record.verdict == "invalid" and "right" in record.invalid and "nan" in record.invalid
    assert read_comparison(ab(clips, "plain", "plain").path).verdict != "invalid"


def test_faster_but_wrong_is_worse(clips: Path) -> None:
    record = ab(clips, SLOW, "plain analyzer.cheat=hallucinates").record
    assert record.verdict == "faster" and record.exit_code == EXIT_REGRESSION
    assert record.quality is not None and record.quality.verdict == "worse"


def test_time_won_by_finding_less_is_worse(clips: Path) -> None:
    record = ab(clips, SLOW, "plain analyzer.cheat=lazy").record
    assert record.quality is not None and record.quality.verdict == "worse"
    assert "finds 20 %" in record.sentence


def test_one_clip_is_underpowered_and_says_so(clips: Path) -> None:
    for name in ("b", "c"):
        (clips / f"{name}.mp4").unlink()
        (clips / f"{name}.truth.json").unlink()
    record = ab(clips, SLOW, "plain").record
    assert record.quality is not None and record.quality.verdict == "underpowered"
    assert "one clip" in record.sentence and record.exit_code == EXIT_INCONCLUSIVE


def test_an_interrupted_comparison_goes_on_where_it_was(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, passes = live.keep, []

    def interrupted(folder: RunFolder, clip: Any, *answer: Any) -> Any:
        sample = kept(folder, clip, *answer)
        passes.append(clip.name)
        if len(passes) == 7:  # in the middle of the fourth pair
            raise KeyboardInterrupt
        return sample

    monkeypatch.setattr(live, "keep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ab(clips, FASTER, SLOW)
    (file,) = (clips.parent / "runs" / "comparisons").glob("*/comparison.json")
    before = read_comparison(file.parent)
    assert before.status == "interrupted" and len(before.pairs) == 3
    monkeypatch.setattr(live, "keep", kept)

    folder = ab(clips, FASTER, SLOW, resume=True)
    assert folder.path == file.parent and folder.record.verdict == "slower"
    assert folder.record.pairs[:3] == before.pairs and len(folder.record.pairs) == 8
    for name in ("a", "b"):
        rows = [
            row for row in pq.read_table(folder.path / name / "samples.parquet").to_pylist() if row["kind"] == "timed"
        ]
        assert len(rows) == 8 == len({(row["clip"], row["repetition"]) for row in rows})
    with pytest.raises(ConfigError, match="no interrupted comparison"):
        ab(clips, FASTER, SLOW, resume=True)


def test_the_first_look_waits_until_every_clip_was_measured(clips: Path) -> None:
    folder = ab(clips, SLOW, FASTER, looks="[2]")
    assert {pair.clip for pair in folder.record.pairs} == {"a.mp4", "b.mp4", "c.mp4"}


@pytest.mark.parametrize(
    ("a", "b", "error", "words"),
    [
        ("nonsense", "plain", ConfigError, "no variant 'nonsense'"),
        ("plain", "plain corpus.path=/elsewhere", ConfigError, "differ in corpus"),
        ("plain", "plain measure.pairs.looks=[9]", ConfigError, "differ in measure"),
        ("", "plain", ConfigError, "names no variant"),
        ("plain", "exotic", UnavailableError, "an accelerator that nobody has"),
    ],
)
def test_arms_that_cannot_be_compared_are_refused_before_anything_is_measured(
    clips: Path, a: str, b: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        ab(clips, a, b)
    assert not (clips.parent / "runs").exists()


def test_an_arm_whose_network_computes_something_else_here_is_refused(clips: Path) -> None:
    with pytest.raises(UnavailableError, match="does not compute here what it does in FP32"):
        ab(clips, "plain", "wrong_here")
    (file,) = (clips.parent / "runs").rglob("comparison.json")
    record = read_comparison(file.parent)
    assert (record.status, record.verdict) == ("failed", "invalid") and "FP32" in record.invalid
