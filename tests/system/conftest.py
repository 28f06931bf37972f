"""Whole-program tests: ``run.py`` and ``reelbench`` as a user starts them, in an empty folder of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.clips import make_clip

ROOT = Path(__file__).parents[2]
Run = Callable[..., "subprocess.CompletedProcess[str]"]

PLUGIN = ("--config-dir", str(ROOT / "tests" / "conf"), "analyzer=brightness", "variant=plain")
QUICK = ("measure=quick", "tracking.uri=off")


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "tests"), "COLUMNS": "100", **more}


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    make_clip(folder / "good.mp4", frames=20)
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """``run("variant=x", …)`` in an empty working folder; nothing that it prints may be a traceback."""
    work = tmp_path / "work"
    work.mkdir()

    def call(*arguments: str, program: str = "run.py", **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "run.py")] if program == "run.py" else [sys.executable, "-m", program]
        done = subprocess.run(
            [*command, *arguments],
            cwd=work,
            env=environment(**variables),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        return done

    return call


@pytest.fixture
def brightness(run: Run, clips: Path) -> Run:
    """The test analyzer on the folder ``clips``, quickly and untracked."""

    def call(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        options = [word for word in arguments if word.startswith("--")]  # Hydra wants its options before the overrides
        overrides = [word for word in arguments if not word.startswith("--")]
        return run(*options, *PLUGIN, "corpus=folder", f"corpus.path={clips}", *QUICK, *overrides, **variables)

    return call
