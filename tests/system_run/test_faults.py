"""What goes wrong with an analyzer stays with it, and is said; everything else comes out as if nothing had happened."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from reelbench.bench.progress import Silent
from reelbench.models.catalog import Catalog
from reelbench.models.leases import alone
from reelbench.models.store import ModelStore
from reelbench.system.folder import SystemFolder
from reelbench.system.runner import run_system

from .conftest import slow
from .scenario import ACTORS, composed, outcome

TIMES = {"base_s": 60.0, "per_video_s": 0.0, "load_s": 120.0, "prepare_s": 120.0}


def run(clips: Path, runs: Path, **changes: Any) -> SystemFolder:
    return run_system(composed(clips, runs, **changes), "test", Silent())


def test_everything_is_done_decoded_once_and_cleared_away(undisturbed: SystemFolder) -> None:
    record, spans = undisturbed.record, undisturbed.spans
    assert record.exit_code == 0 and record.status == "finished"
    assert {name: dict(item.counts) for name, item in record.analyzers.items()} == {n: {"done": 3} for n in ACTORS}
    assert sorted(span.clip for span in spans if span.name == "decode" and span.clip) == ["a.mp4", "b.mp4", "c.mp4"]
    judged, heard = (undisturbed.result(("a.mp4", name)) for name in ("judge", "ear"))
    assert judged is not None and judged.events[0].attributes == {"upstream": {"eye": 13, "ear": 13}}
    assert heard is not None and heard.events[0].score > 0.1
    assert not undisturbed.scratch.exists()
    assert record.totals.x_realtime and record.totals.decode_share and record.totals.pss_peak_bytes
    for core in record.cores:
        ordered = sorted((span.start_s, span.end_s) for span in spans if core in span.cores)
        assert all(a[1] <= b[0] + 1e-3 for a, b in pairwise(ordered)), "two tasks on one core"


def test_each_decoding_for_itself_one_at_a_time_gives_the_same(
    clips: Path, tmp_path: Path, undisturbed: SystemFolder
) -> None:
    folder = run(clips, tmp_path, plan="sequential")
    assert outcome(folder) == outcome(undisturbed)
    tasks = sorted((span.start_s, span.end_s) for span in folder.spans if span.kind == "task")
    assert len(tasks) == 9 and all(a[1] <= b[0] + 1e-3 for a, b in pairwise(tasks))


@slow
def test_the_stages_of_the_original_give_the_same(clips: Path, tmp_path: Path, undisturbed: SystemFolder) -> None:
    assert outcome(run(clips, tmp_path, plan="original")) == outcome(undisturbed)


def test_each_way_to_fail_is_told_apart_and_takes_only_its_own(
    clips: Path, tmp_path: Path, undisturbed: SystemFolder
) -> None:
    faults = {
        "eye": {"faults": {"a.mp4": "raise", "b.mp4": "segfault", "c.mp4": "hang"}},
        "ear": {"faults": {"a.mp4": "schema", "b.mp4": "other clip", "c.mp4": "eat"}},
    }
    times = TIMES | {"base_s": 20.0}
    folder = run(clips, tmp_path, actors=faults, worker_memory_mb=500, timeout=times, give_up_after=9)
    record = folder.record
    said = {(n, clip): o for n, item in record.analyzers.items() for clip, o in item.outcomes.items()}
    expected = {
        ("eye", "a.mp4"): ("failed", "ValueError: told to fail"),
        ("eye", "b.mp4"): ("failed", "SIGSEGV"),
        ("eye", "c.mp4"): ("timed_out", "no answer within"),
        ("ear", "a.mp4"): ("failed", "dict instead of an AnalyzerResult"),
        ("ear", "b.mp4"): ("failed", "wrong schema: it is about the clip 'another'"),
        ("ear", "c.mp4"): ("failed", "memory cap"),
        ("judge", "a.mp4"): ("skipped", "it needs eye, which is failed"),
        ("judge", "c.mp4"): ("skipped", "it needs eye, which is timed out"),
    }
    for key, (status, words) in expected.items():
        assert said[key].status == status and words in said[key].reason, (key, said[key])
    tried = [span.attempt for span in folder.spans if (span.clip, span.name) == ("b.mp4", "eye")]
    assert tried == [1, 2]  # a process that died is tried again; an analyzer that raised is not
    assert len([span for span in folder.spans if (span.clip, span.name) == ("a.mp4", "eye")]) == 1
    assert record.exit_code == 5 and record.status == "failed" and not outcome(folder)["results"]


def test_what_is_killed_given_up_unavailable_or_corrupt_leaves_the_rest_alone(
    clips: Path, tmp_path: Path, undisturbed: SystemFolder
) -> None:
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for file in clips.glob("*.mp4"):
        (mixed / file.name).symlink_to(file)
    (mixed / "bad.mp4").write_bytes(b"\0" * 4096)
    killed = {"faults": dict.fromkeys(("a.mp4", "b.mp4"), "killed"), "once": str(tmp_path / "killed")}
    broken = {"faults": dict.fromkeys(("a.mp4", "b.mp4", "c.mp4"), "raise")}
    absent = {"reason": "no such chip"}
    folder = run(mixed, tmp_path / "runs", actors={"eye": killed, "ear": broken, "judge": absent}, give_up_after=2)
    record = folder.record
    # Killed once: a fresh worker took its place.
    results, expected = outcome(folder)["results"], outcome(undisturbed)["results"]
    assert set(results) == {f"results/{clip}.mp4/eye.json" for clip in "abc"}
    assert all(expected[path] == text for path, text in results.items())
    assert [span.final for span in folder.spans if span.name == "eye" and span.status == "failed"] == [False]
    # Always failing: given up.
    assert [o.status for o in record.analyzers["ear"].outcomes.values()] == ["failed"] * 3
    assert "circuit open" in record.analyzers["ear"].outcomes["c.mp4"].reason
    assert len([span for span in folder.spans if span.name == "ear" and span.kind == "task"]) == 2
    # Not for this machine, and not a video.
    assert record.analyzers["judge"].status == "unavailable" and record.analyzers["judge"].mend == "pip install it"
    assert {clip.name: clip.status for clip in record.clips}["bad.mp4"] == "refused"


class Pruner(Silent):
    """Somebody who tries to remove ``path`` whenever a task is started, as `reelbench disk` does: only when nobody uses it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tries: list[bool] = []

    def update(self, clip: str, phase: str, done: int, total: int, seconds_left: float | None) -> None:
        with alone(self.path) as free:
            self.tries.append(free)
            if free:
                self.path.unlink()


