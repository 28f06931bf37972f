"""``reelbench models scan``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reelbench.cli.formats import json_option, print_json
from reelbench.errors import InputError, WeightsError

if TYPE_CHECKING:
    from reelbench.models.store import ModelStore


@click.command()
@click.argument("names", nargs=-1, metavar="[ID|FAMILY|FILE]...")
@json_option
def command(names: tuple[str, ...], as_json: bool) -> None:
    """Say which files are pickles, whether the catalog pins them, and what a scanner thinks of them.

    A pickle can run any code when it is loaded. The gate is the pinned sha256: exit 4 where a pickle has none. The scanner (picklescan,
    if it is installed) is advice: it has been got round, so 'nothing found' proves nothing.
    """
    from reelbench.models.store import ModelStore

    store = ModelStore()
    found = [_look(store, path) for path in _files(store, names)]
    if as_json:
        print_json({"files": found})
    else:
        for one in found:
            kind = "no pickle" if not one["pickle"] else f"pinned as {one['pinned']}" if one["pinned"] else "NOT PINNED"
            click.echo(f"{one['path']}  {kind}{'; ' + one['advice'] if one['advice'] else ''}")
    if bad := [one["path"] for one in found if one["pickle"] and not one["pinned"]]:
        raise WeightsError(
            f"{bad[0]} is a pickle that no entry of the catalog pins, so nothing here loads it",
            f"where you trust it: 'reelbench models add {Path(bad[0]).as_uri()}'; better use safetensors",
        )


def _files(store: ModelStore, names: tuple[str, ...]) -> list[Path]:
    """The files that are meant: of the store, those that are there."""
    from reelbench.models.pickles import looks_like

    if not names:
        return [path for one in store.catalog.artifacts if looks_like(one) and (path := store.root / one).is_file()]
    files: list[Path] = []
    for name in names:
        known = name in store.catalog.families or name in store.catalog.artifacts
        files += [store.root / one for one in store.catalog.resolve([name])] if known else [Path(name).absolute()]
    for file in files:
        if not file.is_file():
            raise InputError(f"{file} is not there", "name a file, or pull it first")
    return files


def _look(store: ModelStore, path: Path) -> dict[str, Any]:
    from reelbench.models.pickles import is_pickle, looks_like, pinned, scan
    from reelbench.models.placing import disk_errors, sha256_of

    with disk_errors(path):
        pickle = looks_like(path.name) or is_pickle(path)
        entry = pinned(store.catalog, sha256_of(path)) if pickle else None
    advice = scan(path) if pickle else None
    return {
        "path": str(path),
        "pickle": pickle,
        "pinned": entry.id if entry else None,
        "scanned": advice.scanned if advice else False,
        "dangerous": list(advice.dangerous) if advice else [],
        "advice": advice.text if advice else "",
    }
