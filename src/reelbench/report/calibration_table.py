"""What a calibration found, in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reelbench.comparison.calibrated import MOST_FALSE_ALARMS, proof
from reelbench.comparison.records import Calibrated, Share
from reelbench.report.terminal import console
from reelbench.report.wording import NONE, duration, percent, plain

if TYPE_CHECKING:
    from rich.console import Console

"""A gate refuses where the false-alarm rate is certainly above it."""


def print_calibration(found: Calibrated, file: Path, folder: Path, to: Console | None = None) -> None:
    """A row for identical code and one for each slow-down, then what follows for verdicts on this machine."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    target = to or console()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for heading in ("B against A", "said", "decisions", "share", "95 % bounds", "measured effect"):
        table.add_column(heading, justify="left" if heading in ("B against A", "said") else "right", overflow="fold")
    for row in rows(found):
        table.add_row(*row)
    target.print(table)
    target.print()
    for line in lines(found):
        target.print(Text(plain(line)))
    target.print(Text(plain(f"kept for this machine: {file}")), soft_wrap=True)
    target.print(Text(plain(f"raw pairs: {folder}")), soft_wrap=True)


def rows(found: Calibrated) -> list[tuple[str, ...]]:
    identical = Share(
        count=found.false_alarms,
        decisions=found.decisions,
        rate=found.false_alarm_rate,
        low=found.false_alarm_low,
        high=found.false_alarm_high,
    )
    table: list[tuple[str, ...]] = [
        ("identical", "faster or slower", *_cells(identical), f"within ±{percent(found.floor, 1)}")
    ]
    for size, one in sorted(found.power_bounds.items(), key=lambda item: -float(item[0])):
        effect = found.measured_slow_down.get(size)
        shown = NONE if effect is None else f"{100 * effect:+.1f} %".replace("-", "−")
        table.append((f"{100 * float(size):g} % slower", "slower", *_cells(one), shown))
    return table


def lines(found: Calibrated) -> list[str]:
    """What the figures mean for a reader."""
    low = NONE if found.floor_low is None else percent(found.floor_low, 1)
    bounds = f"bounds {low} to {percent(found.floor_high, 1)}"
    if found.floor_high is None:
        bounds = f"at least {low}, too few decisions for an upper bound"
    said = [
        f"floor: 95 % of the estimates on identical code lay within ±{percent(found.floor, 1)} ({bounds})",
        f"a change counts on this machine from {percent(max(found.floor, found.smallest_change), 1)}",
    ]
    if found.floor_between_runs is not None:
        said.append(
            f"measured one after the other, as separate runs are, identical code differs by up to "
            f"{percent(found.floor_between_runs, 1)} (95 %)"
        )
    if found.process_deviation is not None:
        said.append(
            f"processes of the same code differ by {percent(found.process_deviation, 1)} (standard deviation; 95 % interval "
            f"{percent(found.process_low, 1)} to {percent(found.process_high, 1)}, {found.processes} pairs of processes): "
            "every later interval carries the upper end"
        )
    if proof(found) == "unproven":
        said.append(
            f"unproven: {found.decisions} decisions exclude a false-alarm rate above {percent(found.false_alarm_high, 1)} only, "
            f"not one above {percent(MOST_FALSE_ALARMS)}; 72 without a false alarm would: reelbench calibrate --decisions 72"
        )
    if proof(found) == "too noisy":
        said.append(
            f"a gate refuses on this machine: its false-alarm rate is certainly above {percent(MOST_FALSE_ALARMS)} "
            f"(at least {percent(found.false_alarm_low, 1)})"
        )
    if found.seconds is not None and found.median_pairs is not None:
        pairs = f"{found.median_pairs:g} pairs a decision (median)"
        said.append(f"measured: {found.what}; {pairs}, {duration(found.seconds)} in all")
    return said


def _cells(one: Share) -> tuple[str, str, str]:
    return f"{one.count} of {one.decisions}", percent(one.rate, 1), f"{percent(one.low, 1)} to {percent(one.high, 1)}"