def test_weights_cannot_be_removed_while_a_run_uses_them(
    clips: Path, tmp_path: Path, undisturbed: SystemFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_with(tmp_path, "net/eye.bin", b"weights")
    monkeypatch.setattr("reelbench.system.setup.ModelStore", lambda: store)
    pruner = Pruner(store.path("net/eye.bin"))
    actors = {"eye": {"weights": ["net/eye.bin"]}}
    folder = run_system(composed(clips, tmp_path / "runs", actors=actors), "test", pruner)
    assert len(pruner.tries) >= 9 and not any(pruner.tries)
    assert outcome(folder) == outcome(undisturbed)
    with alone(pruner.path) as free:
        assert free, "the lease outlived the run"


def store_with(folder: Path, name: str, content: bytes) -> ModelStore:
    """A model store that has one file, and a catalog of just that."""
    source = {"https": "http://127.0.0.1:9/none"}
    entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "sources": [source]}
    family = {"title": "A net", "licence": "MIT", "class": "refetchable", "artifacts": {name: entry}}
    (folder / "conf" / "weights").mkdir(parents=True)
    (folder / "conf" / "weights" / "net.yaml").write_text(yaml.safe_dump(family))
    (folder / "store" / name).parent.mkdir(parents=True)
    (folder / "store" / name).write_bytes(content)
    return ModelStore(folder / "store", Catalog.load(folder / "conf"))
