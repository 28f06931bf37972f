"""Progress: a bar on a terminal, plain lines elsewhere, both on stderr.

Nothing here runs by itself: the bar is drawn when it is told something, at most twice a second, and no thread is started. The
process that shows it must not take time from the worker that is being measured.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from reelbench.console import console
from reelbench.processes import how_to_stop
from reelbench.report.wording import duration, plain

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

REDRAW_S = 0.5
_BAR_WIDTH = 24


class Progress:
    """What the runner tells the user while it works. Every method is cheap and returns at once.

    Use as a context manager, or call ``close``: it removes the bar, also when the work is cut off.
    """

    def __init__(self, stream: TextIO | None = None, *, redraw_s: float = REDRAW_S) -> None:
        import sys

        self._stream = stream or sys.stderr
        self._redraw_s = redraw_s
        self._drawn = float("-inf")
        self._said: set[str] = set()
        self._console = _terminal(self._stream)
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._total = 0
        self._beneath: RenderableType | None = None

    def stage(self, text: str) -> None:
        """A new part of the work ('fetching weights', 'measuring baseline'): one line."""
        self._end_bar()
        self._said.clear()
        self._line(text)

    def start(self, total_passes: int) -> None:
        """Passes over clips begin. ``total_passes`` may turn out to be fewer or more: `update` says so."""
        self._end_bar()
        self._total = total_passes
        if self._console is not None:
            self._begin_bar("starting", total_passes)

    def update(
        self, clip: str, phase: str, done: int, total: int | None = None, seconds_left: float | None = None
    ) -> None:
        """``done`` of ``total`` passes are over; the ``phase`` ('warm-up', 'timed') of ``clip`` goes on."""
        total = total if total is not None else self._total
        if self._console is None:
            self._once(
                clip, f"[{min(done + 1, total) if total else done + 1}/{total or '?'}] {clip}{time_left(seconds_left)}"
            )
            return
        if self._bar is None:
            self._begin_bar(clip, total)
        self._draw(f"{phase:<8} {_shortened(clip)}", done, total, f"{done}/{total}{time_left(seconds_left)}")

    def bytes(self, what: str, done: int, total: int | None = None) -> None:
        """``done`` of ``total`` bytes of a download or a rendering are there. The callback of the model store and the corpora."""
        if self._console is None:
            self._once(what, f"{what} ({total / 1e6:.1f} MB)" if total else what)
            return
        if self._bar is None:
            self._begin_bar(what, total or 0)
        size = f"{done / 1e6:.1f}/{total / 1e6:.1f} MB" if total else f"{done / 1e6:.1f} MB"
        self._draw(_shortened(what), done, total or 0, size, at_once=bool(total) and done >= (total or 0))

    def items(self, what: str, done: int, total: int) -> None:
        """``done`` of ``total`` things (clips rendered, images calibrated) are there."""
        if self._console is None:
            self._once(what, f"[{min(done + 1, total)}/{total}] {what}")
            return
        if self._bar is None:
            self._begin_bar(what, total)
        self._draw(_shortened(what), done, total, f"{done}/{total}")

    def message(self, text: str) -> None:
        """A line that stays: a clip that was refused, a fallback, a warning."""
        self._line(text)

    def close(self) -> None:
        self._end_bar()

    def __enter__(self) -> Self:
        if advice := how_to_stop():
            self._line(advice)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _line(self, text: str) -> None:
        if self._console is not None:
            from rich.text import Text

            self._console.print(Text(plain(text)))
        else:
            self._stream.write(f"{plain(text)}\n")
            self._stream.flush()

    def _once(self, key: str, line: str) -> None:
        """In a log each clip and each file is said once, however often it is reported."""
        if key not in self._said:
            self._said.add(key)
            self._line(line)

    def _begin_bar(self, text: str, total: int) -> None:
        from collections.abc import Iterable

        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        told = self

        class WithMore(Bar):
            def get_renderables(self) -> Iterable[RenderableType]:
                yield self.make_tasks_table(self.tasks)
                if told._beneath is not None:
                    yield told._beneath

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=_BAR_WIDTH),
            TextColumn("{task.fields[figures]}", markup=False),
        )
        self._bar = WithMore(*columns, console=self._console, auto_refresh=False, transient=True, redirect_stdout=False)
        self._task = self._bar.add_task(plain(text), total=total or None, figures="")
        self._bar.start()
        self._drawn = float("-inf")

    def _draw(self, text: str, done: int, total: int, figures: str, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if self._bar is None or self._task is None or (now - self._drawn < self._redraw_s and not at_once):
            return
        self._drawn = now
        self._bar.update(self._task, description=plain(text), completed=done, total=total or None, figures=figures)
        self._bar.refresh()

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = self._beneath = None


def _terminal(stream: TextIO) -> Console | None:
    """A console where ``stream`` is a terminal that can redraw a line; None elsewhere."""
    if not stream.isatty():
        return None
    found = console(stream)
    return None if found.is_dumb_terminal else found


def time_left(seconds: float | None) -> str:
    """', about 40 s left'; nothing where nobody knows."""
    return "" if seconds is None else f", about {duration(seconds)} left"


def _shortened(text: str, most: int = 32) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
