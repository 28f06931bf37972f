"""``reelbench …``: every module in this package that has a click object ``command`` is a sub-command (``import_`` is ``import``)."""

from __future__ import annotations

import sys
from typing import Any

import click

from reelbench import __version__
from reelbench.cli.discover import add_modules
from reelbench.console import guarded
from reelbench.errors import EXIT_OK, EXIT_USAGE
from reelbench.exits import exit_code
from reelbench.processes import ending_by_signal, exit_code_of


class _Guarded(click.Group):
    """Whatever its commands print goes through `reelbench.console`."""

    def main(self, *args: Any, **settings: Any) -> Any:
        with guarded():
            return super().main(*args, **settings)


@click.group(cls=_Guarded, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="reelbench")
def cli() -> None:
    """Measure video analyzers in several variants, on real clips, and say what each figure rests on."""


add_modules(cli, __path__, __name__)


def main(argv: list[str] | None = None) -> None:
    """Run a sub-command and end the process with its exit code (`reelbench.exits`)."""
    sys.exit(exit_code(lambda: _run(argv)))


def _run(argv: list[str] | None) -> int:
    try:
        with ending_by_signal():
            code = cli.main(args=argv, prog_name="reelbench", standalone_mode=False)
    except click.exceptions.Abort as error:
        return exit_code_of(error.__cause__)
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    return code if isinstance(code, int) else EXIT_OK
