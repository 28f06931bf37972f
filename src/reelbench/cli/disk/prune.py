"""``reelbench disk prune``."""

from __future__ import annotations

from typing import Any

import click

from reelbench.cli.formats import json_option
from reelbench.cli.pruning import policy_options, prune
from reelbench.errors import UsageError


@click.command()
@policy_options
@click.option("--models", is_flag=True, help="Weights that nobody needs, as 'reelbench models prune'.")
@click.option(
    "--engines", is_flag=True, help="Converted and compiled networks that nobody needs; they can be built again."
)
@click.option(
    "--runs", is_flag=True, help="Run folders and MLflow artifacts; say which (--keep-last, --older-than or names)."
)
@click.option("--logs", is_flag=True, help="Logs; say which (--keep-last, --older-than or names).")
@click.option("--packages", is_flag=True, help="pip's cache.")
@click.option(
    "--docker", is_flag=True, help="With --yes: let Docker prune its dangling images and build cache. There is no undo."
)
@json_option
def command(as_json: bool, **given: Any) -> None:
    """Show what could go of the kinds that are named, or move it to the trash (--apply PLAN, --yes); 'undo' brings it
    back.

    Runs and logs cannot be had again, so that they go only where it is said which.
    """
    from reelbench.disk.policy import FLAGS, WEIGHTS

    flags = {"models": WEIGHTS, **FLAGS}
    asked = {name: given.pop(name) for name in (*flags, "docker")}
    kinds = frozenset[str]().union(*(kinds for name, kinds in flags.items() if asked[name]))
    if asked["docker"]:
        if kinds or given["source"] is not None:
            raise UsageError("--docker has neither plan nor trash", "give it by itself")
        from reelbench.cli.docker_pruning import prune_docker

        prune_docker(bool(given["yes"]), given["grace"], as_json)
        return
    if not kinds and given["source"] is None:
        raise UsageError("say what may go", f"{', '.join(f'--{name}' for name in asked)}, or --apply PLAN")
    prune("disk", kinds, given, as_json)
