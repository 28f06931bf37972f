"""``reelbench disk``: what lies on the disk. Every module of this package that has a click object ``command`` is a command of it."""

from __future__ import annotations

from pathlib import Path

import click

from reelbench.cli.discover import add_modules
from reelbench.cli.formats import json_option, print_json


@click.group(invoke_without_command=True)
@click.option("--cache", "caches", multiple=True, metavar="NAME", help="Only this cache; may be given several times.")
@click.option(
    "--items",
    "count",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="How many of the largest items to show.",
)
@click.option(
    "--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with a treemap to this file."
)
@json_option
@click.pass_context
def command(context: click.Context, caches: tuple[str, ...], count: int, page: Path | None, as_json: bool) -> None:
    """What lies on the disk: the model store, every tool's cache, runs and logs; who needs it, and what could go.

    Nothing is changed. Sizes are what the disk gives for them, each file once however many names it has. Exit codes: 0 shown;
    2 a broken catalog or registry, or an unknown cache.
    """
    if context.invoked_subcommand is not None:
        return
    from reelbench.cli.disk.looking import look
    from reelbench.report import disk_terminal
    from reelbench.report.disk_data import as_data

    seen = look(caches)
    if page is not None:
        from reelbench.report.disk_page import write_disk_page

        write_disk_page(seen, page)
    if as_json:
        print_json(as_data(seen))
    else:
        disk_terminal.print_disk(seen, count, str(page or ""))


add_modules(command, __path__, __name__)
