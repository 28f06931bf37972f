"""What was deleted, when, why and by which plan: one JSON line for each step, in ``.audit.jsonl`` of the model store.

A line is on the disk before its step begins: there is no deletion without a line. A move into the trash that failed, or
that was broken off in the middle, has a second line that says that the item is back.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from reelbench.disk import reserve
from reelbench.disk.records import Root
from reelbench.models.placing import disk_errors
from reelbench.paths import describe_os_error

FILE: Final = ".audit.jsonl"
Event = Literal["trash", "refused", "back", "purge", "docker"]


def note(store: Path, event: Event, root: Root | None, plan: str, item: str, size: int, why: str) -> None:
    """Append a line and have it on the disk. OutputError where that cannot be done; then the step must not begin."""
    line = {
        "when": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "event": event,
        "plan": plan,
        "item": item,
        "bytes": size,
        "why": why,
        "cache": root.cache if root else "docker",
        "root": str(root.path) if root else "",
        "user": _user(),
        "process": os.getpid(),
    }
    with disk_errors(store / FILE):
        try:
            _append(store / FILE, json.dumps(line))
        except OSError as error:
            if error.errno not in reserve.FULL or not reserve.give_up(store):
                raise
            _append(store / FILE, json.dumps(line))


def lines(store: Path) -> Iterator[dict[str, Any]]:
    """Every line that can be read, the oldest first. What a crash cut off is passed over; OutputError where there is no
    reading it."""
    try:
        text = (store / FILE).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    except OSError as error:
        raise describe_os_error(error, store / FILE, "cannot read") from error
    for line in text.splitlines():
        with suppress(ValueError):
            found = json.loads(line)
            if (
                isinstance(found, dict)
                and {"when", "event", "plan", "item", "bytes", "why", "root", "cache"} <= found.keys()
            ):
                yield found


def _append(file: Path, line: str) -> None:
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        size = os.fstat(handle).st_size
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        with os.fdopen(handle, "ab", closefd=False) as stream:
            stream.write((("\n" if torn else "") + line + "\n").encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        return str(os.getuid())
