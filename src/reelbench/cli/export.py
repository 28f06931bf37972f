"""``reelbench export``: what a system run found, in the formats of other programs, and as pages with the video."""

from __future__ import annotations

from pathlib import Path

import click

FORMATS = ("json", "jsonl", "parquet", "vtt", "srt", "coco", "page")


@click.command("export")
@click.argument("run", metavar="RUN")
@click.option("--format", "formats", multiple=True, type=click.Choice(FORMATS), help="May be repeated; default: all.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Where to [default: 'export' in the run's folder]."
)
@click.option("--embed", is_flag=True, help="Put small videos into the pages, so that each is one file.")
@click.option(
    "--runs-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Where runs are looked up by id, and 'latest'.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def command(run: str, formats: tuple[str, ...], out: Path | None, embed: bool, runs_dir: Path, as_json: bool) -> None:
    """Write what a system run found for other programs to read.

    RUN is the id of a system run, its folder, or 'latest'. docs/outputs.md describes every file.

    \b
        reelbench export latest --out found
        reelbench export latest --format vtt --format srt --out subtitles
        reelbench export latest --format page --embed --out pages
    """
    import json
    from functools import partial

    from reelbench.report.clip_page import write_clip_pages
    from reelbench.system.folder import SystemFolder
    from reelbench.system.outputs import WRITERS, Writer
    from reelbench.system.outputs.reading import Export, find_run

    folder = SystemFolder.open(find_run(run, runs_dir))
    target = out or folder.path / "export"
    writers: dict[str, Writer] = {**WRITERS, "page": partial(write_clip_pages, embed=embed)}
    done: dict[str, Export] = {}
    for name in dict.fromkeys(formats or FORMATS):
        done[name] = writers[name](folder, target)
        if not as_json:
            click.echo(f"{name}: {len(done[name].files)} files in {target}")
    if as_json:
        shown = {name: {"files": [str(file) for file in one.files], "notes": one.notes} for name, one in done.items()}
        click.echo(json.dumps(shown, indent=1))
        return
    for note in dict.fromkeys(note for one in done.values() for note in one.notes):
        click.echo(f"note: {_plain(note)}", err=True)


def _plain(text: str) -> str:
    from reelbench.report.wording import plain

    return plain(text)
