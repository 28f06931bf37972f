"""A comparison in the terminal: the verdict, both arms, what the verdict rests on, and what speaks against it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reelbench.comparison.records import ComparisonRecord, Effect
from reelbench.report.ab_wording import (
    EXIT_WORDS,
    ArmFigures,
    also,
    arm_figures,
    calibration_line,
    change,
    guard,
    hidden,
    in_times,
    interval,
    level,
    points,
    pooled_words,
    quality_bounds,
    verdict_words,
)
from reelbench.report.run_data import RunData
from reelbench.report.terminal import console
from reelbench.report.wording import NONE, megabytes, metric, number, percent, plain, score

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_QUALITY_STYLES = {"worse": "bold red", "underpowered": "yellow"}
_STYLES = {"good": "bold green", "warn": "bold yellow", "bad": "bold red"}
_NAME_WIDTH = 14


def print_comparison(
    record: ComparisonRecord,
    report: Path | str = "",
    runs: Sequence[RunData | None] = (None, None),
    to: Console | None = None,
) -> None:
    """Print a comparison. ``runs`` are the run folders of A and B: without them the table lacks × realtime and ms/frame."""
    target = to or console()
    target.print(_verdict(record))
    target.print()
    target.print(_table(arm_figures(record, runs), record))
    target.print()
    for name, text, style in _lines(record):
        target.print(_line(name, text, style))
    if report:
        target.print(_labelled("report", "bold"), _labelled(str(report)), sep="  ", soft_wrap=True)


def comparison_json(record: ComparisonRecord, report: Path | str = "") -> dict[str, Any]:
    """What ``--json`` prints: the record, and the path of its page."""
    return {**record.model_dump(mode="json"), "report": str(report)}


def comparison_text(
    record: ComparisonRecord,
    report: Path | str = "",
    runs: Sequence[RunData | None] = (None, None),
    width: int = 100,
) -> str:
    """What `print_comparison` prints, without colours."""
    from io import StringIO

    from rich.console import Console

    written = StringIO()
    print_comparison(record, report, runs, Console(file=written, width=width, color_system=None, highlight=False))
    return written.getvalue()


def _verdict(record: ComparisonRecord) -> Text:
    from rich.text import Text

    words = verdict_words(record).upper()
    if record.quality is not None and words != "INVALID":
        words += f", quality {record.quality.verdict.upper()}"
    meaning = EXIT_WORDS.get(record.exit_code, "")
    head = Text(words, style=_STYLES[level(record)])
    head.append(f"  (exit {record.exit_code}{': ' + meaning if meaning else ''})\n", style="not bold")
    return head.append(plain(record.sentence), style="not bold default")


def _table(arms: Sequence[ArmFigures], record: ComparisonRecord) -> Table:
    """A row an arm; a column without any figure is left out."""
    from rich import box
    from rich.table import Table

    metric_name = metric(record.quality.metric) if record.quality and record.quality.metric else "quality"
    columns = [
        ("s/pass", [number(arm.pass_s) for arm in arms]),
        ("×real-\ntime", [number(arm.x_realtime) for arm in arms]),
        ("ms/frame\np50", [number(arm.ms_p50) for arm in arms]),
        ("cold\nstart s", [number(arm.cold_start_s) for arm in arms]),
        ("RSS\nMB", [megabytes(arm.rss_peak_bytes) for arm in arms]),
        ("VRAM\nMB", [megabytes(arm.vram_peak_bytes) for arm in arms]),
        (f"{plain(metric_name)}\nclip mean", [score(arm.quality) for arm in arms]),
    ]
    shown = [(head, cells) for head, cells in columns if any(cell != NONE for cell in cells)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    table.add_column("arm", overflow="fold")
    for head, _ in shown:
        table.add_column(head, justify="right", overflow="fold")
    table.add_column("what executed", overflow="fold")
    for index, arm in enumerate(arms):
        name = arm.label if arm.variant in arm.label else f"{arm.label} ({arm.variant})"
        cells = [_labelled(cells[index]) for _, cells in shown]
        table.add_row(_labelled(arm.letter.upper(), "bold"), _labelled(name), *cells, _labelled(arm.evidence or NONE))
    return table


def _lines(record: ComparisonRecord) -> list[tuple[str, str, str]]:
    """(name, text, style) of everything below the table."""
    lines: list[tuple[str, str, str]] = []
    if record.invalid or record.verdict == "invalid":
        lines.append(("effect", "none: these figures must not be used, and are shown to find out why", "bold red"))
    elif speed := record.speed:
        times = in_times(speed.effect)
        lines.append(("effect", f"{_effect(speed.effect, times)}; counts beyond ±{percent(speed.delta, 1)}", ""))
        if speed.adjusted is not None:
            lines.append(
                ("adjusted", f"{_effect(speed.adjusted, times)}, unequal waiting for a processor taken out", "")
            )
        if speed.across_clips is not None:
            clips = f"{speed.across_clips.pairs} clips"
            lines.append(
                ("across clips", f"{_effect(speed.across_clips, times)}, {clips}: for other clips like these", "")
            )
    lines += _quality(record)
    for audit in record.audits:
        if audit.status == "failed":
            arm = f" ({audit.arm.upper()})" if audit.arm else ""
            lines.append(("audit failed", f"{audit.name}{arm}: {audit.text}", "red"))
    passed = sum(audit.status == "passed" for audit in record.audits)
    if record.audits:
        lines.append(("audits", f"{passed} of {len(record.audits)} passed{_not_applicable(record)}", ""))
    known = record.calibration is not None
    lines.append(
        ("calibration", calibration_line(record.calibration, record.fingerprint), "" if known else "bold yellow")
    )
    return lines + [("note", note, "") for note in record.notes]


def _quality(record: ComparisonRecord) -> list[tuple[str, str, str]]:
    quality = record.quality
    if quality is None:
        return [("quality", "not judged", "")]
    style = _QUALITY_STYLES.get(quality.verdict, "")
    parts: list[str] = [quality.verdict]
    if quality.difference is not None:
        parts.append(f"{metric(quality.metric)} {points(quality.difference)} points")
    parts += [part for part in (quality_bounds(quality), quality.reason) if part]
    if quality.agreement is not None:
        parts.append(f"{metric(quality.agreement_metric)} with A {score(quality.agreement)}")
    clips = f"{quality.clips} clip{'' if quality.clips == 1 else 's'}{' (few)' if quality.few else ''}"
    lines = [("quality", "; ".join([*parts, clips]), style)]
    if may := hidden(quality.hidden_share, quality.losing_clips, quality.clips):
        lines.append(("", f"{may} (95 % bound)", ""))
    if pooled := pooled_words(quality):
        lines.append(("pooled", f"{metric(quality.metric)} over all clips pooled: {pooled}", ""))
    lines += [
        ("", f"{metric(name)} {also(one)}", _QUALITY_STYLES.get(one.verdict, "")) for name, one in quality.also.items()
    ]
    lines += [
        ("guardrail", f"{metric(name)} {guard(one)}", _QUALITY_STYLES.get(one.verdict, ""))
        for name, one in quality.guards.items()
    ]
    falls = sorted(quality.per_clip.items(), key=lambda item: item[1].b - item[1].a)
    limit = -(quality.margin or 0.0)
    worst = [f"{clip} {points(found.b - found.a)}" for clip, found in falls[:3] if found.b - found.a < limit]
    return lines + ([("worst clips", ", ".join(worst), "")] if worst else [])


def _not_applicable(record: ComparisonRecord) -> str:
    names = [audit.name for audit in record.audits if audit.status == "not applicable"]
    return f", not applicable: {', '.join(dict.fromkeys(names))}" if names else ""


def _effect(effect: Effect, times: bool) -> str:
    return f"{change(effect.ratio, times)} ({interval(effect, times)})"


def _line(name: str, text: str, style: str) -> Table:
    from rich.table import Table

    line = Table.grid(padding=(0, 1, 0, 0))
    line.add_column(width=_NAME_WIDTH, no_wrap=True)
    line.add_column(overflow="fold")
    line.add_row(_labelled(name, style or "bold"), _labelled(text, style))
    return line


def _labelled(words: str, style: str = "") -> Text:
    """Never markup, never a control code: clip names and error lines come from outside."""
    from rich.text import Text

    return Text(plain(words), style=style)
