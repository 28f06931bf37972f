"""What it costs to hold a folder's figures against what was measured, each time that it is read.

    python benchmarks/reading_cost.py FOLDER...        folders of runs, comparisons, system runs …

Prints milliseconds a folder, wall clock and processor time: the medians of 9 checks, nothing remembered
between them. Packages are imported before. On a machine that others use, too, look at the processor time.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from reelbench.bench import integrity
from reelbench.bench.record_folder import remarks_on
from reelbench.tracking.kinds import kind_of


def main() -> None:
    rows = []
    for folder in map(Path, sys.argv[1:]):
        record = kind_of(folder).read(folder)
        seconds, cpu = [], []
        for _ in range(9):
            integrity._checked.clear()
            began, cpu_began = perf_counter(), process_time()
            remarks_on(folder, record)
            seconds.append(perf_counter() - began)
            cpu.append(process_time() - cpu_began)
        files = [path for path in folder.rglob("*") if path.is_file()]
        rows.append(
            {
                "folder": folder.name,
                "files": len(files),
                "megabytes": round(sum(path.stat().st_size for path in files) / 1e6, 2),
                "check_ms": round(1000 * median(seconds), 1),
                "check_cpu_ms": round(1000 * median(cpu), 1),
            }
        )
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
