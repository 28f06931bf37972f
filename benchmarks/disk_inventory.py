"""How long an inventory takes and how much memory, beside what else can look at a hub cache.

    python benchmarks/disk_inventory.py --out reports/disk_inventory

A hub cache in its real layout is made for each number of files: a file is a blob and the link to it in a snapshot, 50 to a repository.
Each contender is a process of its own, from its start to its end: `reelbench.disk.inventory.take` and the sum of what it found,
`huggingface_hub.scan_cache_dir`, and `du -s`. They take turns, after one round that is not counted (so that the kernel's cache has what
is on the disk, for all). Time is of the wall, memory the peak of the resident set. Writes OUT.md and OUT.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from reelbench.bench.environment import environment  # noqa: E402
from reelbench.paths import write_text  # noqa: E402
from reelbench.system.planning.fit import described  # noqa: E402
from support.disks import Disk, many_files  # noqa: E402

OURS = """
import sys
from pathlib import Path
from types import SimpleNamespace
from reelbench.disk.inventory import occupied, take
found = take(SimpleNamespace(root=Path(sys.argv[1]) / "store", workspaces=(), runs_dirs=()))
assert not found.problems
hub = [item for item in found.items if item.root.cache == "hub"]
print(occupied(hub))
"""
THEIRS = """
import sys
from huggingface_hub import scan_cache_dir
found = scan_cache_dir()
print(found.size_on_disk)
"""
LAUNCH = """
import os, sys, time
started = time.perf_counter()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
print(time.perf_counter() - started, usage.ru_utime, usage.ru_stime, usage.ru_maxrss, flush=True)
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""
"""A launcher of a few megabytes: the kernel counts into a child's peak what its parent had when it was made."""
TARGET_S, TARGET_MB = 1.5, 100.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="OUT.md and OUT.json")
    parser.add_argument("--files", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--folder", type=Path, help="where the caches are made (default: the folder for temporary files)"
    )
    asked = parser.parse_args()
    command = shlex.join(["python", "benchmarks/disk_inventory.py", *sys.argv[1:]])
    rows = []
    for files in asked.files:
        with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
            rows.append(measure(Disk(Path(folder)), files, asked.rounds))
    now = environment()
    whole = {"command": command, "machine": described(now["machine"]), "environment": now, "rows": rows}
    write_text(asked.out.with_suffix(".json"), json.dumps(whole, indent=1) + "\n")
    write_text(asked.out.with_suffix(".md"), markdown(whole))
    print(markdown(whole))


def measure(disk: Disk, files: int, rounds: int) -> dict[str, Any]:
    """All contenders on one cache, in turn; the samples of each, and what it found."""
    many_files(disk.hub, files)
    moved = {name: value for name, value in disk.environment().items() if name != "PATH" and value}
    base = {
        name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGINGFACE_", "DOCKER_"))
    }
    contenders = {
        "reelbench": [sys.executable, "-c", OURS, str(disk.base)],
        "scan_cache_dir": [sys.executable, "-c", THEIRS],
        "du -s": ["du", "-s", "--block-size=1", str(disk.hub)],
    }
    samples: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    found: dict[str, str] = {}
    for turn in range(rounds + 1):
        for name, command in contenders.items():
            sample, said = timed(command, base | moved)
            found[name] = said.split()[0]
            if turn:
                samples[name].append(sample)
    same = found["reelbench"] == found["du -s"]
    return {"files": files, "entries": entries(disk.hub), "bytes": found, "same_bytes_as_du": same, "samples": samples}


def timed(command: list[str], env: Mapping[str, str]) -> tuple[dict[str, float], str]:
    """One process: seconds of the wall and of the processor, and its peak memory."""
    launched = [sys.executable, "-I", "-S", "-c", LAUNCH, *command]
    done = subprocess.run(launched, env=dict(env), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[:3]} failed: {done.stderr[-2000:]}")
    said, _, figures = done.stdout.rstrip().rpartition("\n")
    wall, user, system, kilobytes = map(float, figures.split())
    return {"wall_s": wall, "cpu_s": user + system, "rss_mb": kilobytes * 1024 / 1e6}, said


def entries(folder: Path) -> int:
    return sum(len(files) + len(folders) for _, folders, files in os.walk(folder))


def markdown(whole: Mapping[str, Any]) -> str:
    lines = [
        "# Inventory of a hub cache: time and memory",
        "",
        f"`{whole['command']}` on {whole['machine']}.",
        "",
        "A file is a blob and the link to it. Every figure is the median of its rounds (least to most), of a process from its start to",
        "its end; the contenders took turns. 'Entries' are all files, links and folders of the cache. Ratios are of the medians.",
        "",
        "| files | entries | | seconds | CPU s | peak RSS MB | time / reelbench | memory / reelbench |",
        "| ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in whole["rows"]:
        ours = {key: median(sample[key] for sample in row["samples"]["reelbench"]) for key in ("wall_s", "rss_mb")}
        for name, samples in row["samples"].items():
            told = [spread(samples, key, digits) for key, digits in (("wall_s", 2), ("cpu_s", 2), ("rss_mb", 0))]
            ratios = [f"{median(sample[key] for sample in samples) / ours[key]:.2f}" for key in ("wall_s", "rss_mb")]
            lines.append(f"| {row['files']:,} | {row['entries']:,} | {name} | {' | '.join((*told, *ratios))} |")
    largest = max(whole["rows"], key=lambda row: row["files"])
    seconds = median(sample["wall_s"] for sample in largest["samples"]["reelbench"])
    memory = median(sample["rss_mb"] for sample in largest["samples"]["reelbench"])
    agree = all(row["same_bytes_as_du"] for row in whole["rows"])
    lines += [
        "",
        f"At {largest['files']:,} files: {seconds:.2f} s (asked for: at most {TARGET_S} s) and {memory:.0f} MB "
        f"(at most {TARGET_MB:.0f} MB). The bytes of reelbench and of `du` are {'the same' if agree else 'NOT the same'} in every row.",
        "",
    ]
    return "\n".join(lines)


def spread(samples: list[dict[str, float]], key: str, digits: int) -> str:
    values = [sample[key] for sample in samples]
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


if __name__ == "__main__":
    main()
