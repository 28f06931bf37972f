"""``reelbench models add``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reelbench.cli.formats import human, json_option, print_json
from reelbench.cli.models.bars import download_bars
from reelbench.errors import ConfigError

if TYPE_CHECKING:
    from reelbench.models.adding import Added
    from reelbench.models.catalog import Catalog

CLASSES = ("refetchable", "regenerable", "irreplaceable")


@click.command()
@click.argument("address")
@click.option(
    "--family", default="", help="Name of the catalog's file and of the store's folder (default: from the address)."
)
@click.option("--title", default="", help="What it is, in a few words.")
@click.option("--licence", default="", help="Its licence, where the address does not say it (SPDX, such as MIT).")
@click.option(
    "--class",
    "class_",
    type=click.Choice(CLASSES),
    help="Default: refetchable; file:// irreplaceable.",
)
@click.option("--include", multiple=True, metavar="PATTERN", help="Of a repository, take only files that match.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Of a repository, leave out files that match.")
@click.option("--member", help="Take this file out of the archive that the address is.")
@click.option(
    "--conf",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to write (default: the checkout's conf).",
)
@click.option("--pull", "fetch", is_flag=True, help="Fetch it into the store at once.")
@json_option
def command(
    address: str,
    family: str,
    title: str,
    licence: str,
    class_: Any,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    member: str | None,
    conf: Path | None,
    fetch: bool,
    as_json: bool,
) -> None:
    """Write a model into the catalog: hf://org/name[@revision][/file], https://… or file://…

    Size, sha256 and (of the hub) the licence are filled in, and a revision is pinned to its commit. Of a repository that has
    safetensors, the same weights in other formats are left out; name a file, or --include it, to have it.
    """
    from reelbench.models.adding import Entry, add
    from reelbench.models.addresses import parse
    from reelbench.models.catalog import Catalog
    from reelbench.models.describing import Wanted
    from reelbench.models.store import ModelStore

    target = _conf(conf)
    catalog = Catalog.load()
    store = ModelStore(catalog=catalog)
    entry = Entry(family, title, licence, class_, Wanted(include, exclude, member))
    with download_bars() as progress:
        added = add(parse(address), entry, target, store.root, catalog, progress)
    reached = _reached(added)
    pulled = []
    if fetch:
        with download_bars() as progress:
            pulled = ModelStore(store.root, reached).pull([artifact.id for artifact in added.artifacts], progress)
    if as_json:
        print_json(_as_json(added, fetched=bool(pulled)))
        return
    _print(added, fetched=bool(pulled))


def _conf(asked: Path | None) -> Path:
    """The configuration folder to write into: an installed package's own is not the user's to change."""
    from reelbench import paths

    if asked is not None:
        return asked.absolute()
    shipped = paths.conf_dir()
    if shipped.parent == paths.PACKAGE:
        raise ConfigError(f"{shipped} belongs to the installed package", "say --conf DIR, a folder of your own")
    return shipped


def _reached(added: Added) -> Catalog:
    """The catalog with the new file, also where it stands in a folder that is not read by default."""
    from reelbench.models.catalog import Catalog, read_family

    families = dict(Catalog.load().families) | {added.family: read_family(added.file)}
    return Catalog(families.values())


def _is_found(added: Added) -> bool:
    from reelbench.models.catalog import catalog_folders

    return added.file.parent in catalog_folders()


def _print(added: Added, fetched: bool) -> None:
    for artifact in added.artifacts:
        click.echo(f"{artifact.id}  {human(artifact.bytes)}  {artifact.licence}  sha256 {artifact.sha256}")
    for name, reason in added.left_out.items():
        click.echo(f"left out {name}: {reason}", err=True)
    if any(artifact.licence == "unknown" for artifact in added.artifacts):
        click.echo("its licence is unknown: find it out, and write it into the file", err=True)
    if added.gated:
        click.echo("the repository is gated: whoever fetches it needs HF_TOKEN and its owner's consent", err=True)
    for name in added.pickles:
        click.echo(
            f"{name} is a pickle: loading it can run code; its hash is pinned now ('reelbench models convert')",
            err=True,
        )
    click.echo(f"written to {added.file}")
    if not _is_found(added):
        click.echo(f"to use it, set REELBENCH_CATALOG={added.file.parents[1]}", err=True)
    if not fetched:
        click.echo(f"'reelbench models pull {added.family}' fetches it")


def _as_json(added: Added, fetched: bool) -> dict[str, Any]:
    return {
        "file": str(added.file),
        "family": added.family,
        "found_by_default": _is_found(added),
        "fetched": fetched,
        "gated": added.gated,
        "artifacts": [
            artifact.model_dump(mode="json", by_alias=True, exclude_none=True) for artifact in added.artifacts
        ],
        "left_out": added.left_out,
        "pickles": added.pickles,
    }
