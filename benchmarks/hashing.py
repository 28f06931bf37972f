"""How fast the store hashes a file, beside sha256sum and openssl on the same file in the same run; and what a second look costs.

    python benchmarks/hashing.py --out reports/hashing
    python benchmarks/hashing.py --out reports/hashing --megabytes 2048 --rounds 10

Each round takes every way once, in random order, on a file that is in the page cache. Wall time is what a user waits for; the
processor's time is what other programs on the machine do not disturb, so the ratio is judged on it. Writes OUT.md and OUT.json.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from reelbench.bench.environment import environment
from reelbench.models.hashes import HashCache
from reelbench.models.placing import sha256_of
from reelbench.paths import write_text
from reelbench.system.planning.fit import described

OURS = "reelbench"
REMEMBERED = "reelbench, remembered"
TARGET = 0.9


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="OUT.md and OUT.json")
    parser.add_argument("--megabytes", type=int, default=1024, help="size of the file")
    parser.add_argument("--rounds", type=int, default=10)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        samples = measured(Path(folder), asked.megabytes << 20, asked.rounds)
    now = environment()
    whole = {
        "command": shlex.join(["python", "benchmarks/hashing.py", *sys.argv[1:]]),
        "machine": described(now["machine"]),
        "environment": now,
        "bytes": asked.megabytes << 20,
        "samples": samples,
        "ratios": {name: ratio(samples, name) for name in samples if name not in (OURS, REMEMBERED)},
    }
    write_text(asked.out.with_suffix(".json"), json.dumps(whole, indent=1) + "\n")
    write_text(asked.out.with_suffix(".md"), markdown(whole))
    print(markdown(whole))


def measured(folder: Path, size: int, rounds: int) -> dict[str, list[dict[str, float]]]:
    """For each way its rounds: seconds on the wall, and of the processor (its own and its child's). All must agree on the hash."""
    file = folder / "file"
    with file.open("wb") as sink:
        for _ in range(size >> 20):
            sink.write(os.urandom(1 << 20))
    cache = HashCache(folder)
    time.sleep(0.2)
    expected = cache.hash(file)
    ways: dict[str, Callable[[], str]] = {
        OURS: lambda: sha256_of(file),
        REMEMBERED: lambda: cache.hash(file),
        "sha256sum": lambda: _first(["sha256sum", str(file)]),
    }
    if shutil.which("openssl"):
        ways["openssl dgst"] = lambda: _first(["openssl", "dgst", "-sha256", "-r", str(file)])
    samples: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name in random.sample(list(ways), len(ways)):
            before, begun = os.times(), time.perf_counter()
            found = ways[name]()
            wall, after = time.perf_counter() - begun, os.times()
            if found != expected:
                raise SystemExit(f"{name} found {found} instead of {expected}")
            samples[name].append({"wall_s": wall, "cpu_s": sum(after[:4]) - sum(before[:4])})
    return samples


def ratio(samples: dict[str, list[dict[str, float]]], peer: str) -> float:
    """Our rate divided by the peer's, by the median processor time of the rounds."""
    return _median(samples[peer], "cpu_s") / _median(samples[OURS], "cpu_s")


def _median(rounds: list[dict[str, float]], what: str) -> float:
    return median(one[what] for one in rounds)


def _first(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0].lstrip("\\")


def markdown(whole: dict[str, Any]) -> str:
    size, samples = whole["bytes"], whole["samples"]
    lines = ["# Hashing", "", f"`{whole['command']}` on {whole['machine']}.", ""]
    lines += [
        f"A file of {size / 1e6:.0f} MB in the page cache, {len(samples[OURS])} rounds in random order; medians.",
        "",
    ]
    lines += [
        "| way | wall s | processor s | GB/s (processor) | our rate / its |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, rounds in samples.items():
        wall, cpu = _median(rounds, "wall_s"), _median(rounds, "cpu_s")
        rate = f"{size / cpu / 1e9:.2f}" if name != REMEMBERED else "–"
        against = f"{whole['ratios'][name]:.2f}" if name in whole["ratios"] else "–"
        lines.append(f"| {name} | {wall:.5f} | {cpu:.3f} | {rate} | {against} |")
    reached = all(one >= TARGET for one in whole["ratios"].values())
    lines += [
        "",
        f"Asked for: at least {TARGET:.0%} of the rate of sha256sum. {'Reached.' if reached else 'Not reached.'}",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
