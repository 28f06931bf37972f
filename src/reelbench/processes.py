"""How processes end: this one by a signal as by Ctrl-C, and its children with it, however it ends."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from reelbench.errors import EXIT_INTERRUPTED

ENDING = (signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_TIED = (
    "import ctypes, os, sys\n"
    f"ctypes.CDLL(None).prctl({_PR_SET_PDEATHSIG}, {int(signal.SIGTERM)})\n"
    "if os.getppid() != int(sys.argv[1]): os._exit(1)\n"
    "os.execvp(sys.argv[2], sys.argv[2:])\n"
)


class Ended(KeyboardInterrupt):
    """SIGTERM or SIGHUP came: what handles Ctrl-C handles this."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def ending_by_signal() -> Iterator[None]:
    """Within, SIGTERM and SIGHUP raise `Ended` once, so that records are finished and children end.

    What the process inherited as ignored stays ignored: ``nohup`` ignores SIGHUP, and a shell
    without job control ignores SIGINT in what it starts with ``&``.
    """
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in ENDING:
            if signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, _end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_code_of(error: BaseException | None) -> int:
    """128 + the number of the signal that ended the command; Ctrl-C is signal 2."""
    return 128 + error.number if isinstance(error, Ended) else EXIT_INTERRUPTED


def how_to_stop() -> str:
    """Where Ctrl-C does nothing: how this process is ended; '' where Ctrl-C works."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        return ""
    return f"Ctrl-C is ignored here, as whoever started this asked for; to stop it: kill {os.getpid()}"


def die_with_parent(parent: int | None = None) -> None:
    """Let the kernel kill this process when the one that started it is gone, even by kill -9.

    ``parent``: its process id, where the caller knows it; it may be gone already. Only Linux can do
    this; elsewhere a worker ends when it next reads from, or writes to, its parent.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os._exit(EXIT_INTERRUPTED)


def keep_descendants() -> None:
    """Let processes whose own parent has ended stay below this one, where they are still seen. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def tied(command: Sequence[str]) -> list[str]:
    """A command line that runs ``command`` and is ended by SIGTERM when this process is gone.

    For programs that are not ours (git, pip): they clean up after themselves on SIGTERM.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *command]


def run_tied(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """As ``subprocess.run``, of a command that does not outlive this process."""
    done: subprocess.CompletedProcess[str] = subprocess.run(tied(command), **options)
    return done


def _end(number: int, _: FrameType | None) -> None:
    for one in ENDING:
        if signal.getsignal(one) is _end:
            signal.signal(one, _already_ending)
    if number == signal.SIGHUP:
        _leave_the_terminal()
    raise Ended(number)


def _already_ending(number: int, _: FrameType | None) -> None:
    """A second signal must not cut off the writing of the record; kill -9 still can."""


def _leave_the_terminal() -> None:
    """Standard output and error go nowhere where their terminal is gone: writing there would fail."""
    for stream in (1, 2):
        try:
            os.write(stream, b"")
        except OSError:
            with suppress(OSError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream)
                os.close(nowhere)
