"""The progress of downloads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from reelbench.models.session import Progress


@contextmanager
def download_bars() -> Iterator[Progress]:
    """Bars on a terminal, one line an artifact elsewhere; both on standard error."""
    from reelbench.console import console

    target = console(sys.stderr)
    if not target.is_terminal:
        yield _lines()
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=target) as bars:
        tasks: dict[str, Any] = {}

        def show(artifact: str, done: int, total: int) -> None:
            if artifact not in tasks:
                tasks[artifact] = bars.add_task(artifact, total=None)
            bars.update(tasks[artifact], completed=done, total=total or None)

        yield show


def _lines() -> Progress:
    begun: set[str] = set()

    def show(artifact: str, done: int, total: int) -> None:
        if artifact not in begun:
            begun.add(artifact)
            click.echo(f"fetching {artifact}", err=True)

    return show
