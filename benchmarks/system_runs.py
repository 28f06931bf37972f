"""Two system runs side by side: what each took as a whole, and every analyzer's cost and quality in both.

    reelbench system corpus=system plan=sequential system=baseline system.variants.text_overlay=rapidocr
    reelbench system corpus=system plan=auto
    python benchmarks/system_runs.py runs/system/FIRST runs/system/SECOND --out reports/system

Writes NAME.md, and NAME.json with the record of the second run. The runs were made one after the other: this describes, it is no
verdict.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from reelbench.paths import write_text
from reelbench.report.wording import NONE, metric, number, percent, score
from reelbench.system.folder import SystemFolder
from reelbench.system.records import AnalyzerRecord, SystemRecord


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    first, second = (SystemFolder.open(path).record for path in (options.first, options.second))
    for clip in second.clips:
        clip.path = Path(clip.path).name
    write_text(options.out.with_suffix(".json"), second.model_dump_json(indent=1) + "\n")
    write_text(options.out.with_suffix(".md"), _markdown(first, second))
    print(options.out.with_suffix(".md").read_text())


def _markdown(first: SystemRecord, second: SystemRecord) -> str:
    times = first.totals.makespan_s / second.totals.makespan_s
    names = sorted({*first.analyzers, *second.analyzers})
    lines = [
        "# The whole system, twice",
        "",
        f"    {first.command}",
        f"    {second.command}",
        "    python benchmarks/system_runs.py runs/system/FIRST runs/system/SECOND --out reports/system",
        "",
        f"{len(second.cores)} cores, {second.created[:10]}; steady state: workers are loaded before the first clip.",
        f"The first run took **{number(times)} times** as long as the second. One run each, one after the other: this describes,",
        "it is no verdict.",
        "",
        "| | first | second |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {a} | {b} |" for name, a, b in _totals(first, second)),
        "",
        "CPU seconds are those of a second of video, decoding apart where it was done once. Quality is the primary metric over all",
        "clips that have ground truth for it; what fell is bold.",
        "",
        "| analyzer | variants | CPU s, first | CPU s, second | quality | first | second |",
        "| --- | --- | ---: | ---: | --- | ---: | ---: |",
        *(_row(first.analyzers.get(name), second.analyzers.get(name), name) for name in names),
    ]
    return "\n".join(lines) + "\n"


def _totals(first: SystemRecord, second: SystemRecord) -> list[tuple[str, str, str]]:
    a, b = first.totals, second.totals
    return [
        ("plan, decoding", f"{first.plan}, {first.decode}", f"{second.plan}, {second.decode}"),
        ("seconds of video", number(a.video_s), number(b.video_s)),
        ("seconds", number(a.makespan_s), number(b.makespan_s)),
        ("seconds for a second of video", number(a.makespan_s / a.video_s), number(b.makespan_s / b.video_s)),
        ("CPU seconds", number(a.cpu_s), number(b.cpu_s)),
        ("decoding, of all CPU seconds", percent(a.decode_share), percent(b.decode_share)),
        ("cores held by tasks", percent(a.utilisation), percent(b.utilisation)),
        ("seconds to load the workers", number(a.load_wall_s), number(b.load_wall_s)),
        ("peak memory, shared pages once (MB)", _mb(a.pss_peak_bytes), _mb(b.pss_peak_bytes)),
        ("peak memory, summed RSS (MB)", _mb(a.rss_peak_bytes), _mb(b.rss_peak_bytes)),
    ]


def _mb(value: int | None) -> str:
    return NONE if value is None else f"{value / 1e6:.0f}"


def _row(first: AnalyzerRecord | None, second: AnalyzerRecord | None, name: str) -> str:
    records = (first, second)
    variants = " → ".join(record.variant if record else NONE for record in records)
    if any(record is None or record.unavailable for record in records):
        why = next((record.unavailable for record in records if record is not None and record.unavailable), "")
        return f"| {name} | {variants} | {NONE} | {NONE} | unavailable: {why} | {NONE} | {NONE} |"
    cpu = [number(record.cpu_per_video_s, 2) if record else NONE for record in records]
    primary = next((record.quality.primary for record in records if record and record.quality.primary), "")
    found = [record.quality.overall.get(primary) if record else None for record in records]
    cells = [score(value) for value in found]
    if None not in found and found[1] < found[0] - 5e-4:  # type: ignore[operator]
        cells[1] = f"**{cells[1]}**"
    return f"| {name} | {variants} | {cpu[0]} | {cpu[1]} | {metric(primary)} | {cells[0]} | {cells[1]} |"


if __name__ == "__main__":
    main()
