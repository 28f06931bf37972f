"""On which cores workers are started and stay."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from reelbench.bench.progress import Silent
from reelbench.system.runner import run_system

from .scenario import ACTORS, composed


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one core")
@pytest.mark.parametrize("preload", [True, False])
def test_a_wide_analyzer_is_started_on_all_of_its_cores_and_the_others_on_one(
    clips: Path, tmp_path: Path, preload: bool
) -> None:
    """Libraries make their threads when they are loaded: cores that come afterwards would stay idle."""
    told = composed(clips, tmp_path, actors={name: {"tells_cores": True} for name in ACTORS}, preload=preload)
    told = replace(told, plan=told.plan.model_copy(update={"wide": {"eye": 2}}))
    folder = run_system(told, "test", Silent())
    for clip in ("a.mp4", "b.mp4", "c.mp4"):
        for name in ACTORS:
            result, cores = folder.result((clip, name)), 2 if name == "eye" else 1
            assert result is not None
            found = result.events[0].attributes
            assert (found["loaded_on"], found["runs_on"]) == (cores, cores), (clip, name)
    assert {len(span.cores) for span in folder.spans if span.name == "eye"} == {2}
