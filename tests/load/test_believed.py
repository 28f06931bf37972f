"""Repeats of a clip under load: who remembers results, or finds something else without declaring it, is invalid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reelbench.bench.progress import Silent
from reelbench.load.arrivals import Query
from reelbench.load.config import Loading, _load_config, read_types
from reelbench.load.run import run_load
from reelbench.load.tell import invalid_of
from reelbench.results import Event
from reelbench.system.folder import SystemFolder
from reelbench.system.records import Span
from support.clips import make_clip
from support.made_systems import arm, remember
from support.system_runs import event, make_system_run

QUERIES = [Query(clip, number) for number in range(3) for clip in ("a", "b", "c")]
TOOK = {"honest": (1.0, 1.1, 0.9), "remembers": (1.0, 0.01, 0.01), "unsteady": (1.0, 1.0, 1.0)}


@pytest.fixture
def run(tmp_path: Path) -> SystemFolder:
    def found(name: str, number: int) -> list[Event]:
        return [event(0.0, 1.0, f"time {number}" if name == "unsteady" else "always")]

    clips = {query.name: {name: found(name, query.number) for name in TOOK} for query in QUERIES}
    folder = make_system_run(tmp_path, clips)
    folder.spans = [
        Span(
            session=0,
            kind="task",
            clip=query.name,
            name=name,
            status="done",
            start_s=at,
            end_s=at + TOOK[name][query.number],
        )
        for at, query in enumerate(QUERIES)
        for name in TOOK
    ]
    return folder


def test_who_remembers_or_is_unsteady_isinvalid_of_and_nobody_else(run: SystemFolder) -> None:
    found = invalid_of(run, QUERIES, {"honest", "remembers", "unsteady"})
    assert found.keys() == {"remembers", "unsteady"}, found
    assert "results are remembered" in found["remembers"]
    assert "every repeat of a, b, c: it is not deterministic" in found["unsteady"]


def test_whoever_declares_that_it_is_not_deterministic_may_differ(run: SystemFolder) -> None:
    assert invalid_of(run, QUERIES, {"honest"}).keys() == {"remembers"}


def test_what_the_run_of_the_system_found_is_kept(run: SystemFolder) -> None:
    run.record.analyzers["honest"].invalid = "asked for CUDA:0, ran on CPU"
    assert invalid_of(run, QUERIES, ())["honest"] == "asked for CUDA:0, ran on CPU"


def test_who_knows_all_clips_from_before_is_invalid_by_a_copy_of_one(tmp_path: Path) -> None:
    """Each clip is handed over once, so that no repeat can show it; and each analyzer decodes for itself."""
    clips, cache = tmp_path / "clips", tmp_path / "cache"
    for folder in (clips, cache):
        folder.mkdir()
    make_clip(clips / "a.mp4", frames=24)
    remember(clips, cache)
    honest = {"cost_s": 0.4, "sees": True}
    made = {"filled": {**honest, "cache": str(cache)}, "honest": honest}
    system = arm("a", clips, tmp_path / "runs", made, check_copy=True).composed
    system = replace(system, plan=system.plan.model_copy(update={"decode": "each"}))
    settings = _load_config("offline", ["load.queries=1", "load.warmup=0"])
    record = run_load(Loading(settings, system, read_types(None)), "test", Silent()).record
    assert record.invalid.keys() == {"filled"} and record.exit_code == 5, record.invalid
    assert "a copy encoded anew under another name" in record.invalid["filled"]
    assert [query.status for query in record.queries] == ["done"]
    assert any(note.startswith("a copy of ") for note in record.notes)
