"""How often do the audits of `reelbench ab` fail an honest comparison? A variant against itself, a fast one, on busy cores.

    python benchmarks/audit_alarms.py --comparisons 200 --busy 2 --out reports/audit_alarms.json

The analyzer (`support.analyzers.Brightness` of the tests) sees tiny frames of tiny clips, so that a pass
takes a few milliseconds: what the comparing process does weighs most there. ``--busy`` starts so many
other processes that use a core each; the load average is in the report. ``--burn-ms`` makes each frame
cost more. The checks on the passes of each arm (`reelbench.bench.observed.check_passes`) are counted
as audits are. With ``--cheat parent`` the comparing process uses processor time in every second pass,
with ``--cheat idle`` arm B does while A is measured: those comparisons must fail the audit.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median
from time import thread_time
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from reelbench.bench.environment import environment  # noqa: E402
from reelbench.bench.observed import check_passes  # noqa: E402
from reelbench.bench.process import WorkerProcess  # noqa: E402
from reelbench.bench.progress import Silent  # noqa: E402
from reelbench.bench.setup import open_clips  # noqa: E402
from reelbench.comparison.ab import Request, _audits, _open_folder  # noqa: E402
from reelbench.comparison.arms import open_arm, plan  # noqa: E402
from reelbench.comparison.audits import parent_share  # noqa: E402
from reelbench.comparison.pairing import Pairing  # noqa: E402
from reelbench.comparison.records import Audit, Pair  # noqa: E402
from reelbench.comparison.rule import Rule  # noqa: E402
from reelbench.comparison.statistics import clopper_pearson  # noqa: E402
from reelbench.models.store import ModelStore  # noqa: E402
from reelbench.paths import write_text  # noqa: E402
from support.clips import make_clip  # noqa: E402

PAIRS, FRESH_EVERY = 10, 20
COMMAND = "benchmarks/audit_alarms.py"


@contextmanager
def busy(cores: int) -> Iterator[None]:
    """Keep so many cores busy with other processes."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


class Honest:
    """A variant against itself, on live workers that are started again for every `FRESH_EVERY`-th comparison."""

    def __init__(self, work: Path, burn_ms: float, cheat: bool = False) -> None:
        settings = [
            f"hydra.searchpath=['file://{ROOT / 'tests' / 'conf'}']",
            "analyzer=brightness",
            "corpus=folder",
            f"corpus.path={work / 'clips'}",
            "measure=quick",
            f"runs_dir={work / 'runs'}",
            "tracking.uri=off",
        ]
        arm = f"plain analyzer.burn_ms={burn_ms}"
        other = f"{arm} analyzer.cheat=disturbs" if cheat else arm
        a, b = plan("a", arm, settings), plan("b", other, settings)
        self.config = a.ready.config
        clips = open_clips(self.config, [], ModelStore(), Silent())
        request = Request(a, b, COMMAND)
        self.folder = _open_folder(request, clips, ModelStore())
        self.lives = {arm.name: open_arm(arm, self.folder, clips, ModelStore(), COMMAND, Silent()) for arm in (a, b)}
        self._request = request

    def compare(self, number: int) -> tuple[list[Pair], list[Audit]]:
        """One comparison with its audits, as `reelbench ab measure=quick` makes it."""
        for live in self.lives.values():
            if number % FRESH_EVERY == 0:
                live.stop()
            live.folder.samples[:] = [row for row in live.folder.samples if row["kind"] == "warmup"]
            live.folder.frames.clear()
        record = self.folder.record
        record.pairs, record.resume_key = [], str(number)  # a schedule of its own
        pairing = Pairing(self.folder, self.lives, Rule(looks=(PAIRS,)), self.config.measure.pairs, Silent())
        pairing.run()
        audits = _audits(self._request, self.lives, record, self.config)
        for name, live in self.lives.items():
            seen = check_passes(live.folder.samples, deterministic=True)
            audits += [Audit(name=one.name, arm=name, status=one.status, text=one.text) for one in seen]
        return pairing.pairs, audits


