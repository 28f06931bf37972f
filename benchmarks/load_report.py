"""Scenarios of one system under load, side by side, by kind of video.

    reelbench load scenario=offline corpus=types load.queries=39
    reelbench load scenario=single_stream corpus=types load.queries=39
    reelbench load scenario=server corpus=types load.queries=39
    python benchmarks/load_report.py runs/load/OFFLINE runs/load/SINGLE_STREAM runs/load/SERVER --out reports/load

Writes NAME.md, and NAME.json with the records.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from reelbench.load.folder import read_load
from reelbench.load.records import Figures, LoadRecord
from reelbench.paths import write_text
from reelbench.report.load_terminal import percentiles, reasons, rows, summary
from reelbench.report.wording import NONE, number


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    records = [read_load(path) for path in options.runs]
    whole = json.dumps([record.model_dump(mode="json") for record in records], indent=1)
    write_text(options.out.with_suffix(".json"), whole + "\n")
    write_text(options.out.with_suffix(".md"), _markdown(records))
    print(options.out.with_suffix(".md").read_text())


def _markdown(records: list[LoadRecord]) -> str:
    first = records[0]
    lines = [
        "# The system under load",
        "",
        *(f"    {record.command}" for record in records),
        "",
        f"{first.machine}, {len(first.cores)} cores, {first.created[:10]}; system {first.system}, corpus {first.corpus}.",
        "Latencies are seconds from the arrival of a clip to its last result; (max): the percentile of so few clips is the longest.",
    ]
    for record in records:
        lines += ["", f"## {_name(record)}", "", *(f"- {line}" for line in [*summary(record), *reasons(record)])]
    lines += ["", "## By kind of video", "", _head(records), "| --- |" + " ---: |" * (3 + 3 * len(records))]
    names = [name for name, _ in rows(first)]
    lines += [_row(name, [dict(rows(record)).get(name) for record in records]) for name in names]
    return "\n".join(lines) + "\n"


def _name(record: LoadRecord) -> str:
    return f"{record.scenario}, plan {record.plan}"


def _head(records: list[LoadRecord]) -> str:
    cells = [f"{_name(record)}: p50 | p90 | p99" for record in records]
    return f"| kind | clips | video s | work s per video s | {' | '.join(cells)} |"


def _row(name: str, found: list[Figures | None]) -> str:
    one = found[0] or Figures()
    cells = [cell for figures in found for cell in (percentiles(figures) if figures else [NONE] * 3)]
    figures = [str(one.queries), number(one.video_s), number(one.work_per_video_s), *cells]
    return f"| {name} | {' | '.join(figures)} |"


if __name__ == "__main__":
    main()
