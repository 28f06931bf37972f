"""Where figures go: one JSON a benchmark file, with the command and the environment that they belong to."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reelbench.bench.environment import environment

Record = Callable[[str, dict[str, Any]], None]


@pytest.fixture
def record(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Record:
    """``record(name, figures)`` adds to ``<benchmark>.json`` in ``$REELBENCH_BENCH_OUT`` (or pytest's temporary folder)."""
    benchmark = request.path.stem.removeprefix("test_")
    folder = Path(os.environ.get("REELBENCH_BENCH_OUT") or tmp_path_factory.getbasetemp())

    def write(name: str, figures: dict[str, Any]) -> None:
        out = folder / f"{benchmark}.json"
        out.parent.mkdir(parents=True, exist_ok=True)
        known = json.loads(out.read_text()) if out.is_file() else {}
        command = f"pytest benchmarks/{request.path.name} -s"
        page = known | {"command": command, "environment": environment(), name: figures}
        out.write_text(json.dumps(page, indent=1) + "\n")
        print(f"\n{name}: {json.dumps(figures)} -> {out}")

    return write
