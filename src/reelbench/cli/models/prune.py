"""``reelbench models prune``."""

from __future__ import annotations

from typing import Any

import click

from reelbench.cli.formats import json_option
from reelbench.cli.pruning import policy_options, prune


@click.command()
@policy_options
@json_option
def command(as_json: bool, **given: Any) -> None:
    """Show which weights nobody needs, or move them to the trash (--apply PLAN, --yes); 'undo' brings them back.

    Weights of the model store, the hub cache, torch hub, EasyOCR and Ultralytics go, with unfinished downloads and what
    no layout leads to. NAMEs limit it to these items. What a configuration, a pin or a running worker needs never goes.
    """
    from reelbench.disk.policy import WEIGHTS

    prune("models", WEIGHTS, given, as_json)
