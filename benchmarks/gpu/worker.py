"""The process that measures: takes jobs as JSON lines on stdin, answers each with one JSON line, and is killed if it must be.

    python benchmarks/gpu/worker.py '{"device": "cpu", …}'        # started by run.py

The first line says what the machine is and which jobs there are. A job that raises is answered with its reason; what a
process cannot survive (a crash, a device in an undefined state, an endless compilation) is left to `run.py`, which starts
another worker for the jobs that remain.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, TextIO

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "src"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def main() -> int:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # Whatever a library prints goes to the log, never between the answers.
    _end_with_parent()
    import torch
    from arms import arms
    from jobs import job_of, settings_of
    from measuring import Measuring

    import report

    settings = settings_of(sys.argv[1])
    if settings.device.startswith("cuda") and not torch.cuda.is_available():
        _say(answers, {"unavailable": "this PyTorch sees no CUDA device"})
        return 4
    try:
        chosen = arms(Path(settings.conf), settings.device, list(settings.arms) or None)
        measuring = Measuring(settings, chosen)
        jobs = [job.as_json() for job in measuring.jobs()]
    except ValueError as error:
        _say(answers, {"wrong": str(error)})
        return 2
    _say(answers, {"environment": report.environment(settings.device), "jobs": jobs})
    for line in sys.stdin:
        _say(answers, _answer(measuring, job_of(json.loads(line))))
    return 0


def _answer(measuring: Any, job: Any) -> dict[str, Any]:
    """The row of one job: its figures, or its status and the reason."""
    import torch

    from reelbench.errors import ReelBenchError, UnavailableError

    began = time.monotonic()
    try:
        row = {"status": "measured", **measuring.measure(job)}
    except UnavailableError as error:
        row = {"status": "unavailable", "reason": _line(error)}
    except Exception as error:  # noqa: BLE001  one arm's failure is a row; the others are measured
        causes = (error, error.__cause__)
        full = any(isinstance(one, torch.OutOfMemoryError) for one in causes)
        status = "out of memory" if full else "failed"
        row = {"status": status, "reason": f"{type(error).__name__}: {_line(error)}"}
        if not isinstance(error, ReelBenchError):
            sys.excepthook(*sys.exc_info())
        error.__traceback__ = None  # Frames of the failed arm hold its network.
    gc.collect()
    measuring.tidy()
    return row | {"wall_s": round(time.monotonic() - began, 1)}


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:400] or "no message"


def _say(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _end_with_parent() -> None:
    """End this process when its parent is gone, in the middle of a job, too."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
