"""A comparison of two systems in the terminal: the verdict, both arms, every analyzer, and what speaks against it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from reelbench.comparison.records import ArmName, Effect
from reelbench.report.ab_wording import (
    EXIT_WORDS,
    bounds,
    calibration_line,
    change,
    hidden,
    in_times,
    interval,
    level,
    points,
)
from reelbench.report.terminal import console
from reelbench.report.wording import NONE, evidence_line, megabytes, metric, number, percent, plain, score
from reelbench.system.ab.records import Judged, SystemComparison

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_STYLES = {"good": "bold green", "warn": "bold yellow", "bad": "bold red"}
_QUALITY_STYLES = {"worse": "bold red", "underpowered": "yellow", "not worse": "green"}


@dataclass(frozen=True, slots=True)
class ArmFigures:
    """One arm: medians over its runs; ``runs`` says how many, ``pss_peak_bytes`` is the largest."""

    letter: str
    label: str
    settings: str
    runs: int
    makespan_s: float | None
    x_realtime: float | None
    cpu_s: float | None
    utilisation: float | None
    decode_share: float | None
    load_wall_s: float | None
    pss_peak_bytes: float | None

    @property
    def name(self) -> str:
        """The label, and what it stands for where it does not say that itself."""
        return self.label if "=" in self.label.split()[0] else f"{self.label} ({self.settings})"


def arm_figures(record: SystemComparison) -> tuple[ArmFigures, ArmFigures]:
    return _figures(record, "a"), _figures(record, "b")


def _figures(record: SystemComparison, name: ArmName) -> ArmFigures:
    runs, arm = record.of(name), record.arm(name)

    def middle(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return median(known) if known else None

    return ArmFigures(
        letter=name.upper(),
        label=arm.label,
        settings=arm.variant,
        runs=len(runs),
        makespan_s=middle([run.makespan_s for run in runs]),
        x_realtime=middle([run.video_s / run.makespan_s if run.makespan_s else None for run in runs]),
        cpu_s=middle([run.cpu_s for run in runs]),
        utilisation=middle([run.utilisation for run in runs]),
        decode_share=middle([run.decode_share for run in runs]),
        load_wall_s=middle([run.load_wall_s for run in runs]),
        pss_peak_bytes=max((run.pss_peak_bytes for run in runs if run.pss_peak_bytes is not None), default=None),
    )


def print_system_comparison(record: SystemComparison, report: Path | str = "", to: Console | None = None) -> None:
    """The verdict and its sentence, a row an arm, a row an analyzer, the rest in lines, and where the page is."""
    from rich.text import Text

    target = to or console()
    target.print(_verdict(record))
    target.print()
    target.print(arms_table(record))
    if record.analyzers:
        target.print()
        target.print(analyzers_table(record))
    target.print()
    for line in lines(record):
        target.print(Text(plain(line)))
    if report:
        target.print(Text("report", style="bold"), Text(plain(str(report))), sep="  ", soft_wrap=True)


def comparison_json(record: SystemComparison, report: Path | str = "") -> dict[str, Any]:
    """What ``--json`` prints: the record, and the path of its page."""
    return {**record.model_dump(mode="json"), "report": str(report)}


def _verdict(record: SystemComparison) -> Text:
    from rich.text import Text

    words = "INVALID" if record.invalid else (record.verdict or "not decided").upper()
    if record.quality is not None and not record.invalid:
        words += f", quality {record.quality.upper()}"
    meaning = EXIT_WORDS.get(record.exit_code, "")
    head = Text(words, style=_STYLES[level(record.as_comparison())])
    head.append(f"  (exit {record.exit_code}{': ' + meaning if meaning else ''})\n", style="not bold")
    return head.append(plain(record.sentence), style="not bold default")


def arms_table(record: SystemComparison) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True, header_style="bold")
    table.add_column("", no_wrap=True)
    table.add_column("arm", overflow="fold")
    for heading in (
        "runs",
        "makespan s",
        "×real-\ntime",
        "CPU s",
        "cores\nheld",
        "decod-\ning",
        "load s",
        "memory\nMB",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for arm in arm_figures(record):
        table.add_row(
            arm.letter, _plain(arm.name), str(arm.runs), number(arm.makespan_s),
            number(arm.x_realtime), number(arm.cpu_s), percent(arm.utilisation), percent(arm.decode_share),
            number(arm.load_wall_s), megabytes(arm.pss_peak_bytes),
        )  # fmt: skip
    return table


def analyzers_table(record: SystemComparison) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True, header_style="bold")
    table.add_column("analyzer", no_wrap=True)
    for heading in ("CPU s per\nvideo s, A", "B", "quality\nA", "B"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("metric", overflow="fold")
    table.add_column("B − A,\npoints", justify="right", no_wrap=True)
    table.add_column("clips", justify="right", no_wrap=True)
    table.add_column("quality of B", no_wrap=True)
    for one in record.analyzers.values():
        quality = one.quality
        table.add_row(
            _plain(one.name), number(one.cpu_per_video_s_a), number(one.cpu_per_video_s_b), score(quality.mean_a),
            score(quality.mean_b), _plain(metric(quality.metric) if quality.metric else NONE), points(quality.difference),
            str(quality.clips),
            _plain("invalid", "bold red") if one.invalid else _plain(one.verdict, _QUALITY_STYLES[one.verdict]),
        )  # fmt: skip
    return table


def executed_lines(record: SystemComparison) -> list[str]:
    """What executed in each arm, with the analyzers of which that is so."""
    found: list[str] = []
    for letter in ("a", "b"):
        names: dict[str, list[str]] = {}
        for one in record.analyzers.values():
            words = evidence_line(one.evidence_a if letter == "a" else one.evidence_b)
            names.setdefault(words or "nothing was read back", []).append(one.name)
        found += [f"executed in {letter.upper()}: {words} ({', '.join(of)})" for words, of in names.items()]
    return found


def why_lines(record: SystemComparison) -> list[str]:
    """What the verdicts on quality rest on where that is not the difference: a line a reason, with its analyzers."""
    names: dict[str, list[str]] = {}
    for one in record.analyzers.values():
        if why := _why(one):
            names.setdefault(f"{one.verdict}: {why}", []).append(one.name)
    return [f"{why} ({', '.join(found)})" for why, found in names.items()]


def _why(one: Judged) -> str:
    if one.verdict == "underpowered" and one.quality.verdict != "underpowered":
        return f"alone it would be {one.quality.verdict}, not among all that are judged here"
    if not one.quality.reason and one.quality.of_metric == "not worse":
        beside = {**one.quality.also, **one.quality.guards}
        others = [name for name, also in beside.items() if also.verdict == one.quality.verdict != "not worse"]
        return f"not the metric itself, but {', '.join(others)}, which must not get worse either" if others else ""
    return one.quality.reason


def difference(one: Judged) -> str:
    """'−3.4 (−6.1 to −0.7)': the mean over clips and its one-sided 95 % bounds."""
    span = bounds(one.quality)
    return points(one.quality.difference) + (f" ({span})" if span else "")


def verdict_words(one: Judged) -> str:
    """The verdict with what it rests on where that is not the difference, and on how few clips."""
    quality, why = one.quality, _why(one)
    words = f"{one.verdict}: {why}" if why else str(one.verdict)
    may = hidden(quality.hidden_share, quality.losing_clips, quality.clips)
    if one.verdict == "not worse" and may:
        return f"{words} ({may})"
    return (
        f"{words} ({quality.clips} clip{'' if quality.clips == 1 else 's'})" if quality.clips and quality.few else words
    )


def lines(record: SystemComparison) -> list[str]:
    """What a reader must know beside the tables."""
    found: list[str] = []
    if record.invalid:
        found.append("effect: none: these figures must not be used, and are shown to find out why")
    elif record.speed is not None:
        found.append(f"effect: {_effect(record.speed.effect)}; counts beyond ±{percent(record.speed.delta, 1)}")
        if record.speed.adjusted is not None:
            found.append(f"adjusted: {_effect(record.speed.adjusted)}, unequal waiting for a processor taken out")
    tested = sum(one.p_not_worse is not None for one in record.analyzers.values())
    if tested:
        found.append(f"quality: {tested} analyzers tested together (Holm), on {record.clips} clips")
    found += why_lines(record)
    found += executed_lines(record)
    found += [
        f"audit failed: {audit.name} ({audit.arm.upper()}): {audit.text}"
        for audit in record.audits
        if audit.status == "failed"
    ]
    if record.audits:
        passed = sum(audit.status == "passed" for audit in record.audits)
        absent = [f"{one.name} ({one.arm.upper()})" for one in record.audits if one.status == "not applicable"]
        words = f"; not applicable: {', '.join(absent)}" if absent else ""
        found.append(f"audits: {passed} of {len(record.audits)} passed{words}")
    if record.left_out:
        found.append(f"in neither arm, unavailable here: {', '.join(record.left_out)}")
    found += [f"{clip}: refused: {why}" for clip, why in record.refused.items()]
    if record.status in ("running", "interrupted"):
        found.append(f"not complete ({record.status}): the same command with --resume goes on")
    elif record.ended_early:
        found.append(
            "it ended after the pairs that were asked for: the same command with --resume and more --pairs goes on"
        )
    found.append(f"calibration: {calibration_line(record.calibration, record.fingerprint)}")
    return [*found, *record.notes]


def _effect(effect: Effect) -> str:
    times = in_times(effect)
    return f"{change(effect.ratio, times)} ({interval(effect, times)})"


def _plain(words: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(plain(words), style=style)
