"""Damaged files are put aside and not deleted: what happened to them can still be looked at. ``<store>/.quarantine/<time>/<id>``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from reelbench.errors import OutputError, WeightsError
from reelbench.models import leases
from reelbench.models.catalog import Artifact
from reelbench.models.placing import disk_errors, fsync_folder
from reelbench.models.pulling import locked
from reelbench.paths import write_text

FOLDER = ".quarantine"

_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class PutAside:
    id: str
    path: Path
    reason: str


def put_aside(root: Path, artifact: Artifact, look: Callable[[], str]) -> PutAside | None:
    """Move the artifact's file out of the store, under its family's lock. ``look`` says again there what is wrong with it: None is
    returned where that is nothing, since somebody mended it meanwhile.

    Raises OutputError where it cannot be moved, WeightsError where a run uses it.
    """
    path = root / artifact.id
    with disk_errors(path), locked(root, artifact.family):
        reason = look()
        if not reason:
            return None
        if path.is_symlink() or not path.is_file():
            raise OutputError(f"{path} is no plain file, so it is left where it is", "look at it yourself")
        folder = _new_folder(root)
        target = folder / artifact.id
        target.parent.mkdir(parents=True, exist_ok=True)
        note = {
            "id": artifact.id,
            "when": folder.name,
            "found": reason,
            "sha256": artifact.sha256,
            "bytes": artifact.bytes,
        }
        write_text(folder / "why.json", json.dumps(note, indent=2) + "\n")
        _move_alone(path, target)
    return PutAside(artifact.id, target, reason)


def _move_alone(path: Path, target: Path) -> None:
    """Rename while nobody holds a lease on it; a reader that only just looks at it is waited for."""
    deadline = time.monotonic() + _WAIT_S
    while True:
        with leases.alone(path) as free:
            if free:
                path.replace(target)
                fsync_folder(target.parent)
                fsync_folder(path.parent)
                return
        if time.monotonic() > deadline:
            raise WeightsError(f"{path} is damaged, and a run is using it", "end that run, then verify again")
        time.sleep(0.05)


def _new_folder(root: Path) -> Path:
    while True:
        folder = root / FOLDER / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            time.sleep(0.001)
        else:
            return folder
