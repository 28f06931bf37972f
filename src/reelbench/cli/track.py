"""``reelbench track``: which runs of every kind MLflow has, and sending it the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from reelbench.tracking.sync import SyncReport

_runs_dir = click.option("--runs-dir", default="runs", show_default=True, help="The folder of the run folders.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


@click.group("track")
def command() -> None:
    """Runs in MLflow: list which are there, send those that are only on disk."""


@command.command("sync")
@_runs_dir
@click.option("--uri", help="The MLflow tracking URI. [default: what each run's configuration says]")
@click.option("--experiment", help="The MLflow experiment. [default: what each run's configuration says]")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Also what was sent before, perhaps to another server. None is sent twice.",
)
@_json
def sync_command(runs_dir: str, uri: str | None, experiment: str | None, everything: bool, as_json: bool) -> int:
    """Send the runs that MLflow does not have yet.

    Exit code 0: all are there; 4: MLflow could not be reached; 2: a run folder is damaged (the others were sent).
    """
    from dataclasses import asdict
    from pathlib import Path

    from reelbench.errors import EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE
    from reelbench.tracking.sync import sync

    report = sync(Path(runs_dir), uri, experiment, everything)
    if as_json:
        import json

        click.echo(json.dumps(asdict(report), indent=1))
    else:
        _print_report(report)
    if report.failed:
        return EXIT_UNAVAILABLE
    return EXIT_USAGE if report.damaged else EXIT_OK


@command.command("list")
@_runs_dir
@_json
def list_command(runs_dir: str, as_json: bool) -> int:
    """List what is on disk (runs, comparisons, runs of the whole system, load runs), and which of it MLflow has."""
    from pathlib import Path

    from reelbench.bench.record_folder import remarks_on
    from reelbench.errors import EXIT_OK, EXIT_USAGE
    from reelbench.tracking.sync import local_folders

    found, damaged = local_folders(Path(runs_dir))
    rows = [
        {
            "folder": str(item.folder),
            **item.kind.row(item.record),
            "mlflow": None if item.pending else item.record.mlflow_run_id,
            "remarks": "; ".join(remarks_on(item.folder, item.record)),
        }
        for item in found
    ]
    if as_json:
        import json

        click.echo(json.dumps({"runs": rows, "damaged": damaged}, indent=1))
    else:
        _print_rows(rows, damaged)
    return EXIT_USAGE if damaged else EXIT_OK


@command.command("verify")
@_runs_dir
@click.option("--uri", help="The MLflow tracking URI. [default: what each run's configuration says]")
@_json
def verify_command(runs_dir: str, uri: str | None, as_json: bool) -> int:
    """Hold what MLflow says of every folder against the folder, and each folder against what was measured in it.

    An edited row of the database, an edited record and edited samples are each named with both values. Exit code 0: all agree; 5: one
    does not, or a folder's figures do not follow from its samples; 4: MLflow could not be reached.
    """
    from collections import Counter
    from dataclasses import asdict
    from pathlib import Path

    from reelbench.errors import EXIT_FAILED, EXIT_OK, EXIT_UNAVAILABLE
    from reelbench.tracking.verify import verify

    answers = verify(Path(runs_dir), uri)
    if as_json:
        import json

        click.echo(json.dumps([asdict(answer) for answer in answers], indent=1))
    else:
        for answer in answers:
            if answer.status != "agrees":
                click.echo(f"{answer.status} {answer.folder}{f': {answer.text}' if answer.text else ''}")
        counts = Counter(answer.status for answer in answers)
        click.echo(", ".join(f"{count} {status}" for status, count in counts.items()) or "no runs yet")
    found = {answer.status for answer in answers}
    if found & {"differs", "refused"}:
        return EXIT_FAILED
    return EXIT_UNAVAILABLE if "unreachable" in found else EXIT_OK


def _print_rows(rows: list[dict[str, str | None]], damaged: dict[str, str]) -> None:
    import sys

    from rich.table import Table

    from reelbench.console import console

    table = Table(box=None, pad_edge=False)
    table.add_column("run", overflow="fold")
    for name in ("effective", "corpus", "status", "MLflow run"):
        table.add_column(name, no_wrap=True)
    for row in rows:
        shown = [row[name] or "" for name in ("run", "effective", "corpus", "status")]
        table.add_row(*shown, (row["mlflow"] or "not sent")[:8])
    if rows:
        # A pipe has no width: no line is broken there.
        console(width=None if sys.stdout.isatty() else 240).print(table)
    else:
        click.echo("no runs yet")
    _print_lines("remark", {str(row["folder"]): str(row["remarks"]) for row in rows if row["remarks"]})
    _print_lines("damaged", damaged)


def _print_report(report: SyncReport) -> None:
    _print_lines("sent", report.sent)
    for word in ("skipped", "damaged", "failed"):
        _print_lines(word, getattr(report, word))
    if not (report.sent or report.failed or report.damaged):
        click.echo("nothing to send: every finished run was sent before (--all sends them to another server, too)")


def _print_lines(word: str, lines: dict[str, str]) -> None:
    for folder, text in lines.items():
        click.echo(f"{word} {folder}: {text}")
