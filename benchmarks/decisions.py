"""How often are decisions on identical code wrong, and how often is a real slow-down found: ReelBench's rule and its peers' rules, on
the same samples.

    python benchmarks/decisions.py --out reports/decisions
    python benchmarks/decisions.py --out reports/decisions --resume         after an interruption
    python benchmarks/decisions.py --out reports/decisions --report-only    the table again, from the samples

Each decision takes one short clip through two workers of the same variant, 30 pairs in balanced shuffled order, as `reelbench ab` does;
in some decisions the worker of B burns processor time at each frame (10 % and 5 % of a pass). Everything is measured to the last
pair, so that every rule sees the same. Writes OUT.md (the table) and OUT.json (all samples); meanwhile RAW, a line a decision.
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from decisions_report import markdown

from reelbench.bench.effective import job_of, prepare_network
from reelbench.bench.environment import environment
from reelbench.bench.progress import Silent
from reelbench.bench.setup import open_clips
from reelbench.comparison.arms import plan
from reelbench.comparison.calibration.stretch import Decision, Stretches
from reelbench.comparison.rule import Rule
from reelbench.config import compose
from reelbench.errors import ReelBenchError
from reelbench.models.store import ModelStore
from reelbench.paths import write_text
from reelbench.report.wording import duration

PAIRS = 30
SETTINGS = (
    "measure.pairs.slice_s=0",  # one pass is one sample, for every rule
    "measure.pairs.slice_max=1",
    "measure.warmup_min=2",
    "measure.warmup_max=4",
)
NEIGHBOUR = """
import os, random, sys, time
draw, parent = random.Random(int(sys.argv[1])), os.getppid()
while os.getppid() == parent:
    until = time.monotonic() + draw.uniform(0.1, 4)
    while time.monotonic() < until:
        sum(range(1000))
    time.sleep(draw.uniform(0.1, 6))
