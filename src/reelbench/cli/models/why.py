"""``reelbench models why``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reelbench.cli.formats import human, json_option, print_json, say_distrusted
from reelbench.errors import InputError

if TYPE_CHECKING:
    from reelbench.disk.records import Inventory, Item
    from reelbench.disk.references import References


@click.command()
@click.argument("what", metavar="FILE|NAME")
@click.option("--all", "everything", is_flag=True, help="Every chain, not the first ten of each item.")
@json_option
def command(what: str, everything: bool, as_json: bool) -> None:
    """Say who needs a file, a folder or a name (hf:org/name, weights:<id>, or an id of the catalog), with every chain that leads to it.

    Exit codes: 0 answered; 2 nothing here is called so, or it cannot be told what is needed.
    """
    from reelbench.disk import inventory
    from reelbench.disk.references import resolve
    from reelbench.disk.registry import Registry

    registry = Registry.load()
    say_distrusted(registry)
    references = resolve(registry)
    items = _meant(what, inventory.take(registry)) or _absent(what, references, registry.root)
    if not items:
        raise InputError(
            f"nothing that ReelBench looks into is called '{what}'", "'reelbench disk' shows what there is"
        )
    answers = [_answer(item, references) for item in items]
    if as_json:
        print_json(answers)
        return
    for answer in answers:
        _tell(answer, None if everything else 10)


def _meant(what: str, found: Inventory) -> Sequence[Item]:
    """The items that a path leads to, also through a link; else those with this name."""
    path = Path(what).expanduser()
    if os.path.lexists(path):
        ways = {
            path.absolute(),
            Path(os.path.realpath(path.parent)) / path.name,
            Path(os.path.realpath(path)),
        }
        return [item for item in found.items if any(_holds(item, way) for way in ways)]
    names = {_name(what), what}
    return [item for item in found.items if names & {*item.names, item.id, item.title}]


def _absent(what: str, references: References, store: Path) -> Sequence[Item]:
    """What is named but not on this disk, where a configuration names it."""
    from reelbench.disk.records import Item, Root

    name, root = _name(what), Root("none", store, 0, 0)
    item = Item(name, root, name, "unknown", "refetchable", (), (name,), note="it is not on this disk")
    return [item] if references.reasons(item) or references.mentioned(item) else []


def _name(what: str) -> str:
    from reelbench.disk.names import name_of
    from reelbench.errors import UsageError

    try:
        return name_of(what)
    except UsageError:
        return f"weights:{what}"


def _holds(item: Item, way: Path) -> bool:
    """Whether the path is a part of the item, lies in one, or is a folder around one."""
    parts = [item.root.path / part.path for part in item.parts]
    return any(way == part or part in way.parents or way in part.parents for part in parts)


def _answer(item: Item, references: References) -> dict[str, object]:
    shortest_first = sorted(references.reasons(item), key=lambda reason: len(reason.chain))
    return {
        "id": item.id,
        "title": item.title,
        "cache": item.root.cache,
        "bytes": item.bytes,
        "class": item.class_,
        "names": list(item.names),
        "needed": [{"kind": reason.kind, "chain": list(reason.chain)} for reason in shortest_first],
        "named_by_disabled": [list(reason.chain) for reason in references.mentioned(item)],
        "busy": item.busy or _leased(item),
        "last_used": item.used_ns / 1e9 or None,
        "note": item.note,
    }


def _leased(item: Item) -> str:
    from reelbench.models.leases import alone

    for part in item.parts:
        try:
            with alone(item.root.path / part.path) as free:
                if not free:
                    return "a process uses it now"
        except OSError:
            continue  # a link, or gone: nobody can hold it
    return ""


def _tell(answer: dict[str, object], limit: int | None) -> None:
    from datetime import UTC, datetime

    needed, disabled = answer["needed"], answer["named_by_disabled"]
    assert isinstance(needed, list) and isinstance(disabled, list)
    state = "needed" if needed else "not needed"
    click.echo(
        f"{answer['title']}  ({answer['cache']}, {human(int(str(answer['bytes'])))}, {answer['class']}): {state}"
    )
    chains = [" > ".join(reason["chain"]) for reason in needed]
    for chain in chains[:limit]:
        click.echo(f"  because {chain}")
    if limit is not None and len(chains) > limit:
        click.echo(f"  … and {len(chains) - limit} more (--all)")
    for chain in [" > ".join(chain) for chain in disabled][:limit]:
        click.echo(f"  also named, which keeps nothing, by {chain}")
    for key, words in (("busy", "now"), ("note", "note")):
        if answer[key]:
            click.echo(f"  {words}: {answer[key]}")
    if isinstance(used := answer["last_used"], float):
        click.echo(f"  last used {datetime.fromtimestamp(used, UTC):%Y-%m-%d %H:%M} UTC")
