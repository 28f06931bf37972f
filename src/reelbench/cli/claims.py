"""``reelbench claims``: what somebody claimed, beside what this machine measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from reelbench.comparison.claims.check import Compare


@click.command("claims")
@click.argument("ledger", default="original", metavar="[LEDGER]")
@click.option("--measure", is_flag=True, help="Compare now what can be compared here, instead of looking up.")
@click.option(
    "--runs-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Where comparisons are looked up, and where --measure puts them.",
)
@click.option(
    "--corpus",
    "corpora",
    multiple=True,
    default=("demo",),
    show_default=True,
    help="A corpus that counts; give it several times where analyzers were compared on different ones. --measure takes the first.",
)
@click.option(
    "--measure-config", default="default", show_default=True, help="quick, default or thorough, for --measure."
)
@click.option(
    "--gpu-report",
    "gpu_reports",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A JSON report of benchmarks/gpu, for what this machine has no comparison of; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option(
    "--markdown", type=click.Path(path_type=Path, dir_okay=False), help="Write the table into this file, too."
)
def command(
    ledger: str,
    measure: bool,
    runs_dir: Path,
    corpora: tuple[str, ...],
    measure_config: str,
    gpu_reports: tuple[Path, ...],
    as_json: bool,
    markdown: Path | None,
) -> int:
    """Hold claims against measurements of this machine.

    LEDGER is a name in conf/claims or a path. Each claim is looked up in the newest valid comparison of its variants on this machine.

    Exit code 0: everything that could be measured is confirmed or exceeded; 1: some claim is not reached, opposite, or bought with
    worse quality; 3: nothing could be measured; 2: the ledger is wrong.
    """
    import json

    from reelbench.comparison.claims.check import check, exit_code
    from reelbench.comparison.claims.gpu_report import GpuReport
    from reelbench.comparison.claims.ledger import find_ledger, load_ledger
    from reelbench.comparison.claims.measured import Comparisons, this_machine
    from reelbench.paths import write_text
    from reelbench.report import claims_table

    stated = load_ledger(find_ledger(ledger))
    reports = [GpuReport(file) for file in gpu_reports]
    here = this_machine()
    compare = _comparer(runs_dir, corpora[0], measure_config) if measure else None
    known = Comparisons(corpora, here)
    rows = check(stated, lambda: known.read(runs_dir), compare, reports)
    code = exit_code(rows)
    for problem in known.damaged:
        click.echo(problem, err=True)
    if markdown is not None:
        write_text(markdown, claims_table.markdown(stated, rows, here.machine))
    if as_json:
        click.echo(json.dumps(claims_table.as_json(stated, rows, here.machine, code), indent=1))
    else:
        claims_table.print_claims(stated, rows, here.machine)
    return code


def _comparer(runs_dir: Path, corpus: str, measure_config: str) -> Compare:
    from reelbench.comparison.ab import compare
    from reelbench.comparison.records import ComparisonRecord
    from reelbench.report.progress import Progress

    def run(analyzer: str, a: str, b: str) -> ComparisonRecord:
        settings = [f"analyzer={analyzer}", f"corpus={corpus}", f"measure={measure_config}", f"runs_dir={runs_dir}"]
        again = f"reelbench ab {settings[0]} a={a} b={b} {' '.join(settings[1:])}"
        with Progress() as progress:
            progress.stage(f"{analyzer}: {a} against {b}")
            folder, _ = compare(settings, a, b, again, progress)
            return folder.record

    return run
