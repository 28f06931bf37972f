"""``reelbench system``: every analyzer on every clip."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click


@click.command("system", context_settings={"ignore_unknown_options": True})
@click.argument("settings", nargs=-1, metavar="[SETTING...]")
@click.option("--config-dir", type=click.Path(path_type=Path), help="A folder with your own analyzers and variants.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole record as JSON.")
def command(settings: tuple[str, ...], config_dir: Path | None, as_json: bool) -> int:
    """Run every analyzer on every clip of a corpus, each clip decoded once, by a plan.

    \b
        reelbench system corpus=demo
        reelbench system corpus=folder corpus.path=videos plan=auto
        reelbench system system=baseline plan=sequential
        reelbench system 'system.analyzers=[object_detection,text_overlay]' system.variants.text_overlay=rapidocr

    The same command goes on with a run that was interrupted or killed; what is finished is not run again.

    Exit codes: 0 every analyzer is done, or unavailable here; 5 one failed or timed out; 2 bad usage or a clip that cannot be read;
    130 interrupted.
    """
    from reelbench.config import search_path
    from reelbench.publish import track, tracking_of_system
    from reelbench.report.clip_page import PAGES, write_clip_pages
    from reelbench.report.system_page import write_system_page
    from reelbench.report.system_progress import SystemProgress
    from reelbench.report.system_terminal import print_system
    from reelbench.system.config import compose_system
    from reelbench.system.runner import run_system

    composed = compose_system([*settings, *search_path(config_dir)])
    with SystemProgress() as progress:
        try:
            folder = run_system(composed, shlex.join(["reelbench", *sys.argv[1:]]), progress)
        except KeyboardInterrupt:
            progress.close()
            click.echo("interrupted: what is finished is kept; the same command goes on from there", err=True)
            raise
        progress.stage("pages")
        write_clip_pages(folder, folder.path / PAGES)
        page = write_system_page(folder.path)
        progress.stage("MLflow")
        if sent := track(folder.path, progress, tracking_of_system(composed)):
            folder.record.mlflow_run_id = sent
    if as_json or composed.base.json_output:
        click.echo(folder.record.model_dump_json(indent=1))
    else:
        print_system(folder.record, str(page))
    return folder.record.exit_code
