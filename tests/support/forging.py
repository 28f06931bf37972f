"""Ways to forge a finished folder by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reelbench.bench.manifest import MANIFEST, read_manifest, seal

Forge = Callable[[Path], None]


def edit(file: str, change: Callable[[dict[str, Any]], object]) -> Forge:
    """Change the JSON of a file; a pattern stands for the first file that matches it."""

    def apply(folder: Path) -> None:
        path = sorted(folder.glob(file))[0]
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content, indent=1))

    return apply


def edit_lines(file: str, change: Callable[[dict[str, Any]], object]) -> Forge:
    """Change each line of a file of JSON lines."""

    def apply(folder: Path) -> None:
        path = sorted(folder.glob(file))[0]
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            change(line)
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    return apply


def reseal_all(folder: Path) -> None:
    """Whoever forges a folder may write its manifests again, too."""
    for inner in sorted(folder.rglob(MANIFEST), key=lambda path: -len(path.parts)):
        manifest = read_manifest(inner.parent)
        assert manifest is not None
        seal(inner.parent, manifest.record, manifest.code)


def unseal_all(folder: Path) -> None:
    for inner in folder.rglob(MANIFEST):
        inner.unlink()
