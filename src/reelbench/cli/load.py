"""``reelbench load``: the whole system under load."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click


@click.command("load", context_settings={"ignore_unknown_options": True})
@click.argument("settings", nargs=-1, metavar="[scenario=NAME] [SETTING...]")
@click.option("--config-dir", type=click.Path(path_type=Path), help="A folder with your own analyzers and variants.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole record as JSON.")
def command(settings: tuple[str, ...], config_dir: Path | None, as_json: bool) -> int:
    """Load the whole system with clips: all at once, one after the other, or arriving as they want.

    \b
        reelbench load scenario=offline corpus=types
        reelbench load scenario=single_stream corpus=system load.queries=22
        reelbench load scenario=server corpus=system load.queries=33 load.rate=8 load.bound_s=20

    Other SETTINGs are those of 'reelbench system'; the server scenario takes plan=first_come unless another is named. Ctrl-C ends it;
    what was done until then is kept and shown.

    Exit codes: 0 every clip is done, and the bound kept; 1 the bound was broken; 5 an analyzer failed or timed out; 2 bad usage or
    a clip that cannot be read; 130 interrupted.
    """
    from reelbench.config import search_path
    from reelbench.load.config import compose_load
    from reelbench.load.run import run_load
    from reelbench.publish import track
    from reelbench.report.load_page import write_load_page
    from reelbench.report.load_terminal import print_load
    from reelbench.report.system_progress import SystemProgress

    loading = compose_load([*settings, *search_path(config_dir)])
    with SystemProgress() as progress:
        try:
            folder = run_load(loading, shlex.join(["reelbench", *sys.argv[1:]]), progress)
        except KeyboardInterrupt:
            progress.close()
            click.echo("interrupted: what was done until then is in the load folder", err=True)
            raise
        page = write_load_page(folder.path)
        progress.stage("MLflow")
        if sent := track(folder.path, progress):
            folder.record.mlflow_run_id = sent
    if as_json or loading.system.base.json_output:
        click.echo(folder.record.model_dump_json(indent=1))
    else:
        print_load(folder.record, str(page))
    return folder.record.exit_code