"""


def main() -> None:
    options = _options()
    raw: Path = options.raw
    try:
        if not options.report_only:
            measure(options, raw)
        report = read(raw if raw.is_file() else options.out.with_suffix(".json"))
        if options.note:
            report["note"] = options.note
    except ReelBenchError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print(f"interrupted: {raw} keeps what was decided; --resume goes on from there", file=sys.stderr)
        sys.exit(130)
    write_text(options.out.with_suffix(".json"), _compact(report))
    write_text(options.out.with_suffix(".md"), markdown(report))
    print(options.out.with_suffix(".md").read_text())


def measure(options: argparse.Namespace, raw: Path) -> None:
    """Every decision of the plan that RAW does not hold yet, appended to it."""
    kinds = [0.0] * options.identical + [0.10] * options.slow + [0.05] * options.slow
    random.Random(options.seed).shuffle(kinds)
    settings = [*SETTINGS, f"measure.pairs.restart_every={options.restart_every}", *options.settings]
    head = {"settings": settings, "kinds": kinds, "noise": options.noise, "command": _command()}
    log = Path(tempfile.mkdtemp(prefix="decisions-"))
    try:
        with neighbours(options.noise):
            bed, rule = _prepare(settings, log, [options.clip] if options.clip else None)
            done = _begin(raw, head, options.resume)
            print(f"on {', '.join(bed.recent)}", file=sys.stderr)
            started, made = perf_counter(), 0
            for index, slow_down in enumerate(kinds):
                if index in done:
                    continue
                found = bed.measure(log / "decision", f"{options.seed} {index}", slow_down, rule, PAIRS)
                shutil.rmtree(log / "decision")
                _append(raw, {"index": index, **row(found)})
                made += 1
                each = (perf_counter() - started) / made
                left = duration(each * (len(kinds) - len(done) - made))
                print(
                    f"decision {len(done) + made} of {len(kinds)}: {each:.1f} s each, about {left} left",
                    file=sys.stderr,
                )
    finally:
        shutil.rmtree(log, ignore_errors=True)


def row(found: Decision) -> dict[str, Any]:
    """A decision as it is kept: times in whole microseconds, run-queue shares in thousandths; ``first`` names the arm that began."""
    return {
        "slow_down": found.slow_down,
        "started": round(found.started, 1),
        "seconds": round(found.seconds, 1),
        "clip": found.pairs[0].clip,
        "delay_us": round(1e6 * next(iter(found.delays_s.values()), 0.0)),
        "processes": [pair.processes for pair in found.pairs],
        "first": "".join(pair.order[0] for pair in found.pairs),
        "a_us": [round(1e6 * pair.a_s) for pair in found.pairs],
        "b_us": [round(1e6 * pair.b_s) for pair in found.pairs],
        "a_queue": [None if pair.a_queue is None else round(1e3 * pair.a_queue) for pair in found.pairs],
        "b_queue": [None if pair.b_queue is None else round(1e3 * pair.b_queue) for pair in found.pairs],
    }


def read(file: Path) -> dict[str, Any]:
    """All decisions, from the raw lines or from the committed JSON; the order in which they were made."""
    if not file.is_file():
        sys.exit(f"error: {file} does not exist: nothing was measured yet")
    if file.suffix == ".json":
        loaded: dict[str, Any] = json.loads(file.read_text())
        return loaded
    head, *rows = _lines(file)
    return {**head, "decisions": sorted(rows, key=lambda found: float(found["started"]))}


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """So many processes that compute and rest by turns, at random; they end with this block or with this process."""
    busy = [subprocess.Popen([sys.executable, "-c", NEIGHBOUR, str(seed)]) for seed in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.terminate()
            process.wait()


def _prepare(settings: Sequence[str], log: Path, clips: list[str] | None) -> tuple[Stretches, Rule]:
    config = compose(settings)
    common = [item for item in settings if not item.startswith("variant=")]
    quiet, store = _Quiet(), ModelStore()
    a, b = plan("a", config.variant, common), plan("b", config.variant, common)
    opened = open_clips(config, a.weights, store, quiet)
    bed = Stretches(a, b, opened, store, _command(), quiet)
    prepare_network(job_of(a.ready.config, log / "worker.log"), config.measure.prepare_timeout_s, quiet)
    if clips:
        if missing := [name for name in clips if name not in opened.infos]:
            sys.exit(f"error: no clip {', '.join(missing)}; there are: {', '.join(opened.infos)}")
        bed.keep_only(clips)
    bed.scout(log / "scouting", 1)
    return bed, Rule(looks=config.measure.pairs.looks, delta=config.comparison.smallest_change)


def _begin(raw: Path, head: dict[str, Any], resume: bool) -> set[int]:
    """Write the first line of RAW, or with ``resume`` check that it belongs to the same plan; the decisions that it holds."""
    if not raw.is_file():
        raw.parent.mkdir(parents=True, exist_ok=True)
        _append(raw, {**head, "environment": environment()})
        return set()
    if not resume:
        sys.exit(
            f"error: {raw} exists\n  hint: --resume goes on with it, --report-only makes its table; or name another --raw"
        )
    first, *rows = _lines(raw)
    if any(first[key] != head[key] for key in ("settings", "kinds", "noise")):
        sys.exit(f"error: {raw} was begun with other settings: {shlex.join(first['settings'])}")
    write_text(raw, "".join(json.dumps(line) + "\n" for line in (first, *rows)))  # without a line that was cut off
    return {found["index"] for found in rows}


def _lines(raw: Path) -> list[dict[str, Any]]:
    found = []
    for line in raw.read_text().splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            print(f"{raw}: a line that was cut off is left out", file=sys.stderr)
    return found


def _append(raw: Path, line: dict[str, Any]) -> None:
    with raw.open("a") as file:
        file.write(json.dumps(line) + "\n")


def _compact(report: dict[str, Any]) -> str:
    """Indented, but each decision on one line."""
    rows = ",\n".join("  " + json.dumps(found, separators=(",", ":")) for found in report["decisions"])
    head = json.dumps({**report, "decisions": []}, indent=1)
    return head.replace('"decisions": []', f'"decisions": [\n{rows}\n ]') + "\n"


def _command() -> str:
    return shlex.join(["python", *sys.argv])


class _Quiet(Silent):
    """A progress that only says what must be said."""

    def message(self, text: str) -> None:
        print(text, file=sys.stderr)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "settings", nargs="*", metavar="SETTING", help="those of a run: analyzer=…, variant=…, corpus=…"
    )
    parser.add_argument("--identical", type=int, default=200, help="decisions on identical code (%(default)s)")
    parser.add_argument(
        "--slow", type=int, default=60, help="decisions with +10 %%, and as many with +5 %% (%(default)s)"
    )
    parser.add_argument("--clip", help="the clip to measure (default: the one that takes least time)")
    parser.add_argument("--restart-every", type=int, default=15, help="pairs between fresh workers (%(default)s)")
    parser.add_argument("--noise", type=int, default=0, help="processes that compute by turns meanwhile (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="where OUT.md and OUT.json go")
    parser.add_argument("--raw", type=Path, help="the raw lines (default: runs/decisions/<name of OUT>.jsonl)")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--report-only", action="store_true")
    parser.add_argument("--note", help="what else should be known of the conditions; kept in the report")
    options = parser.parse_args()
    options.raw = options.raw or Path("runs") / "decisions" / f"{options.out.name}.jsonl"
    return options


if __name__ == "__main__":
    main()
