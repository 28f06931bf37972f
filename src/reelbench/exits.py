"""How a command ends: its exit code, one line for each error, and a crash report for what nobody expected.

`exit_code` wraps every command. Three rules hold for all of them:

1. Exit codes 1 to 5 are said by the product on purpose. An exception that is no `ReelBenchError` ends with 70, one line, and a
   crash report that the line names.
2. A reader that goes away (``| head``) changes nothing: what is printed afterwards is dropped, the work is finished, and the exit
   code is the same.
3. A name that the output's encoding cannot express is printed with escapes.
"""

from __future__ import annotations

import errno
import io
import os
import platform
import shlex
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from reelbench import __version__
from reelbench.console import guarded
from reelbench.errors import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_UNEXPECTED,
    EXIT_USAGE,
    OutputError,
    ReelBenchError,
    UnexpectedError,
)
from reelbench.masking import masked
from reelbench.paths import describe_os_error
from reelbench.processes import exit_code_of


def exit_code(work: Callable[[], int | None], argv: Sequence[str] | None = None) -> int:
    """Run a command to its end and return its exit code; errors are printed as one line on standard error.

    ``argv`` is the command as the crash report shows it (default: this process' own).
    """
    tolerate_closed_pipes()
    with guarded():
        return _flushed(_ended(work, argv))


def _ended(work: Callable[[], int | None], argv: Sequence[str] | None) -> int:
    try:
        return work() or EXIT_OK
    except SystemExit as leaving:  # a library's argument parser
        known_codes = (None, EXIT_OK, EXIT_USAGE, EXIT_INTERRUPTED)
        return int(leaving.code or EXIT_OK) if leaving.code in known_codes else EXIT_UNEXPECTED
    except KeyboardInterrupt as error:
        return exit_code_of(error)
    except Exception as error:  # noqa: BLE001
        known = expected(error, argv)
        print_error(known)
        return known.exit_code


def print_error(error: ReelBenchError) -> None:
    """One line on standard error that says what is wrong, and one that says what to do."""
    print(f"error: {error.message}", file=sys.stderr)  # noqa: T201
    if error.hint:
        print(f"  hint: {error.hint}", file=sys.stderr)  # noqa: T201


def expected(error: Exception, argv: Sequence[str] | None = None) -> ReelBenchError:
    """The error itself where the product raised it on purpose, else an `UnexpectedError` that names its crash report."""
    if isinstance(error, ReelBenchError):
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return describe_os_error(error, Path(error.filename or "a file"), "cannot write")
    what = masked(" ".join(f"{type(error).__name__}: {error}".split()))
    message = f"unexpected {what[:300]}"
    try:
        report = _write_report(error, sys.argv if argv is None else argv)
    except OSError as refused:
        traceback.print_exception(error)
        return UnexpectedError(f"{message} (no crash report: {refused.strerror or refused})", "please report this")
    return UnexpectedError(f"{message}; crash report: {report}", "please report this with the crash report")


def _write_report(error: Exception, argv: Sequence[str]) -> Path:
    """A new file in the user's state folder, or in the temporary folder where that cannot be written."""
    told = "\n".join(
        (
            f"reelbench {__version__} ended unexpectedly at {time.strftime('%Y-%m-%dT%H:%M:%S%z')}",
            f"command: {shlex.join(argv)}",
            f"python: {platform.python_version()} ({platform.python_implementation()})",
            f"platform: {platform.platform()}",
            "",
            "".join(traceback.format_exception(error)),
        )
    )
    data = masked(told).encode("utf-8", "backslashreplace")
    try:
        return _new_file(_crash_dir(), data)
    except OSError:
        return _new_file(Path(tempfile.gettempdir()), data)


def _crash_dir() -> Path:
    import platformdirs

    return Path(platformdirs.user_state_dir("reelbench")) / "crashes"


def _new_file(folder: Path, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    # mkstemp never takes a name that exists.
    handle, name = tempfile.mkstemp(dir=folder, prefix=time.strftime("reelbench-crash-%Y%m%d-%H%M%S-"), suffix=".txt")
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    return Path(name)


def tolerate_closed_pipes() -> None:
    """Let standard output and standard error outlive their reader, and print every name that there is."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        # Only the streams of the process itself: what a test or an embedding program put there is left alone.
        if stream is None or stream is not getattr(sys, f"__{name}__") or not isinstance(stream, io.TextIOWrapper):
            continue
        try:
            raw = _Output(stream.fileno(), must_arrive=name == "stdout")
        except (OSError, ValueError):
            continue
        stream.flush()
        wrapped = io.TextIOWrapper(
            io.BufferedWriter(raw),
            encoding=stream.encoding,
            errors="backslashreplace",
            line_buffering=stream.line_buffering or stream.write_through,
        )
        setattr(sys, name, wrapped)


class _Output(io.FileIO):
    """A descriptor whose reader may go away: what is written afterwards is dropped.

    Where what is printed must arrive, any other failure (a full disk) raises OutputError.
    """

    def __init__(self, descriptor: int, *, must_arrive: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._must_arrive = must_arrive

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self._drop()  # else the interpreter fails on it once more while it ends
            if self._must_arrive and not isinstance(error, BrokenPipeError):
                raise OutputError(f"cannot print: {error.strerror}", "send the output elsewhere") from error
            return memoryview(data).nbytes

    def _drop(self) -> None:
        """Point the descriptor at nothing, for this process and for what it starts."""
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, self.fileno())
        os.close(nothing)


def _flushed(code: int) -> int:
    """The exit code once everything is printed; OutputError's where it could not be."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except OutputError as error:
        print_error(error)
        return code or error.exit_code
    return code
