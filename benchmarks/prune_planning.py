"""How long it takes to plan a prune: python benchmarks/prune_planning.py --out reports/prune_planning

A hub cache in its real layout (a file is a blob and the link to it, 50 to a repository) and a workspace of many
compositions (analyzer × variant, each naming a repository of the cache). Each sample is a process of its own, from its
start to the plan in its hands: references, inventory, plan. The first plan composes everything; those after it remember
what no file of the configuration changed. Writes OUT.md and OUT.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from reelbench.bench.environment import environment  # noqa: E402
from reelbench.disk.registry import Registry  # noqa: E402
from reelbench.paths import write_text  # noqa: E402
from reelbench.system.planning.fit import described  # noqa: E402
from support.disks import Disk, many_files  # noqa: E402
from support.pruning import age  # noqa: E402

PLAN = """
import json, shutil, sys, time
from pathlib import Path
begun = time.perf_counter()
from reelbench.disk import planning
from reelbench.disk.apply import Situation
from reelbench.disk.policy import Policy
now = Situation.of(Path(sys.argv[1]))
imported = time.perf_counter()
references = now.references()
resolved = time.perf_counter()
inventory = now.inventory()
taken = time.perf_counter()
plan = planning.make(inventory, references, Policy(), now.store, lambda path: shutil.disk_usage(path).free)
done = time.perf_counter()
print(json.dumps({"import_s": imported - begun, "references_s": resolved - imported, "inventory_s": taken - resolved,
                  "plan_s": done - taken, "items": len(plan.items), "kept": len(plan.kept), "compositions":
                  len(references.compositions)}))
"""
TARGET_S = 5.0
VARIANTS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="OUT.md and OUT.json")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--compositions", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="where the cache is made (default: the folder for temporary files)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        disk = Disk(Path(folder))
        build(disk, asked.files, asked.compositions)
        first, *others = (sample(disk) for _ in range(asked.rounds + 1))
    now = environment()
    command = shlex.join(["python", "benchmarks/prune_planning.py", *sys.argv[1:]])
    whole = {"command": command, "machine": described(now["machine"]), "environment": now, "files": asked.files,
             "first": first, "others": others}  # fmt: skip
    write_text(asked.out.with_suffix(".json"), json.dumps(whole, indent=1) + "\n")
    write_text(asked.out.with_suffix(".md"), markdown(whole))
    print(markdown(whole))


def build(disk: Disk, files: int, compositions: int) -> None:
    """The cache, and a workspace whose configurations name every second repository."""
    disk.store.mkdir(parents=True)
    many_files(disk.hub, files)
    names = sorted(path.name.removeprefix("models--").replace("--", "/", 1) for path in disk.hub.glob("models--*"))[::2]
    conf = disk.workspace / "conf"
    for index in range(compositions // VARIANTS):
        analyzer = f"analyzer_{index:04d}"
        _write(conf / "analyzer" / f"{analyzer}.yaml", f"analyzer:\n  name: {analyzer}\n  weights: []\n")
        for variant in range(VARIANTS):
            name = names[(index * VARIANTS + variant) % len(names)]
            text = f"# @package _global_\nanalyzer:\n  weights: [hf://{name}]\n"
            _write(conf / "tuning" / analyzer / f"variant_{variant}.yaml", text)
    age(disk.hub)
    Registry.load(disk.store).add_workspace(disk.workspace)


def sample(disk: Disk) -> dict[str, Any]:
    moved = {name: value for name, value in disk.environment().items() if name != "PATH"}
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", PLAN, str(disk.store)],
        env=os.environ | moved,
        cwd=disk.base,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return {"process_s": time.perf_counter() - begun, **json.loads(done.stdout)}


def markdown(whole: dict[str, Any]) -> str:
    first, others = whole["first"], whole["others"]
    columns = {
        "process_s": "whole process",
        "import_s": "imports",
        "references_s": "references",
        "inventory_s": "inventory",
        "plan_s": "plan",
    }
    middle = {name: median(one[name] for one in others) for name in columns}
    lines = [
        "# Planning a prune",
        "",
        f"`{whole['command']}` on {whole['machine']}.",
        "",
        f"{whole['files']:,} files in the hub cache, {first['compositions']:,} compositions (the shipped ones among them); "
        f"{first['items']:,} items would go, {first['kept']:,} stay. Seconds; the median of {len(others)} plans after the first.",
        "",
        "| | " + " | ".join(columns.values()) + " |",
        "| --- |" + " ---: |" * len(columns),
        "| first (composes everything) | " + " | ".join(f"{first[name]:.2f}" for name in columns) + " |",
        "| again | " + " | ".join(f"{value:.2f}" for value in middle.values()) + " |",
        "",
        f"Asked for: {TARGET_S:g} s. The slowest of the {len(others)}: {max(one['process_s'] for one in others):.2f} s.",
    ]
    return "\n".join(lines) + "\n"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    main()
