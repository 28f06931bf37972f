"""What `reelbench plan` prints: timings, a prediction, a prediction beside a run, and what faster parts would bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reelbench.report.terminal import console
from reelbench.report.wording import NONE, megabytes, moment, number, percent, plain
from reelbench.system.planning.bounds import CORES
from reelbench.system.planning.compare import Comparison
from reelbench.system.planning.fit import Fit
from reelbench.system.planning.predict import Prediction
from reelbench.system.planning.whatif import WhatIf
from reelbench.system.tasks import Timings

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

MOST_STEPS = 12


def print_timings(
    timings: Timings,
    path: Path,
    here: str,
    fits: Sequence[Fit] = (),
    missing: Sequence[str] = (),
    to: Console | None = None,
) -> None:
    """One row a task; ``here`` is the fingerprint of this machine. Where they were just made: ``fits`` say how well the lines fit,
    ``missing`` are the analyzers of which nothing was done."""
    target = to or console()
    errors = {fit.name: f"{percent(fit.error)} of {fit.clips}" for fit in fits}
    table = _table(
        "analyzer", "variant", fixed="fixed s", slope="s per\nvideo s", cpu="CPU s per\nvideo s", beside="beside\nothers ×",
        load="load s", pss="PSS\nMB", seen="seen", error="off by, clips",
    )  # fmt: skip
    for name, timing in timings.tasks.items():
        _row(
            table, name, timing.variant or NONE, number(timing.fixed_s), number(timing.per_video_s),
            number(timing.cpu_per_video_s), number(timing.beside), number(timing.load_s), megabytes(timing.pss_bytes), str(timing.seen),
            errors.get(name, NONE),
        )  # fmt: skip
    target.print(table)
    where = "this machine" if timings.fingerprint == here else "another machine than this"
    if missing:
        _say(target, f"note: nothing was done of {', '.join(missing)}: not measured")
    _say(target, f"measured on {where}: {timings.machine or NONE}; {moment(timings.created)}", f"timings  {path}")


def print_prediction(prediction: Prediction, *, schedule: bool = False, to: Console | None = None) -> None:
    """The parts, the figures, the critical path; with ``schedule`` what runs on each core."""
    target = to or console()
    table = _table("analyzer", seconds="seconds", share="share of\nall work", path="on the\ncritical path")
    for part in prediction.parts:
        path = f"{number(part.path_s)} s" if part.path_s else NONE
        _row(
            table,
            part.name if part.measured else f"{part.name} (not measured)",
            number(part.seconds),
            percent(part.share),
            path,
        )
    target.print(table)
    if schedule:
        for core in prediction.cores:
            own = [span for span in prediction.spans if core in span.cores and span.kind == "task"]
            _say(
                target,
                f"core {core}",
                *(f"  {span.start_s:8.2f} {span.end_s:8.2f}  {span.clip}: {span.name}" for span in own),
            )
    _say(target, *path_lines(prediction), *prediction_lines(prediction), *_notes(prediction.notes))


def prediction_lines(prediction: Prediction) -> list[str]:
    """The prediction in three lines."""
    p = prediction
    above = (
        f"{percent(p.makespan_s / p.lower_s - 1)} above what no plan can beat ({number(p.lower_s)} s)"
        if p.lower_s
        else ""
    )
    return [
        f"plan {p.plan}: {number(p.video_s)} s of video in {p.clips} clips predicted to take {number(p.makespan_s)} s"
        f" ({number(p.x_realtime)} × realtime) on {len(p.cores)} cores; {number(p.load_wall_s)} s before that to load the workers",
        f"cores held {percent(p.utilisation)}; {above}; memory {megabytes(p.pss_peak_bytes)} MB",
        limit_line(p.limit, p.largest.name if p.largest else ""),
    ]


def limit_line(limit: str, largest: str) -> str:
    if limit == CORES:
        return f"limited by the cores: whatever costs less processor time helps, {largest} first"
    return f"limited by {limit}: its tasks one after the other take longer than all work shared out over the cores"


def path_lines(prediction: Prediction) -> list[str]:
    """The critical path; of a long one its largest steps."""
    steps = prediction.path
    shown = steps
    if len(steps) > MOST_STEPS:
        largest = sorted(steps, key=lambda step: step.start_s - step.end_s)[:MOST_STEPS]
        shown = sorted(largest, key=lambda step: step.start_s)
    head = f"critical path, {len(steps)} steps" + (f", the {MOST_STEPS} longest:" if len(steps) > MOST_STEPS else ":")
    lines = [
        f"  at {number(s.start_s)} s, {number(s.end_s - s.start_s)} s: {s.clip}: {s.name}, after {s.why}" for s in shown
    ]
    return [head, *lines]


def print_comparison(comparison: Comparison, to: Console | None = None) -> None:
    """Prediction and run, part by part and as a whole."""
    c, target = comparison, to or console()
    table = _table(
        "analyzer", predicted="predicted s", real="run s", ratio="predicted\n/ run", path="on the run's\ncritical path"
    )
    for part in c.parts:
        path = f"{number(part.real_path_s)} s" if part.real_path_s else NONE
        _row(table, part.name, number(part.predicted_s), number(part.real_s), number(part.ratio), path)
    _row(table, "makespan", number(c.predicted_s), number(c.real_s), number(c.predicted_s / c.real_s), "")
    target.print(table)
    _say(
        target,
        f"predicted {number(c.predicted_s)} s, run {c.run} took {number(c.real_s)} s: {_signed(c.error)}",
        f"with the seconds that its tasks really took the same plan is predicted to take {number(c.replayed_s)} s:"
        f" {_signed(c.replay_error)}",
        f"its tasks waited {number(c.waited_s)} s for cores that others used; without that it is reckoned to have taken"
        f" {number(c.quiet_s)} s",
        f"cores held {percent(c.prediction.utilisation)} predicted, {percent(c.real_utilisation)} in the run",
        limit_line(c.prediction.limit, c.prediction.largest.name if c.prediction.largest else ""),
        *_notes(c.notes),
    )


def print_what_if(found: WhatIf, to: Console | None = None) -> None:
    """Before and after, then what each part alone would bring."""
    target = to or console()
    table = _table("twice as fast", seconds="seconds", share="share of\nall work", twice="makespan s", gain="shorter by",
                   free="shorter by, if\nit cost nothing")  # fmt: skip
    for gain in found.table:
        _row(
            table, gain.name, number(gain.seconds), percent(gain.share, 1), number(gain.twice_s), percent(gain.twice_gain, 1),
            percent(gain.free_gain, 1),
        )  # fmt: skip
    target.print(table)
    now = f"as it is: {number(found.before_s)} s ({number(found.before_x_realtime)} × realtime), limited by {found.before_limit}"
    _say(target, now)
    if found.factors:
        _say(
            target,
            f"with {words(found.factors)}: {number(found.after_s)} s ({number(found.after_x_realtime)} × realtime),"
            f" limited by {found.after_limit}: {number(found.speedup)} times as fast from end to end",
        )
    _say(target, *_notes(found.notes))


def words(factors: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {factor:g} times as fast" for name, factor in factors.items())


def _signed(error: float) -> str:
    return f"{100 * error:+.1f} %"


def _notes(notes: Sequence[str]) -> list[str]:
    return [f"note: {note}" for note in notes]


def _say(target: Console, *lines: str) -> None:
    from rich.text import Text

    for line in lines:
        target.print(Text(plain(line)), soft_wrap=True)


def _table(first: str, *left: str, **right: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True, header_style="bold")
    table.add_column(first, no_wrap=True)
    for heading in left:
        table.add_column(heading, overflow="fold")
    for heading in right.values():
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _row(table: Table, *cells: str) -> None:
    from rich.text import Text

    table.add_row(*(Text(plain(cell)) for cell in cells))
