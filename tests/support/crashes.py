"""Kill -9 at every instruction that matters: a forked child exits at its k-th call that changes the disk, or is killed
at a random time.

A call is seen by an audit hook just before it happens, so that exiting at the k-th leaves exactly what the k-1 before
it did. Writes into a file that is already open are not seen; `killed` at random times meets those.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_CRASHED = 137
_FAILED = 99
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# The position of each call's directory handles among its arguments.
_CHANGES: dict[str, tuple[int, ...]] = {
    "os.rename": (2, 3),
    "os.remove": (1,),
    "os.rmdir": (1,),
    "os.mkdir": (2,),
    "os.link": (2, 3),
    "os.symlink": (2,),
    "os.truncate": (),
    "os.chmod": (2,),
    "os.utime": (3,),
    "os.setxattr": (),
}


@dataclass(frozen=True)
class Ended:
    """How a child ended: ``crashed`` at the call that it was told, or by itself; ``error`` is the traceback of what it
    raised."""

    crashed: bool
    error: str = ""


def exit_at(k: int | None, work: Callable[[], object], within: Path | None = None) -> Ended:
    """Run ``work`` in a child that exits just before its ``k``-th call (from 1) that changes something below
    ``within``."""

    def leave() -> None:
        os._exit(_CRASHED)

    child, said = _fork(work, k, leave, within)
    return _ended(child, said)


def every_exit(
    fresh: Callable[[int], T], work: Callable[[T], object], within: Callable[[T], Path] | None = None
) -> Iterator[tuple[int, T, Ended]]:
    """A fresh state for each k = 1, 2, …: ``work`` on it exits at its k-th change, and what is left is given; the last
    one, which ran to its end, too. Fails the test where ``work`` itself raised."""
    for k in count(1):
        state = fresh(k)

        def job(state: T = state) -> object:
            return work(state)

        ended = exit_at(k, job, within(state) if within else None)
        assert not ended.error, f"at change {k}:\n{ended.error}"
        yield k, state, ended
        if not ended.crashed:
            return


def killed(work: Callable[[], object], after_s: float) -> Ended:
    """Run ``work`` in a child and send it SIGKILL after so many seconds, unless it has ended by then."""
    child, said = _fork(work, None, lambda: None, None)
    deadline = time.monotonic() + after_s
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return _result(status, said)
        time.sleep(0.0005)
    os.kill(child, signal.SIGKILL)
    return _ended(child, said)


@dataclass
class Paused:
    """A child that stands before its k-th change, until the block ends. ``reached``: whether there was such a
    change."""

    reached: bool
    ended: Ended | None = None


@contextmanager
def paused_at(k: int, work: Callable[[], object], within: Path | None = None) -> Iterator[Paused]:
    """Run ``work`` in a child up to its ``k``-th change; the block runs while it stands there; then it goes on to its
    end."""
    here, there = os.pipe(), os.pipe()

    def stand() -> None:
        os.write(here[1], b"1")
        os.read(there[0], 1)

    child, said = _fork(work, k, stand, within, closing=(here[0], there[1]))
    os.close(here[1])
    os.close(there[0])
    paused = Paused(bool(os.read(here[0], 1)))
    try:
        yield paused
    finally:
        with suppress(BrokenPipeError):
            os.write(there[1], b"1")  # closing alone would not do: a process that was forked meanwhile has it open, too
        os.close(there[1])
        os.close(here[0])
        paused.ended = _ended(child, said)


def _fork(
    work: Callable[[], object],
    k: int | None,
    action: Callable[[], None],
    within: Path | None,
    closing: tuple[int, ...] = (),
) -> tuple[int, int]:
    """The child's number, and a pipe that tells what it raised."""
    listen, say = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        os.close(say)
        return child, listen
    try:  # the child never returns from here
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(120)
        for handle in (listen, *closing):
            os.close(handle)
        if k is not None:
            _at(k, action, within)
        work()
        os._exit(0)
    except BaseException:  # noqa: BLE001 (told to the parent)
        os.write(say, traceback.format_exc().encode(errors="replace")[-60_000:])
        os._exit(_FAILED)


def _at(k: int, action: Callable[[], None], within: Path | None) -> None:
    """Call ``action`` once, before the k-th change. A hook cannot be removed, which is why this is only for a child."""
    left, busy = [k], [False]
    scope = os.fsencode(within.resolve()) if within else b""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if busy[0] or left[0] <= 0 or not _changes(event, arguments):
            return
        busy[0] = True
        try:
            if _place(event, arguments).startswith(scope):
                left[0] -= 1
                if left[0] == 0:
                    action()
        finally:
            busy[0] = False

    sys.addaudithook(hook)


def _changes(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "open":
        return isinstance(arguments[2], int) and bool(arguments[2] & _WRITING)
    return event in _CHANGES


def _place(event: str, arguments: tuple[Any, ...]) -> bytes:
    """Where the change happens; compiled Python files count nowhere."""
    path = arguments[1] if event == "os.symlink" else arguments[0]
    if isinstance(path, int):
        return os.fsencode(Path(f"/proc/self/fd/{path}").readlink())
    path = os.fsencode(path)
    if b"__pycache__" in path:
        return b"\0"
    if path.startswith(b"/"):
        return path
    handles = [arguments[at] for at in _CHANGES.get(event, ()) if at < len(arguments)]
    folder = next((handle for handle in handles if isinstance(handle, int) and handle >= 0), None)
    base = Path(f"/proc/self/fd/{folder}").readlink() if folder is not None else Path.cwd()
    return os.path.join(os.fsencode(base), path)  # noqa: PTH118


def _ended(child: int, said: int) -> Ended:
    error = b""
    while block := os.read(said, 65536):
        error += block
    os.close(said)
    _, status = os.waitpid(child, 0)
    return _verdict(status, error.decode(errors="replace"))


def _result(status: int, said: int) -> Ended:
    error = os.read(said, 65536).decode(errors="replace")
    os.close(said)
    return _verdict(status, error)


def _verdict(status: int, error: str) -> Ended:
    if os.WIFSIGNALED(status):
        signalled = os.WTERMSIG(status)
        return Ended(True) if signalled == signal.SIGKILL else Ended(False, error or f"signal {signalled}")
    code = os.waitstatus_to_exitcode(status)
    if code in (0, _CRASHED):
        return Ended(code == _CRASHED)
    return Ended(False, error or f"exit {code}")
