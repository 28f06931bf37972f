"""Clips for the system run, tiny and with sound, and one run over them that nobody disturbed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reelbench.bench.progress import Silent
from reelbench.system.folder import SystemFolder
from reelbench.system.runner import run_system
from support.clips import make_clip

from .scenario import composed

slow = pytest.mark.skipif("REELBENCH_SLOW" not in os.environ, reason="slow: set REELBENCH_SLOW=1")


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for name, frames in (("a", 24), ("b", 26), ("c", 28)):
        make_clip(folder / f"{name}.mp4", frames=frames, audio_s=0.8)
    return folder


@pytest.fixture(scope="session")
def undisturbed(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> SystemFolder:
    return run_system(composed(clips, tmp_path_factory.mktemp("undisturbed")), "test", Silent())
