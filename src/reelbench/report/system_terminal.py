"""The table that a system run ends with, the reasons under it, and the path of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reelbench.report.terminal import console
from reelbench.report.wording import NONE, evidence_line, main_quality, megabytes, number, percent, plain, score
from reelbench.system.records import AnalyzerRecord, SystemRecord

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

STYLES = {"done": "green", "unavailable": "yellow", "skipped": "yellow", "pending": "yellow"}


def print_system(record: SystemRecord, report: str = "", to: Console | None = None) -> None:
    """One row an analyzer, the reasons of what is not done, the run's own figures, and where the page is."""
    from rich.padding import Padding
    from rich.text import Text

    target = to or console()
    target.print(system_table(record))
    for line in reasons(record):
        target.print(Padding(Text(plain(line)), (0, 0, 0, 2), expand=False))
    for line in summary(record):
        target.print(Text(plain(line)))
    if report:
        target.print(Text("report", style="bold"), Text(plain(report)), sep="  ", soft_wrap=True)


def system_table(record: SystemRecord) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True, header_style="bold")
    table.add_column("analyzer", no_wrap=True)
    table.add_column("variant", overflow="fold")
    table.add_column("status", no_wrap=True)
    for heading in ("clips", "CPU s per\nvideo s", "share", "RSS\nMB"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("quality", overflow="fold")
    table.add_column("executed", overflow="fold")
    for item in record.analyzers.values():
        done = f"{item.counts['done']}/{len(item.outcomes)}"
        words = standing(item)
        status = Text(words, style=STYLES.get(words, "red"))
        figures = (done, number(item.cpu_per_video_s), percent(item.share), megabytes(item.rss_peak_bytes))
        executed = Text(plain(evidence_line(item.evidence) or NONE))
        table.add_row(
            Text(item.name), Text(plain(item.variants)), status, *figures, Text(plain(quality(item))), executed
        )
    return table


def standing(item: AnalyzerRecord) -> str:
    """How the analyzer ended in a word or two: 'invalid' where all else is well but its figures must not be used."""
    return "invalid" if item.invalid and item.status == "done" else item.status.replace("_", " ")


def quality(item: AnalyzerRecord) -> str:
    """The primary metric against truth with its name; a dash where there is none."""
    found = main_quality(item.quality)
    return NONE if found is None else f"{found[0]} {score(found[1])}"


def reasons(record: SystemRecord) -> list[str]:
    """Why something is not done or invalid, once for each analyzer and reason, with what would mend it."""
    lines: list[str] = [f"{clip.name}: refused: {clip.error}" for clip in record.clips if clip.status == "refused"]
    for item in record.analyzers.values():
        if item.unavailable:
            lines.append(f"{item.name}: unavailable: {item.unavailable}" + (f" ({item.mend})" if item.mend else ""))
            continue
        if item.fallback:
            lines.append(item.fallback)
        if item.invalid:
            lines.append(f"{item.name}: invalid: {item.invalid}")
        clips: dict[tuple[str, str], list[str]] = {}
        for clip, outcome in item.outcomes.items():
            if outcome.status != "done":
                clips.setdefault((outcome.status.replace("_", " "), outcome.reason), []).append(clip)
        for (status, reason), names in clips.items():
            where = names[0] if len(names) == 1 else f"{len(names)} clips"
            lines.append(f"{item.name}: {where}: {status}{': ' + reason if reason else ''}")
    return lines


def summary(record: SystemRecord) -> list[str]:
    """The run in two lines, the prediction, and what became of the copy of a clip."""
    totals = record.totals
    foreseen = predicted(record)
    speed = f"{number(totals.x_realtime)} × realtime" if totals.x_realtime else "no clip was finished"
    return [
        f"{number(totals.video_s)} s of video in {number(totals.makespan_s)} s ({speed}) on {len(record.cores)} cores,"
        f" plan {record.plan};"
        f" {number(totals.load_wall_s)} s before that to load the workers",
        f"{number(totals.cpu_s)} CPU s, of which decoding {percent(totals.decode_share)}; cores held {percent(totals.utilisation)};"
        f" memory peak {megabytes(totals.pss_peak_bytes)} MB of all processes",
        *([foreseen] if foreseen else []),
        *([record.copy_check.words] if record.copy_check is not None else []),
    ]


def predicted(record: SystemRecord) -> str:
    """The makespan that was predicted before the run, and by how much it was off; '' where none was."""
    expected, took = record.prediction.get("makespan_s"), record.totals.makespan_s
    if not isinstance(expected, int | float) or not took or len(record.sessions) != 1:
        return ""
    return f"{number(expected)} s were predicted from measured timings, {100 * (expected / took - 1):+.0f} % off"
