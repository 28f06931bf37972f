"""``reelbench run``: the main job, the same as ``python run.py``."""

from __future__ import annotations

import click


@click.command(
    "run",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int:
    """Measure one analyzer: reelbench run analyzer=… variant=… (--help shows every setting)."""
    from reelbench.main import main

    return main(list(arguments))
