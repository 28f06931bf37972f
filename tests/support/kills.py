"""Kill -9 at random moments: a command is killed again and again, and must go on, end well, and leave nothing behind."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import psutil

from reelbench.comparison.gate.folder import FILE as GATE
from reelbench.comparison.gate.folder import read_gate
from reelbench.tracking.sync import local_folders

MARK = "REELBENCH_TEST_MARK"
LEFTOVER = re.compile(r"\.part(\.\w+)?$|\.tmp$|^\.new-|^scratch$|^reelbench-\d{8}-")
KILLS_A_ROUND = 5


@dataclass
class Victim:
    """A command of ``python -m reelbench`` in ``base``, which holds all that it writes.

    ``codes`` are the exit codes of a good end, ``done`` fails where what was asked for is not there.
    ``fresh`` makes the state before the first start again.
    """

    base: Path
    arguments: Sequence[str]
    done: Callable[[], None]
    fresh: Callable[[], None]
    codes: tuple[int, ...] = (0,)
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    mark: str = field(default_factory=lambda: uuid4().hex)

    @property
    def temporary(self) -> Path:
        return self.base / "tmp"

    def start(self) -> subprocess.Popen[bytes]:
        self.temporary.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, **self.environment, MARK: self.mark, "TMPDIR": str(self.temporary)}
        with (self.base / "said.txt").open("wb") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "reelbench", *self.arguments],
                cwd=self.cwd or self.base, env=environment, stdout=said, stderr=said,
            )  # fmt: skip

    def complete(self) -> float:
        """Let the command come to its end; seconds that it took. Fails where anything is left of it."""
        began = time.monotonic()
        self.ended(self.start())
        return time.monotonic() - began

    def ended(self, process: subprocess.Popen[bytes]) -> None:
        code = process.wait(600)
        said = (self.base / "said.txt").read_text(errors="replace")
        assert code in self.codes and "Traceback" not in said, (code, said)
        self.done()
        self.nobody_left()
        self.nothing_claims_to_run()
        assert not self.leftovers(), self.leftovers()

    def kill(self, after_s: float) -> bool:
        """Start it and kill it after so long; False where it came to its end before."""
        process = self.start()
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            self.nobody_left()
            self.nothing_claims_to_run()
            return True
        self.ended(process)
        return False

    def nobody_left(self) -> None:
        """Every process that the command started is gone, or will be in a moment."""
        until = time.monotonic() + 30
        while left := processes_of(self.mark):
            assert time.monotonic() < until, f"outlived the command: {left}"
            time.sleep(0.02)

    def nothing_claims_to_run(self) -> None:
        for runs in self.base.rglob("runs"):
            if runs.is_dir():
                listed, damaged = local_folders(runs)
                assert not damaged
                assert "running" not in [one.record.status for one in listed]
                gates = [read_gate(file.parent) for file in runs.glob(f"gates/*/{GATE}")]
                assert not {"running", "passed"} & {gate.status for gate in gates if gate.interrupted}

    def leftovers(self) -> list[Path]:
        named = [path for path in self.base.rglob("*") if LEFTOVER.search(path.name)]
        return [*named, *self.temporary.iterdir()]


def processes_of(mark: str) -> list[str]:
    """The command lines of all living processes with this ``MARK`` in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == mark:
                found.append(" ".join(process.cmdline())[:300])
        except psutil.Error:
            continue
    return found


def die_and_go_on(victim: Victim, kills: int, seed: int) -> dict[str, float]:
    """Kill it so many times; after every few the same command must come to its end. How often and how long it took."""
    chance = random.Random(seed)
    victim.fresh()
    whole_s = victim.complete()
    ends, killed = 1, 0
    victim.fresh()
    while killed < kills:
        if victim.kill(chance.uniform(0, whole_s)):
            killed += 1
            if killed % KILLS_A_ROUND and killed < kills:
                continue
            victim.complete()
        ends += 1
        victim.fresh()
    return {"kills": killed, "ends": ends, "undisturbed_s": round(whole_s, 1)}