def idle_share(pairs: list[Pair], name: str) -> float:
    """CPU seconds of an arm for each second of the other's passes."""
    other = "b" if name == "a" else "a"
    passes_s = sum(getattr(pair, f"{other}_s") * (pair.repetitions[1] - pair.repetitions[0]) for pair in pairs)
    return float(sum(getattr(pair, f"{name}_idle_cpu_s") or 0.0 for pair in pairs) / passes_s)


@contextmanager
def cheating() -> Iterator[None]:
    """Burn processor time in this process while every second pass is timed."""
    analyze, passes = WorkerProcess.analyze, []

    def disturbed(self: WorkerProcess, *args: Any) -> Any:
        passes.append(1)
        stop = threading.Event()

        def burn() -> None:
            while not stop.is_set():
                thread_time()

        thread = threading.Thread(target=burn)
        if len(passes) % 2:
            thread.start()
        try:
            return analyze(self, *args)
        finally:
            stop.set()
            if thread.ident:
                thread.join()

    WorkerProcess.analyze = disturbed  # type: ignore[method-assign]
    try:
        yield
    finally:
        WorkerProcess.analyze = analyze  # type: ignore[method-assign]


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--comparisons", type=int, default=200)
    asked.add_argument("--busy", type=int, default=2)
    asked.add_argument("--burn-ms", type=float, default=0.0)
    asked.add_argument("--cheat", choices=["parent", "idle"])
    asked.add_argument("--out", type=Path)
    told = asked.parse_args()
    failed: Counter[str] = Counter()
    watched: dict[str, int] = {}
    shares, idle, passes_s, texts, loads = [], [], [], [], []
    with tempfile.TemporaryDirectory() as folder, busy(told.busy):
        work = Path(folder)
        (work / "clips").mkdir()
        for name in ("a.mp4", "b.mp4", "c.mp4"):
            make_clip(work / "clips" / name, frames=20)
            (work / "clips" / name).with_suffix(".truth.json").write_text(json.dumps({"objects": []}))
        bed = Honest(work, told.burn_ms, told.cheat == "idle")
        for number in range(told.comparisons):
            with cheating() if told.cheat == "parent" else nullcontext():
                pairs, audits = bed.compare(number)
            watched |= {audit.name: 0 for audit in audits if audit.status != "not applicable"}
            failed.update({audit.name for audit in audits if audit.status == "failed"})
            texts += [audit.text for audit in audits if audit.status == "failed"]
            shares.append(parent_share(pairs) or 0.0)
            idle += [idle_share(pairs, "a"), idle_share(pairs, "b")]
            loads.append(os.getloadavg()[0])
            passes_s += [seconds for pair in pairs for seconds in (pair.a_s, pair.b_s)]
            print(number + 1, *(audit.text for audit in audits if "parent" in audit.name), *failed.items(), flush=True)
        for live in bed.lives.values():
            live.stop()
    alarms = {
        name: {"failed": count, "of": told.comparisons, "bounds": clopper_pearson(count, told.comparisons)}
        for name, count in {**watched, **failed}.items()
    }
    report = {
        "command": "python benchmarks/audit_alarms.py " + " ".join(sys.argv[1:]),
        "environment": environment(),
        "audits": alarms,
        "pass_ms": {"median": 1e3 * median(passes_s), "shortest": 1e3 * min(passes_s), "longest": 1e3 * max(passes_s)},
        "parent_cpu_share": {"median": median(shares), "largest": max(shares)},
        "idle_arm_cpu_share": {"median": median(idle), "largest": max(idle)},
        "load_average": {
            "median": median(loads),
            "smallest": min(loads),
            "largest": max(loads),
            "cores": os.cpu_count(),
        },
        "failures": texts,
    }
    print(json.dumps({key: value for key, value in report.items() if key != "environment"}, indent=1))
    if told.out:
        write_text(told.out, json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
