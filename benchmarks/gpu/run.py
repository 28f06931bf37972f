"""Measures what a GPU makes of the product's networks, with random weights: the narrator's techniques, detectors, encoders, copies.

    python benchmarks/gpu/run.py --budget 540                     # on a GPU: the most valuable arms first; docs/gpu.md
    python benchmarks/gpu/run.py --resume                         # what is not measured yet
    python benchmarks/gpu/run.py --device cpu --size tiny         # no GPU: a rehearsal

Needs torch, transformers and numpy, no network and no installation: it reads src/ and conf/ beside it. The report is complete
after every arm. An arm that fails, runs out of memory, crashes or takes too long is a row with its reason. Exit: 0 done, or
stopped by the budget · 2 wrong arguments · 4 no such device here · 5 an arm failed, wrote other tokens than it must, or ran
something else than was asked for · 130, 143 interrupted.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs import Job, Settings
from supervisor import StartError, Supervisor
from tables import problem

from report import Report

ROOT = Path(__file__).resolve().parents[2]
WRITING_S = 3.0
"""Kept back of the budget: ending a process and writing the report."""
LEAST_S = 5.0
"""No arm is begun with less than this left."""


def main() -> int:
    options = _options()
    ends = time.monotonic() + options.budget if options.budget else float("inf")
    signal.signal(signal.SIGTERM, _interrupt)
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "gpu.log").open("a", encoding="utf-8") as log:
        supervisor = Supervisor(_settings(options), log)
        try:
            return _run(options, supervisor, ends)
        except StartError as error:
            print(f"{error}", file=sys.stderr)
            return error.status
        except _Interrupted as error:
            return 128 + error.number
        except KeyboardInterrupt:
            return 130
        finally:
            supervisor.stop()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", nargs="+", default=["2b", "7b"], help="Qwen2-VL sizes: tiny, small, 2b, 7b")
    parser.add_argument("--arms", nargs="+", default=[], metavar="NAME", help="these only, and baseline")
    parser.add_argument("--parts", nargs="+", default=[], metavar="NAME", help="these parts only")
    parser.add_argument("--rounds", type=_positive, default=5, help="passes an arm")
    parser.add_argument("--windows", type=_positive, default=4, help="segments a pass")
    parser.add_argument("--tokens", type=_positive, default=64, help="tokens a segment")
    parser.add_argument("--budget", type=_positive, metavar="S", help="stop in time with what is there")
    parser.add_argument("--arm-limit", type=_positive, default=180, metavar="S", help="an arm's time")
    parser.add_argument("--resume", action="store_true", help="keep what the report has, add the rest")
    parser.add_argument("--list", action="store_true", help="print the arms in their order and stop")
    parser.add_argument("--conf", type=Path, default=ROOT / "conf", help="where the variants are")
    parser.add_argument("--store", type=Path, help="the model store, for OCR")
    parser.add_argument("--brought", type=Path, help="a folder of wheels (benchmarks/gpu/bring.py)")
    parser.add_argument("--out", type=Path, default=ROOT / "reports")
    return parser.parse_args()


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        device=options.device,
        sizes=tuple(options.size),
        parts=tuple(options.parts),
        arms=tuple(options.arms),
        rounds=options.rounds,
        windows=options.windows,
        tokens=options.tokens,
        conf=str(options.conf),
        store=str(options.store or ""),
        brought=str(options.brought or ""),
    )


def _run(options: argparse.Namespace, supervisor: Supervisor, ends: float) -> int:
    environment, jobs = supervisor.start()
    if options.list:
        print("\n".join(job.key for job in jobs))
        return 0
    figures = {key: getattr(options, key) for key in ("windows", "tokens", "rounds")}
    report = Report(environment, figures, [shlex.join(["python", *sys.argv])])
    if not options.resume:
        report.keep_previous(options.out)
    elif problem_ := report.continued(options.out):
        raise StartError(problem_, 2)
    page = _measure(_Work(report, jobs, options.out, ends, options.arm_limit), supervisor)
    print(page)
    wrong = {key: _why(row) for key, row in report.rows.items() if _why(row)}
    for key, why in wrong.items():
        print(f"{key}: {why}", file=sys.stderr)
    if report.stopped:
        print(report.stopped, file=sys.stderr)
    return 5 if wrong else 0


@dataclass
class _Work:
    report: Report
    jobs: list[Job]
    out: Path
    ends: float
    limit_s: float


def _measure(work: _Work, supervisor: Supervisor) -> Path:
    """Measure what the report has not, as far as time allows; the report's page."""
    report = work.report
    todo = [job for job in work.jobs if job.key not in report.rows]
    todo.sort(key=lambda job: job.key in report.failed)  # What failed before is tried again last.
    whole = len(work.jobs)
    for left in range(len(todo), 0, -1):
        job = todo[len(todo) - left]
        report.stopped = f"{left} of {whole} arms were not reached; --resume goes on."
        seconds = work.ends - time.monotonic() - WRITING_S
        if seconds < LEAST_S:
            break
        row = supervisor.measure(job, min(seconds, work.limit_s))
        if row["status"] == "too slow" and seconds < work.limit_s:
            report.stopped += f" The budget ended during {job.key}."
            break
        report.rows[job.key] = row
        report.stopped = f"{left - 1} of {whole} arms are not measured yet." if left > 1 else ""
        report.write(work.out)
        supervisor.tell(f"[{whole - left + 1}/{whole}] {job.key}: {_line(row)}")
    return report.write(work.out)


def _why(row: dict[str, Any]) -> str:
    """What makes the command end with 5; '' for a row that is well, or that this machine cannot have."""
    if row["status"] in ("failed", "too slow", "out of memory"):
        return f"{row['status']}: {row['reason']}"
    return problem(row)


def _line(row: dict[str, Any]) -> str:
    if row["status"] != "measured":
        return f"{row['status']}: {row['reason']}"
    if "equal" in row:
        said = "the baseline's tokens" if row["equal"] else "OTHER TOKENS"
    else:
        took = row.get("ms_segment") or row.get("ms")
        faster = row.get("times_faster")
        faster = faster["median"] if isinstance(faster, dict) else faster
        said = f"{took['median']:.3g} ms" + (f", {faster:.2f} times faster" if faster else "")
    return f"{said} (took {row['wall_s']:.0f} s)" + (f"; WRONG: {problem(row)}" if problem(row) else "")


class _Interrupted(Exception):
    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.number = number


def _interrupt(number: int, frame: object) -> None:
    raise _Interrupted(number)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


if __name__ == "__main__":
    sys.exit(main())
