"""``reelbench disk browse``."""

from __future__ import annotations

import shlex
import sys

import click

from reelbench.cli.disk.looking import look
from reelbench.cli.formats import json_option, print_json
from reelbench.errors import UnavailableError, UsageError


@click.command()
@click.option("--cache", "caches", multiple=True, metavar="NAME", help="Only this cache; may be given several times.")
@json_option
def command(caches: tuple[str, ...], as_json: bool) -> None:
    """Look through the disk in the terminal and choose items. Nothing is deleted: the ids of what was chosen are printed.

    \b
        space chooses · a all reclaimable ones shown · f filters · s sorts · / searches · q is done

    What a configuration, a pin or a live process needs cannot be chosen. Exit codes: 0 done; 2 this is no terminal; 4 textual is
    not installed.
    """
    try:
        from reelbench.report.disk_browser import DiskBrowser
    except ImportError as error:
        raise UnavailableError(
            "the browser needs textual, which is not installed", "pip install 'reelbench[tui]'"
        ) from error
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("the browser needs a terminal", "'reelbench disk' and 'reelbench disk --html FILE' need none")
    chosen = DiskBrowser(look(caches)).run() or []
    if as_json:
        print_json({"items": chosen})
        return
    for name in chosen:
        click.echo(shlex.quote(name))
