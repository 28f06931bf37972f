"""``reelbench …``: every module in this package that has a click object ``command`` is a sub-command (``import_`` is ``import``)."""

from __future__ import annotations

import sys
from typing import Any

import click

from reelbench import __version__
from reelbench.cli.discover import add_modules
from reelbench.console import guarded
from reelbench.errors import EXIT_USAGE, ReelBenchError
from reelbench.processes import ending_by_signal, exit_code_of


class _Guarded(click.Group):
    """Whatever its commands print goes through `reelbench.console`."""

    def main(self, *args: Any, **settings: Any) -> Any:
        with guarded():
            return super().main(*args, **settings)


@click.group(cls=_Guarded, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="reelbench")
def cli() -> None:
    """Measure video analyzers in several variants, on real clips, with figures that can be trusted."""


add_modules(cli, __path__, __name__)


@guarded()
def main(argv: list[str] | None = None) -> None:
    """Run a sub-command; a `ReelBenchError` becomes one line on standard error and its exit code."""
    try:
        with ending_by_signal():
            code = cli.main(args=argv, prog_name="reelbench", standalone_mode=False)
    except ReelBenchError as error:
        print_error(error)
        code = error.exit_code
    except click.exceptions.Abort as error:
        code = exit_code_of(error.__cause__)
    except click.ClickException as error:
        error.show()
        code = EXIT_USAGE
    sys.exit(code if isinstance(code, int) else 0)


def print_error(error: ReelBenchError) -> None:
    click.echo(f"error: {error.message}", err=True)
    if error.hint:
        click.echo(f"  hint: {error.hint}", err=True)
