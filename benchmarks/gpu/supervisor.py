"""Gives jobs to a measuring process, one at a time, and replaces it when it crashes or takes too long."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from jobs import Job, Settings, job_of

WORKER = Path(__file__).with_name("worker.py")
START_S = 180.0
"""A worker that has not said by then what it can do does not start at all (importing torch from a cold disk takes long)."""


class StartError(RuntimeError):
    """The measuring process does not start: ``status`` is the exit code for the command."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


class Supervisor:
    """A measuring process that is there when it is needed. ``log`` takes what it prints."""

    def __init__(self, settings: Settings, log: IO[str]) -> None:
        self._settings, self._log = settings, log
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()

    def start(self) -> tuple[dict[str, Any], list[Job]]:
        """Start a process; the environment and the jobs that it reports. Raises StartError."""
        command = [sys.executable, str(WORKER), self._settings.as_json()]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )
        self._lines = queue.Queue()
        threading.Thread(target=_read, args=(self._process, self._lines), daemon=True).start()
        answer = self._answer(START_S)
        if isinstance(answer, str):
            last = Path(self._log.name).read_text(errors="replace").rstrip().rpartition("\n")[2]
            raise StartError(f"the measuring process did not start ({answer}): {last}", 5)
        if "unavailable" in answer:
            raise StartError(answer["unavailable"], 4)
        if "wrong" in answer:
            raise StartError(answer["wrong"], 2)
        return answer["environment"], [job_of(data) for data in answer["jobs"]]

    def measure(self, job: Job, limit_s: float) -> dict[str, Any]:
        """The row of ``job``. A process that crashes or exceeds ``limit_s`` is ended, and the row says so."""
        began = time.monotonic()
        if self._process is None:
            self.start()
        process = self._process
        assert process is not None and process.stdin is not None
        with suppress(BrokenPipeError):  # It crashed between two jobs: there is no answer, which is noticed below.
            process.stdin.write(json.dumps(job.as_json()) + "\n")
            process.stdin.flush()
        answer = self._answer(limit_s)
        if isinstance(answer, dict):
            return answer
        wall_s = round(time.monotonic() - began, 1)
        if answer == "too slow":
            reason = f"not finished after {limit_s:.0f} s, then ended"
            return {"status": "too slow", "reason": reason, "wall_s": wall_s}
        reason = f"the measuring process crashed ({answer})"
        return {"status": "failed", "reason": reason, "wall_s": wall_s}

    def tell(self, line: str) -> None:
        """Print a line of progress, into the log, too."""
        for stream in (sys.stderr, self._log):
            print(line, file=stream, flush=True)

    def stop(self) -> str:
        """End the process and all that it started; how it ended."""
        process, self._process = self._process, None
        if process is None:
            return "not started"
        with suppress(subprocess.TimeoutExpired):  # One that crashed may take a moment to be gone.
            process.wait(0.5)
        status = process.poll()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if status is None:
            return "ended"
        return signal.Signals(-status).name if status < 0 else f"exit status {status}"

    def _answer(self, limit_s: float) -> dict[str, Any] | str:
        """The next line of the process; 'too slow', or how it ended, where there is none. Then the process is gone."""
        try:
            line = self._lines.get(timeout=limit_s)
        except queue.Empty:
            self.stop()
            return "too slow"
        return self.stop() if line is None else dict(json.loads(line))


def _read(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    """Pass the answers on; None after the last one."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.endswith("\n"):  # A process that is killed while it writes leaves half an answer.
            lines.put(line)
    lines.put(None)
