"""``reelbench gate``: may this change go in?"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reelbench.errors import ConfigError

if TYPE_CHECKING:
    from reelbench.comparison.gate.checks import Publish
    from reelbench.comparison.gate.order import Order
    from reelbench.comparison.gate.records import GateRecord
    from reelbench.report.progress import Progress

_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command("gate", context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, metavar="[POLICY] [SETTING...]")
@click.option("--against", metavar="GITREF", help="Hold the working tree against the code of this commit.")
@click.option(
    "--change", type=_FOLDER, help="Judge this checkout by the code that runs, which is the commit to hold it against."
)
@click.option("--change-python", type=click.Path(), hidden=True)
@click.option("--named", default="", hidden=True)
@click.option("--asked", default="", hidden=True)
@click.option("--merge-base", is_flag=True, help="Against the commit where this branch left GITREF.")
@click.option("--baseline", type=_FOLDER, help="Hold the working tree against runs kept in this folder.")
@click.option("--save-baseline", type=_FOLDER, help="Measure now, and keep the runs in this new folder.")
@click.option("--calibrate", type=click.IntRange(min=1), metavar="DECISIONS", help="Calibrate first where nobody did.")
@click.option("--uncalibrated", is_flag=True, help="Go on though this machine's false alarms are unknown or too many.")
@click.option(
    "--worktrees", type=_FOLDER, help="Where the other commit is checked out for a while (default: user's cache)."
)
@click.option("--config-dir", type=_FOLDER, help="A folder with your own policies, analyzers and variants.")
@click.option("--markdown", "markdown_file", type=_FILE, help="Write a comment for a pull request.")
@click.option("--junit", "junit_file", type=_FILE, help="Write JUnit XML.")
@click.option("--html", "html_file", type=_FILE, help="Write the page there, too.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole record as JSON.")
def command(
    words: tuple[str, ...],
    against: str | None,
    change: Path | None,
    change_python: str | None,
    named: str,
    asked: str,
    merge_base: bool,
    baseline: Path | None,
    save_baseline: Path | None,
    calibrate: int | None,
    uncalibrated: bool,
    worktrees: Path | None,
    config_dir: Path | None,
    markdown_file: Path | None,
    junit_file: Path | None,
    html_file: Path | None,
    as_json: bool,
) -> int:
    """Decide whether the present code may replace another.

    The variants of a policy (conf/gate/POLICY.yaml, or a file) are measured with the code of a commit and with the present code,
    interleaved on this machine, and held against the policy's limits. The commit's code, policy and corpus judge.

    \b
        reelbench gate --against origin/main
        reelbench gate thorough --against v1.2 --markdown comment.md --junit gate.xml
        reelbench gate --against origin/main --calibrate 20     the first time on a machine, as in CI
        reelbench gate policies/mine.yaml --against HEAD~1 corpus.path=videos
        reelbench gate --change ../branch     from a checkout of the commit: nothing of the change judges
        reelbench gate --save-baseline kept     and later: reelbench gate --baseline kept

    Exit codes, the worst wins: 5 invalid; 1 a limit is broken; 4 something cannot run here; 3 not decided; 0 passed. 2 bad usage.
    """
    ways = [way for way in (against, change, baseline, save_baseline) if way is not None]
    if len(ways) != 1:
        raise ConfigError(
            "a gate holds the code against one thing: --against GITREF, or --baseline DIR (made by --save-baseline DIR)",
            "reelbench gate --against origin/main",
        )
    if merge_base and against is None:
        raise ConfigError("--merge-base belongs to --against GITREF")
    from reelbench.report.progress import Progress

    outputs = {"--markdown": markdown_file, "--junit": junit_file, "--html": html_file}
    done: tuple[Path, GateRecord]
    if against is not None:
        order = _order(words, config_dir, uncalibrated, calibrate)
        handed = [*words, *_handed(config_dir, calibrate, uncalibrated, outputs, as_json), "--asked", order.command]
        found = _against(order, against, merge_base, worktrees, handed)
        if isinstance(found, int):
            return found  # the commit's code judged, wrote and told
        done = found
    elif change is not None:
        done = _change(
            words, config_dir, uncalibrated, calibrate, change, change_python or sys.executable, named, asked
        )
    else:
        order = _order(words, config_dir, uncalibrated, calibrate)
        with Progress() as progress:
            if save_baseline is not None:
                return _save(order, save_baseline, progress)
            from reelbench.comparison.gate.baseline import gate_baseline

            assert baseline is not None
            done = _decide(lambda: gate_baseline(order, baseline, progress, _publisher(progress)), progress)
    folder, record = done
    page = _write(folder, record, markdown_file, junit_file, html_file)
    _tell(record, page, as_json)
    return record.exit_code


def _handed(
    config_dir: Path | None, calibrate: int | None, uncalibrated: bool, outputs: dict[str, Path | None], as_json: bool
) -> list[str]:
    """The options that the commit's code is handed."""
    found = ["--uncalibrated"] if uncalibrated else []
    found += ["--json"] if as_json else []
    found += ["--calibrate", str(calibrate)] if calibrate is not None else []
    named = {"--config-dir": config_dir, **outputs}
    return found + [word for option, value in named.items() if value is not None for word in (option, str(value))]


