"""``reelbench ab``: two variants against each other; ``reelbench ab system``: two ways to run the whole system."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from reelbench.errors import ConfigError


@click.command("ab", context_settings={"ignore_unknown_options": True})
@click.argument("settings", nargs=-1, metavar="[system] a=VARIANT b=VARIANT [SETTING...]")
@click.option("--resume", is_flag=True, help="Go on with the interrupted comparison of the same arms.")
@click.option("--config-dir", type=click.Path(path_type=Path), help="A folder with your own analyzers and variants.")
@click.option("--pairs", type=click.IntRange(1), help="ab system: end after so many pairs, decided or not.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole record as JSON.")
def command(settings: tuple[str, ...], resume: bool, config_dir: Path | None, pairs: int | None, as_json: bool) -> int:
    """Decide whether B is faster than A, and no worse.

    Both variants are kept alive and taken through the same clips back to back, in balanced shuffled order, until the data decide.

    \b
        reelbench ab analyzer=object_detection a=baseline b=optimized
        reelbench ab a=optimized b='optimized analyzer.deduplicate=null' corpus=folder corpus.path=videos
        reelbench ab a=baseline b=openvino_int8 measure=thorough
        reelbench ab system a=original b=optimized corpus=system

    'ab system' takes the whole system through the corpus, in arms of conf/arm or in settings of 'reelbench system'.

    SETTINGs are those of a run (python run.py --help) and hold for both; what follows a variant within quotes holds for that arm.

    Exit codes: 0 B is faster or equivalent and not worse in quality; 1 slower or worse; 3 inconclusive; 2 bad usage; 4 a variant
    cannot run here; 5 invalid.
    """
    from reelbench.comparison.ab import compare
    from reelbench.config import search_path
    from reelbench.publish import publish
    from reelbench.report.ab_data import load_comparison
    from reelbench.report.ab_terminal import comparison_json, print_comparison
    from reelbench.report.progress import Progress

    if settings[:1] == ("system",):
        from reelbench.cli.ab_system import ab_system

        a, b, common = split_arms(settings[1:])
        return ab_system(a, b, common, resume=resume, config_dir=config_dir, as_json=as_json, pairs=pairs)
    if pairs is not None:
        raise ConfigError("--pairs is of 'ab system'", "here: measure.pairs.looks=[N]")
    a, b, common = split_arms(settings)
    common = [*common, *search_path(config_dir)]
    with Progress() as progress:
        try:
            folder, config = compare(common, a, b, shlex.join(["reelbench", *sys.argv[1:]]), progress, resume=resume)
        except KeyboardInterrupt:
            progress.message(
                "interrupted: what was measured is kept; the same command with --resume goes on from there"
            )
            raise
        page = publish(folder, config.tracking, progress)
    if as_json:
        import json

        click.echo(json.dumps(comparison_json(folder.record, str(page)), indent=1))
    else:
        data = load_comparison(folder.path)
        print_comparison(folder.record, str(page), (data.a, data.b))
    return folder.record.exit_code


def split_arms(settings: tuple[str, ...]) -> tuple[str, str, list[str]]:
    """``a=…`` and ``b=…`` apart from the settings of both."""
    arms = {item[0]: item[2:] for item in settings if item[:2] in ("a=", "b=")}
    for name in ("a", "b"):
        if not arms.get(name):
            raise ConfigError(
                f"{name}=VARIANT is missing", "reelbench ab analyzer=object_detection a=baseline b=optimized"
            )
    return arms["a"], arms["b"], [item for item in settings if item[:2] not in ("a=", "b=")]
