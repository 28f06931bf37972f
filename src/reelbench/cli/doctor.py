"""``reelbench doctor``."""

from __future__ import annotations

import click

from reelbench.cli.formats import json_option, print_json
from reelbench.console import one_line


@click.command()
@click.option("--no-engines", is_flag=True, help="Look at the machine, the store and the disks only; takes a second.")
@json_option
def command(no_engines: bool, as_json: bool) -> int:
    """Prove every engine on this machine, and say what makes its figures unreliable.

    Exit codes: 0 all is well · 3 something to look at · 4 an engine computes wrongly, or something needed is missing.
    """
    from reelbench.doctor.examine import examine, lines
    from reelbench.report.progress import Progress

    with Progress() as progress:
        found = examine(progress.stage, with_engines=not no_engines)
    if as_json:
        print_json(found.document())
    else:
        for line in lines(found):
            click.echo(one_line(line))
    return found.exit_code
