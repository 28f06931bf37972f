"""Probing in another process, so that a hostile file cannot take this one down."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pydantic import TypeAdapter

from reelbench.errors import MediaError, ReelBenchError
from reelbench.media.types import ClipInfo, Limits

COMMAND = (sys.executable, "-m", "reelbench.media.probe_worker")
_START_S = 60.0


def probe_safely(
    paths: Iterable[Path], limits: Limits | None = None, timeout_s: float = 20.0
) -> dict[Path, ClipInfo | MediaError]:
    """Probe every path in one child process; what each gave is its ClipInfo or the MediaError that says why not.

    A file that crashes the child, or keeps it for more than ``timeout_s``, is marked with a MediaError that says so, and a new
    child takes the next file. Paths are keys as given.
    """
    answers: dict[Path, ClipInfo | MediaError] = {}
    child = _Child(limits or Limits())
    try:
        for path in paths:
            answers[path] = child.ask(path, timeout_s)
    finally:
        child.stop()
    return answers


class _Child:
    """The probing process, started when it is first needed and again after it died."""

    def __init__(self, limits: Limits) -> None:
        self._arguments = (*COMMAND, TypeAdapter(Limits).dump_json(limits).decode())
        self._infos = TypeAdapter(ClipInfo)
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, path: Path, timeout_s: float) -> ClipInfo | MediaError:
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(str(path)).encode() + b"\n")
            process.stdin.flush()
            line = _read_line(process, time.monotonic() + timeout_s)
        except BrokenPipeError:
            line = b""
        except TimeoutError:
            self.stop()
            return MediaError(f"{path}: probing it took longer than {timeout_s:g} s and was given up")
        if not line.endswith(b"\n"):
            return MediaError(f"{path}: the decoder crashed while probing it ({_ending(self.stop())})")
        try:
            answer = json.loads(line)
            if "error" in answer:
                return MediaError(answer["error"], answer["hint"])
            return self._infos.validate_python(answer["info"] | {"path": path})
        except (ValueError, TypeError, KeyError):  # a library wrote between the lines, or over the memory
            self.stop()
            return MediaError(f"{path}: probing it gave no answer that can be read")

    def stop(self) -> int:
        """End the process; its exit status, negative for a signal."""
        process, self._process = self._process, None
        if process is None:
            return 0
        assert process.stdin is not None and process.stdout is not None
        status = process.poll()
        if status is None:
            try:
                # A child that crashed may take a moment to be gone.
                status = process.wait(0.2)
            except subprocess.TimeoutExpired:
                process.kill()
                status = process.wait()
        process.stdout.close()
        with suppress(BrokenPipeError):  # It died before it read the last path.
            process.stdin.close()
        return status

    def _start(self) -> subprocess.Popen[bytes]:
        process = self._process = subprocess.Popen(
            self._arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )
        try:
            ready = _read_line(process, time.monotonic() + _START_S)
        except TimeoutError:
            ready = b""
        if not ready.endswith(b"\n"):
            ending = _ending(self.stop())
            raise ReelBenchError(
                f"the process that probes clips does not start ({ending})", f"try: {' '.join(COMMAND)} {{}}"
            )
        return process


def _read_line(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """Up to and with the newline; less when the process ended. Raises TimeoutError."""
    assert process.stdout is not None
    line = b""
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
            raise TimeoutError
        piece = process.stdout.read(65536)
        if not piece:
            break
        line += piece
    return line


def _ending(status: int) -> str:
    if status < 0:
        try:
            return signal.Signals(-status).name
        except ValueError:
            return f"signal {-status}"
    return f"exit status {status}"
