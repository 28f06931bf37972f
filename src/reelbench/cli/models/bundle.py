"""``reelbench models bundle``."""

from __future__ import annotations

from pathlib import Path

import click

from reelbench.cli.formats import human, json_option, print_json
from reelbench.cli.models.bars import download_bars

_file = click.Path(dir_okay=False, path_type=Path)
_trust = click.option(
    "--trust", multiple=True, metavar="KEY", help="A public key (64 hexadecimal digits) that may sign bundles."
)


@click.group()
def command() -> None:
    """Carry artifacts to a machine without a network, in one file with a signed manifest."""


@command.command("key")
@click.argument("file", type=_file)
@json_option
def key_(file: Path, as_json: bool) -> None:
    """Make a private key for signing bundles; prints the public key that others trust."""
    from reelbench.models import keys

    public = keys.create(file)
    if as_json:
        print_json({"private": str(file), "public": public})
        return
    click.echo(public)
    click.echo(f"the private key is in {file}: keep it to yourself", err=True)


@command.command("export")
@click.argument("file", type=_file)
@click.argument("names", nargs=-1, required=True, metavar="ID|FAMILY...")
@click.option("--key", type=_file, help="The private key to sign with.")
@json_option
def export_(file: Path, names: tuple[str, ...], key: Path | None, as_json: bool) -> None:
    """Write artifacts of the store, their catalog and hashes into FILE (a tar)."""
    from reelbench.models.bundle import export
    from reelbench.models.catalog import catalog_folders
    from reelbench.models.store import ModelStore

    store = ModelStore()
    done = export(store, store.catalog.resolve(names), file.absolute(), key, catalog_folders())
    if as_json:
        signer = done.public_key or None
        print_json(
            {"path": str(done.path), "bytes": done.bytes, "artifacts": list(done.artifacts), "signed_by": signer}
        )
        return
    click.echo(f"{len(done.artifacts)} artifacts, {human(done.bytes)}, in {done.path}")
    click.echo(
        f"signed by {done.public_key}"
        if done.public_key
        else "not signed: it only works where the catalog pins the same files"
    )


@command.command("import")
@click.argument("file", type=_file)
@_trust
@click.option(
    "--conf",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where families that the catalog lacks are written.",
)
@json_option
def import_(file: Path, trust: tuple[str, ...], conf: Path | None, as_json: bool) -> None:
    """Take a bundle into the store; each file is placed only where its sha256 is right.

    Without --trust, only files that the catalog of this machine pins are taken.
    """
    from reelbench.models.bundle import bring
    from reelbench.models.store import ModelStore

    store = ModelStore()
    with download_bars() as progress:
        done = bring(store, file, trust, conf.absolute() if conf else None, progress)
    if as_json:
        print_json(
            {
                "store": str(store.root),
                "artifacts": list(done.artifacts),
                "there": list(done.there),
                "catalog": [str(path) for path in done.written],
                "signed": done.signed,
            }
        )
        return
    for artifact in done.artifacts:
        click.echo(artifact)
    for path in done.written:
        click.echo(f"written {path}")
    trusted = (
        "signed by a trusted key" if done.signed else "not signed by a trusted key; the catalog here pins each file"
    )
    click.echo(f"{len(done.artifacts)} into {store.root}, {len(done.there)} were there; {trusted}")


@command.command("show")
@click.argument("file", type=_file)
@_trust
@json_option
def show_(file: Path, trust: tuple[str, ...], as_json: bool) -> None:
    """Show what a bundle's manifest names, and whether a trusted key signed it. Reads none of its files."""
    from reelbench.models.bundle import inspect

    manifest, signed = inspect(file, trust)
    if as_json:
        print_json(manifest.model_dump(mode="json") | {"signed": signed})
        return
    for name, one in manifest.artifacts.items():
        click.echo(f"{name}  {human(one.bytes)}  {one.licence}  sha256 {one.sha256}")
    click.echo("signed by a trusted key" if signed else "not signed by a key that --trust names")