def _against(
    order: Order,
    ref: str,
    merge_base: bool,
    worktrees: Path | None,
    words: Sequence[str],
) -> int | tuple[Path, GateRecord]:
    """Let the commit's code judge, and return its exit code; where it cannot, judge here."""
    from reelbench.comparison.gate.launch import cannot_judge, let_commit_judge, this_change
    from reelbench.comparison.gate.worktree import resolve, worktree
    from reelbench.report.progress import Progress

    change = this_change(ref)
    commit = resolve(change.top, ref, merge_base=merge_base)
    with worktree(change.top, commit, worktrees) as tree:
        why = cannot_judge(tree)
        if not why:
            return let_commit_judge(change, tree, words, order.policy.extras)
        from reelbench.comparison.gate.gate import judge_itself

        with Progress() as progress:
            publish = _publisher(progress)
            return _decide(lambda: judge_itself(order, change, commit, tree, why, progress, publish), progress)


def _change(
    words: tuple[str, ...],
    config_dir: Path | None,
    uncalibrated: bool,
    calibrate: int | None,
    folder: Path,
    python: str,
    named: str,
    asked: str,
) -> tuple[Path, GateRecord]:
    """Judge the checkout in ``folder`` by the code that runs."""
    from reelbench.comparison.gate.gate import judge_change
    from reelbench.comparison.gate.launch import Change
    from reelbench.comparison.gate.worktree import checkout
    from reelbench.report.progress import Progress

    change = Change(checkout(folder.expanduser().resolve() / "src" / "reelbench"), python, named)
    order = _order(words, config_dir, uncalibrated, calibrate, change.top, asked)
    with Progress() as progress:
        return _decide(lambda: judge_change(order, change, progress, _publisher(progress)), progress)


def _order(
    words: tuple[str, ...],
    config_dir: Path | None,
    uncalibrated: bool,
    calibrate: int | None,
    change: Path | None = None,
    asked: str = "",
) -> Order:
    """What was asked for. The policy of a ``change`` that another checkout judges is that checkout's, where it has one."""
    from reelbench.comparison.gate.order import Order
    from reelbench.comparison.gate.policy import read_policy
    from reelbench.paths import PACKAGE, conf_dir

    names = [word for word in words if "=" not in word]
    if len(names) > 1 or any(name.startswith("-") for name in names):
        raise ConfigError(f"cannot read '{' '.join(names)}'", "reelbench gate [POLICY] [SETTING...] --against GITREF")
    own = None if config_dir is None else config_dir.expanduser().resolve()
    if own is not None and not own.is_dir():
        raise ConfigError(f"{config_dir}: there is no such folder")
    name = names[0] if names else "default"
    folders = [*([own] if own else []), conf_dir()]
    file: Path | None = None
    if change is not None:
        folders = [*_of_commit(own, change), conf_dir(), *([own] if own else []), change / "conf"]
        if name.endswith((".yaml", ".yml")) or "/" in name:
            file = Path(name).expanduser().resolve()
            if file.is_relative_to(change) and (kept := PACKAGE.parents[1] / file.relative_to(change)).is_file():
                name = str(kept)
    policy = read_policy(name, folders)
    settings = tuple(word for word in words if "=" in word)
    return Order(
        policy, settings, own, asked or shlex.join(["reelbench", *sys.argv[1:]]), uncalibrated, file, calibrate
    )


def _of_commit(own: Path | None, change: Path) -> list[Path]:
    """The user's folder of configuration as the code that runs has it, in a list; empty where it has none."""
    from reelbench.comparison.gate.arms import config_dir_of
    from reelbench.paths import PACKAGE

    found = config_dir_of(own, change, PACKAGE.parents[1])
    return [] if found is None else [found]


def _decide(judge: Callable[[], tuple[Path, GateRecord]], progress: Progress) -> tuple[Path, GateRecord]:
    try:
        return judge()
    except KeyboardInterrupt:
        progress.message("interrupted: what was measured is kept in the comparisons' folders; a gate begins anew")
        raise


def _publisher(progress: Progress) -> Publish:
    from reelbench.publish import publish

    return lambda folder, config: publish(folder, config.tracking, progress)


def _save(order: Order, target: Path, progress: Progress) -> int:
    from reelbench.comparison.gate.baseline import save_baseline

    found = save_baseline(order, target, progress)
    progress.message(f"{len(found.runs)} runs kept in {target}: reelbench gate --baseline {target}")
    return 0


def _write(
    folder: Path, record: GateRecord, markdown_file: Path | None, junit_file: Path | None, html_file: Path | None
) -> Path:
    from reelbench.paths import write_text
    from reelbench.report.gate_page import PAGE, write_gate_page
    from reelbench.report.gate_report import junit, markdown

    page = write_gate_page(record, folder / PAGE)
    if markdown_file is not None:
        write_text(markdown_file, markdown(record))
    if junit_file is not None:
        write_text(junit_file, junit(record))
    if html_file is not None:
        write_gate_page(record, html_file)
    return page


def _tell(record: GateRecord, page: Path, as_json: bool) -> None:
    from reelbench.report.gate_report import gate_json, print_gate

    if as_json:
        import json

        click.echo(json.dumps(gate_json(record, page), indent=1))
    else:
        print_gate(record, page)
