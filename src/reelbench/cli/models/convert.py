"""``reelbench models convert``."""

from __future__ import annotations

import click

from reelbench.cli.formats import human, json_option, print_json


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="ID|FAMILY...")
@json_option
def command(names: tuple[str, ...], as_json: bool) -> None:
    """Turn pickles of the store into safetensors, beside them in derived/: a file that can run nothing when it is loaded.

    Every tensor is compared bit for bit. Plain tensors are read without PyTorch; other checkpoints need it (the extra 'torch').
    """
    from dataclasses import asdict

    from reelbench.engines.torch_file import read_tensors
    from reelbench.errors import InputError
    from reelbench.models.convert import convert
    from reelbench.models.pickles import is_pickle
    from reelbench.models.store import ModelStore

    store = ModelStore()
    ids = store.catalog.resolve(names)
    chosen = [artifact for artifact in ids if artifact in names or is_pickle(store.path(artifact))]
    if not chosen:
        raise InputError(f"{ids[0]} is no pickle", "safetensors, ONNX and IR need no conversion")
    done = [convert(store, artifact, read_tensors) for artifact in chosen]
    if as_json:
        print_json({"converted": [asdict(one) | {"path": str(one.path)} for one in done]})
        return
    for one in done:
        how = f"{one.tensors} tensors" if one.made else "was there"
        click.echo(f"{one.source}  {how}  {human(one.path.stat().st_size)}  {one.path}")
