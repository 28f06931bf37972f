"""The table that a run ends with, what belongs under it, and the path of the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from reelbench.bench.records import RunRecord
from reelbench.console import console as guarded_console
from reelbench.report.rows import Row, rows_of
from reelbench.report.wording import NONE, megabytes, number, plain, score

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

Item = RunRecord | Row

PLAIN_WIDTH = 100
MOST_LINES = 12
_VARIANT_WIDTH = 18
_EVIDENCE_WIDTH = 16
_STYLES = {"finished": "green", "unavailable": "yellow", "interrupted": "yellow", "running": "yellow"}


def console(stream: TextIO | None = None) -> Console:
    """A console that writes to ``stream`` (stdout); where that is no terminal, 100 columns wide and without colour codes."""
    found = guarded_console(stream)
    return found if found.is_terminal else guarded_console(stream, width=PLAIN_WIDTH, color_system=None)


def run_table(items: Sequence[Item], width: int = PLAIN_WIDTH) -> Table:
    """One row a variant, laid out for ``width`` columns; one figure a line where so few columns hold no table."""
    return _layout(rows_of(items), width)[0]


def print_runs(items: Sequence[Item], report: str = "", to: Console | None = None) -> None:
    """The table, then what went wrong and what deserves to be known, then where the page is."""
    target = to or console()
    rows = rows_of(items)
    table, shows_evidence = _layout(rows, target.width)
    target.print(table)
    for line in lines_below(rows, evidence=not shows_evidence):
        target.print(line)
    if report:
        target.print(_labelled("report", "bold"), _text(report), sep="  ", soft_wrap=True)


def _layout(rows: Sequence[Row], width: int) -> tuple[Table, bool]:
    """The widest layout that fits, and whether it shows the evidence; where it does not, the evidence stands below."""
    from rich.console import Console

    unlimited = Console(width=10_000)
    for with_evidence in (True, False):
        table = _upright(rows, with_evidence=with_evidence)
        if unlimited.measure(table).minimum <= width:
            return table, with_evidence
    return _turned(rows), True


def run_text(items: Sequence[Item], report: str = "", width: int = PLAIN_WIDTH) -> str:
    """What `print_runs` prints, without colours."""
    from io import StringIO

    from rich.console import Console

    written = StringIO()
    print_runs(items, report, Console(file=written, width=width, color_system=None, highlight=False))
    return written.getvalue()


def lines_below(rows: Sequence[Row], *, evidence: bool = False) -> list[RenderableType]:
    """Reasons, clips without figures, notes: each under the variant that it belongs to, once where it holds for all."""
    from rich.padding import Padding

    remarks = [(row.variant, _remarks(row, evidence=evidence)) for row in rows]
    everywhere = [("note", note) for note in _shared_notes(rows)]
    lines: list[RenderableType] = []
    for variant, found in [*remarks, ("every variant", everywhere)]:
        own = [remark for remark in found if found is everywhere or remark not in everywhere]
        if not own:
            continue
        lines.append(_labelled(variant, "bold"))
        shown = [f"{what}: {text}" for what, text in own[:MOST_LINES]]
        if len(own) > MOST_LINES:
            shown.append(f"and {len(own) - MOST_LINES} more: see the report")
        lines.extend(Padding(_text(line), (0, 0, 0, 2), expand=False) for line in shown)
    return lines


def _shared_notes(rows: Sequence[Row]) -> list[str]:
    """Notes that every variant with notes has, where that is more than one."""
    noted = [row.notes for row in rows if row.notes]
    return [note for note in noted[0] if all(note in notes for notes in noted)] if noted[1:] else []


def _remarks(row: Row, *, evidence: bool) -> list[tuple[str, str]]:
    remarks = [(row.status, row.reason)] if row.reason else []
    remarks += [("fallback", row.fallback)] if row.fallback else []
    remarks += [("mend", row.hint)] if row.hint else []
    remarks += [("executed", row.evidence)] if evidence and row.evidence else []
    remarks += [("clip", problem) for problem in row.problems]
    return remarks + [("note", note) for note in row.notes]


def _upright(rows: Sequence[Row], *, with_evidence: bool) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True, header_style="bold")
    longest = max((len(word) for row in rows for word in row.variant.split()), default=0)
    table.add_column("variant", overflow="fold", min_width=min(longest, _VARIANT_WIDTH))
    table.add_column("status", no_wrap=True)
    for heading in ("×real-\ntime", "ms/frame\np50", "\np95", "cold\nstart s", "RSS\nMB"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column(_quality_heading(rows), justify="right", overflow="fold")
    if with_evidence:
        table.add_column("evidence", overflow="fold", min_width=_EVIDENCE_WIDTH)
    for row in rows:
        cells = [_text(row.variant), _status(row), *(_text(cell) for cell in _figures(row)), _text(_quality(row, rows))]
        table.add_row(*cells, *([_text(row.evidence or NONE)] if with_evidence else []))
    return table


def _turned(rows: Sequence[Row]) -> Table:
    """Two columns, one figure a line: what a very narrow window can still show."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE, show_header=False, pad_edge=False, show_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    names = ("× realtime", "ms/frame p50", "ms/frame p95", "cold start s", "RSS peak MB")
    for row in rows:
        table.add_row(_labelled("variant", "bold"), _labelled(row.variant, "bold"))
        table.add_row("status", _status(row))
        for name, cell in zip(names, _figures(row), strict=True):
            table.add_row(name, _text(cell))
        table.add_row("quality", _text(NONE if row.quality is None else f"{row.quality_metric} {score(row.quality)}"))
        table.add_row("evidence", _text(row.evidence or NONE), end_section=True)
    return table


def _figures(row: Row) -> tuple[str, ...]:
    return (
        number(row.x_realtime),
        number(row.frame_ms_p50),
        number(row.frame_ms_p95),
        number(row.cold_start_s),
        megabytes(row.rss_peak_bytes),
    )


def _quality_heading(rows: Sequence[Row]) -> str:
    metrics = {row.quality_metric for row in rows if row.quality is not None}
    return plain(metrics.pop()) if len(metrics) == 1 else "quality"


def _quality(row: Row, rows: Sequence[Row]) -> str:
    """The score alone where the heading names its metric, else with its name: two metrics never look like one."""
    if row.quality is None:
        return NONE
    return score(row.quality) if _quality_heading(rows) != "quality" else f"{row.quality_metric} {score(row.quality)}"


def _status(row: Row) -> RenderableType:
    return _labelled(row.status, _STYLES.get(row.status, "red"))


def _text(words: str) -> RenderableType:
    """Never markup, never a control code: clip names and error lines come from outside."""
    from rich.text import Text

    return Text(plain(words))


def _labelled(words: str, style: str) -> RenderableType:
    from rich.text import Text

    return Text(plain(words), style=style)
