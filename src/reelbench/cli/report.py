"""``reelbench report``: make the page of a run again, or one page over several runs."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report")
@click.argument("folders", nargs=-1, required=True, metavar="RUN_FOLDER...", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Where the page goes.")
@click.option("--frames/--no-frames", default=True, help="Show sampled frames of two clips (decodes them again).")
@click.option("--json", "as_json", is_flag=True, help="Print the figures of the table as JSON.")
def command(folders: tuple[Path, ...], output: Path | None, frames: bool, as_json: bool) -> None:
    """Make the page of one run, or compare several, and print the table.

    One RUN_FOLDER gives its report.html; several give one comparison.html in the folder above the first.
    """
    import json

    from reelbench.report import rows, terminal
    from reelbench.report.page import write_comparison_page
    from reelbench.report.run_data import load_run

    runs = [load_run(folder) for folder in folders]
    if len(runs) == 1:
        page = _single(folders[0], output, with_frames=frames)
    else:
        page = write_comparison_page(folders, output or folders[0].resolve().parent / "comparison.html")
    records = [run.record for run in runs]
    if as_json:
        click.echo(json.dumps(rows.as_json(records, str(page)), indent=1))
    else:
        terminal.print_runs(records, str(page))


def _single(folder: Path, output: Path | None, *, with_frames: bool) -> Path:
    from reelbench.report.page import write_run_page
    from reelbench.report.pictures import run_pictures
    from reelbench.report.run_data import load_run

    pictures, problems = run_pictures(load_run(folder)) if with_frames else ({}, [])
    for problem in problems:
        click.echo(problem, err=True)
    return write_run_page(folder, pictures, output)
