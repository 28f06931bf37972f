"""Progress of a system run: how far the whole is, how long it still takes, and how far each analyzer is.

On a terminal a bar for the whole with a line for each analyzer beneath it; elsewhere one plain line a clip when it is begun, and one
with all analyzers now and then.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, TextIO

from reelbench.report.progress import REDRAW_S, Progress, time_left
from reelbench.report.wording import plain
from reelbench.system.pace import Standing

if TYPE_CHECKING:
    from rich.table import Table

TELL_EVERY_S = 30.0
_SPARE_LINES = 4


class SystemProgress(Progress):
    """What `reelbench.system.executor` tells: `update` when a task is started, with the analyzer as ``phase``, and `standings`."""

    def __init__(
        self, stream: TextIO | None = None, *, redraw_s: float = REDRAW_S, tell_every_s: float = TELL_EVERY_S
    ) -> None:
        super().__init__(stream, redraw_s=redraw_s)
        self._told = monotonic()
        self._every_s = tell_every_s

    def standings(self, rows: Sequence[Standing], left_s: float | None) -> None:
        """Every analyzer, and the time that is left of the whole."""
        if self._console is None:
            if monotonic() - self._told >= self._every_s:
                self._told = monotonic()
                self.message(in_one_line(rows, left_s))
            return
        over, tasks = _over(rows)
        if self._bar is None:
            self._begin_bar("", tasks)
        self._beneath = _table(rows, self._console.width, self._console.height - _SPARE_LINES)
        self._draw("all analyzers", over, tasks, f"{over}/{tasks}{time_left(left_s)}")

    def update(
        self, clip: str, phase: str, done: int, total: int | None = None, seconds_left: float | None = None
    ) -> None:
        """On a terminal `standings` says all that."""
        if self._console is None:
            super().update(clip, phase, done, total, seconds_left)


def in_one_line(rows: Sequence[Standing], left_s: float | None) -> str:
    """'67 of 253 tasks over, about 40 s left: eye 3/11, ear 2/11 (1 not done)'."""
    over, tasks = _over(rows)
    return (
        f"{over} of {tasks} tasks over{time_left(left_s)}: {', '.join(f'{row.name} {_figures(row)}' for row in rows)}"
    )


def _over(rows: Sequence[Standing]) -> tuple[int, int]:
    return sum(row.done + row.missed for row in rows), sum(row.clips for row in rows)


def _figures(row: Standing) -> str:
    return f"{row.done}/{row.clips}" + (f" ({row.missed} not done)" if row.missed else "")


def _table(rows: Sequence[Standing], width: int, height: int) -> Table:
    """A line for each analyzer, in as many columns as the terminal needs and has room for."""
    from rich.table import Table
    from rich.text import Text

    lines = [(f"{'>' if row.running else ' '} {plain(row.name)}", _figures(row), _style(row)) for row in rows]
    needed = max((len(name) + len(figures) + 4 for name, figures, _ in lines), default=1)
    columns = max(1, min(-(-len(lines) // max(1, height)), width // needed))
    depth = -(-len(lines) // columns)
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(columns):
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
    for at in range(depth):
        cells = [lines[place] for place in range(at, len(lines), depth)]
        table.add_row(*(Text(text, style=style) for name, figures, style in cells for text in (name, figures)))
    return table


def _style(row: Standing) -> str:
    if row.missed:
        return "red"
    return "bold" if row.running else "dim" if row.done == row.clips else ""
