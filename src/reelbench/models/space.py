"""Room on the disk: asked for before a run begins, and watched while it goes on."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reelbench.errors import OutputError

OnLow = Literal["pause", "fail"]
LOOK_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that will be written below a folder, which need not be there yet."""

    folder: Path
    bytes: int
    what: str


def free(folder: Path) -> int:
    """Bytes that may be written below ``folder``."""
    return shutil.disk_usage(_existing(folder)).free


def require(needs: Iterable[Need]) -> None:
    """OutputError where all that will be written to a disk does not fit on it, with what each part takes."""
    disks: dict[int, list[Need]] = {}
    for need in needs:
        if need.bytes > 0:
            disks.setdefault(_existing(need.folder).stat().st_dev, []).append(need)
    for on_it in disks.values():
        wanted, left = sum(need.bytes for need in on_it), free(on_it[0].folder)
        if wanted > left:
            parts = ", ".join(f"{need.what} {_size(need.bytes)}" for need in on_it)
            raise OutputError(
                f"the disk of {on_it[0].folder} has {_size(left)} free, and the run takes {_size(wanted)}: {parts}",
                "free some space ('reelbench models unused' shows what nobody needs), or choose other folders",
            )


class LowDisk:
    """Waits while a disk has less than ``least`` bytes free, and says so once; with ``how`` 'fail' it raises OutputError instead."""

    def __init__(self, folders: Sequence[Path], least: int, how: OnLow, tell: Callable[[str], None]) -> None:
        self._folders, self._least, self._how, self._tell = folders, least, how, tell

    @property
    def low(self) -> Path | None:
        """A folder whose disk has too little room, or None."""
        return next((folder for folder in self._folders if free(folder) < self._least), None)

    def wait(self) -> float:
        """Seconds waited until there was room. OutputError where that is not wanted."""
        folder = self.low
        if folder is None:
            return 0.0
        line = f"disk low: {_size(free(folder))} free at {folder}, less than {_size(self._least)}"
        if self._how == "fail":
            raise OutputError(line, "free some space; the same command goes on from there")
        self._tell(f"{line}: paused until there is room (on_disk_low=fail stops instead)")
        started = time.monotonic()
        while self.low is not None:
            time.sleep(LOOK_EVERY_S)
        waited = time.monotonic() - started
        self._tell(f"there is room again: going on after {waited:.0f} s")
        return waited


def _existing(path: Path) -> Path:
    return next(
        parent for parent in (path.absolute(), *path.absolute().parents) if os.path.lexists(parent) and parent.exists()
    )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
