"""``reelbench disk prune --docker``."""

from __future__ import annotations

import shlex

import click

from reelbench.cli.formats import print_json


def prune_docker(yes: bool, grace_s: float, as_json: bool) -> None:
    """Say what would be run, or run it."""
    from reelbench import paths
    from reelbench.disk import docker_prune

    said = docker_prune.prune(paths.store_dir(), grace_s) if yes else []
    lines = [shlex.join(command) for command in docker_prune.commands(grace_s)]
    if as_json:
        print_json({"commands": lines, "said": said})
        return
    for line in lines if not yes else said:
        click.echo(f"docker: {line}" if yes else f"would run: {line}")
