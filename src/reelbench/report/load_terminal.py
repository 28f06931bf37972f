"""The table that a load run ends with: latency by kind of video, throughput, memory, and whether the bound was kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reelbench.load.records import Bound, Figures, LoadRecord, Percentile
from reelbench.report.terminal import console
from reelbench.report.wording import NONE, evidence_line, megabytes, number, percent, plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

SCENARIO_WORDS = {
    "offline": "all clips at once",
    "single_stream": "one clip after the other",
    "server": "clips arrive when they want (Poisson)",
}
ALL = "all"


def print_load(record: LoadRecord, report: str = "", to: Console | None = None) -> None:
    """What was done and how fast, a row a kind of video, what failed, and where the page is."""
    from rich.padding import Padding
    from rich.text import Text

    target = to or console()
    target.print(Text(f"{record.scenario}: {SCENARIO_WORDS[record.scenario]}", style="bold"))
    target.print(load_table(record))
    for line in reasons(record):
        target.print(Padding(Text(plain(line)), (0, 0, 0, 2), expand=False))
    for line in summary(record):
        target.print(Text(plain(line)))
    if record.bound is not None:
        style = "green" if record.bound.kept else "yellow" if record.bound.kept is None else "bold red"
        target.print(Text(bound_line(record.bound), style=style))
    if report:
        target.print(Text("report", style="bold"), Text(plain(report)), sep="  ", soft_wrap=True)


def load_table(record: LoadRecord) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True, header_style="bold")
    table.add_column("kind of video", no_wrap=True)
    for heading in ("clips", "video s", "p50 s", "p90 s", "p99 s", "waited s\nmedian", "work s per\nvideo s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, found in rows(record):
        style = "bold" if name == ALL else ""
        figures = (
            number(found.video_s),
            *percentiles(found),
            number(found.waited_s_median),
            number(found.work_per_video_s),
        )
        table.add_row(Text(plain(name)), clips(found), *figures, style=style)
    return table


def rows(record: LoadRecord) -> list[tuple[str, Figures]]:
    return [*record.by_kind.items(), (ALL, record.figures)]


def clips(found: Figures) -> str:
    """How many are in the figures, and how many failed."""
    return f"{found.queries}, {found.failed} failed" if found.failed else str(found.queries)


def percentiles(found: Figures) -> list[str]:
    """p50, p90 and p99 in seconds, marked where one is simply the longest."""
    return [_seconds(one) for one in found.percentiles] or [NONE] * 3


def _seconds(one: Percentile) -> str:
    return f"{number(one.seconds)}{' (max)' if one.maximum else ''}"


def reasons(record: LoadRecord) -> list[str]:
    """What is not in the figures, and why; and what else a reader must know."""
    lines = [f"{clip}: refused: {why}" for clip, why in record.refused.items()]
    lines += [f"{name}: invalid: {why}" for name, why in record.invalid.items()]
    lines += [f"{query.name}: {query.reason}" for query in record.counted if query.status == "failed"]
    pending = sum(query.status == "pending" for query in record.counted)
    if pending:
        lines.append(f"{pending} of {len(record.counted)} clips were not done when it was cut off")
    left = [name for name, status in record.analyzers.items() if status == "unavailable"]
    if left:
        lines.append(f"not in it, unavailable here: {', '.join(left)}")
    return [*lines, *record.notes]


def executed(record: LoadRecord) -> list[tuple[str, str]]:
    """Each analyzer and what its workers said that they executed."""
    return [(name, evidence_line(found)) for name, found in record.executed.items()]


def summary(record: LoadRecord) -> list[str]:
    """Throughput, what was offered, what a small number of samples means, memory."""
    found = record.figures
    lines = [
        f"{found.queries} clips, {number(found.video_s)} s of video in {number(record.span_s)} s:"
        f" {number(record.per_min)} clips a minute, {number(record.video_per_s)} × realtime, on {len(record.cores)} cores,"
        f" held {percent(record.utilisation)}"
    ]
    if record.rate_per_min is not None:
        lines.append(
            f"offered {number(record.rate_per_min)} clips a minute ({record.rate_source});"
            f" at most {record.in_system_most} clips were there at once"
        )
    if said := few_words(found):
        lines.append(said)
    lines.append(
        f"memory of all processes: peak {megabytes(record.pss_peak_bytes)} MB over {len(record.memory)} looks;"
        f" {number(record.load_wall_s)} s before the first clip to load the workers"
    )
    by_words: dict[str, list[str]] = {}
    for name, words in executed(record):
        by_words.setdefault(words, []).append(name)
    lines += [f"executed {words}: {', '.join(names)}" for words, names in by_words.items()]
    return lines


def few_words(found: Figures) -> str:
    """Says of which percentiles nothing but the longest latency is known; '' where of none."""
    names = [f"p{one.percent:g}" for one in found.percentiles if one.maximum]
    if not names:
        return ""
    return f"{' and '.join(names)} of {found.queries} samples {'is' if len(names) == 1 else 'are'} the maximum"


def bound_line(bound: Bound) -> str:
    """'kept: p99 12.3 s of 33 samples (the maximum) is at most 15 s'."""
    if bound.kept is None:
        return f"bound not judged: no clip was done (p{bound.percent:g} was to be at most {number(bound.limit_s)} s)"
    if bound.found_s is None:
        return "bound broken: no clip was done"
    what = f"p{bound.percent:g} {number(bound.found_s)} s of {bound.samples} samples"
    what += " (the maximum)" if bound.maximum else ""
    if bound.kept:
        return f"bound kept: {what} is at most {number(bound.limit_s)} s"
    if bound.found_s <= bound.limit_s:
        return f"bound broken: some clip failed ({what}, {number(bound.limit_s)} s allowed)"
    return f"bound broken: {what} is more than {number(bound.limit_s)} s"
