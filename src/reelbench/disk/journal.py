"""The record of one item in the trash: what it is, where each part was, and how far its move has come.

It lies beside the parts, as ``<root>/.reelbench-trash/<plan>/<number>/record.json``, and is replaced as a whole for
each step. It is the truth: nothing else needs to be known to bring the item back, or to go on with a step that was
broken off.

    going       (INTENT) parts are on their way into the trash; broken off here, they are brought back
    gone        (DONE) all of them are in the trash
    returning   parts are on their way back; broken off here, they are brought back
    purging     parts are being deleted for good; broken off here, the rest is deleted

A part is where it is: in the entry under its number, or at its place below the root. A rename has happened or not, so
that whoever reads the record after a crash looks, and needs no line for each part.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

from reelbench.disk.beneath import Folder
from reelbench.disk.records import Item

RECORD: Final = "record.json"
FORMAT: Final = 1

State = Literal["going", "gone", "returning", "purging"]


@dataclass(frozen=True, slots=True)
class Stored:
    """One part in the trash: its path below the root, and the inode that it is."""

    path: str
    kind: str
    device: int
    inode: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Record:
    state: State
    plan: str
    item: str
    title: str
    cache: str
    kind: str
    names: tuple[str, ...]
    why: str
    bytes: int
    """What deleting the parts for good frees."""
    moved_s: float
    """When it went, in seconds since 1970."""
    parts: tuple[Stored, ...]
    """In the order in which they went; the part with index i lies in the entry under the name str(i)."""
    needs: tuple[str, ...] = ()
    """Parts that it shares with items that stayed: they must be there for it to come back."""

    @classmethod
    def of(cls, plan: str, item: Item, why: str, freed: int, goes: tuple[int, ...]) -> Record:
        """The INTENT to move the parts with these indices."""
        moving = tuple(item.parts[index] for index in goes)
        parts = tuple(
            Stored(part.path, part.kind, part.device, part.inode, part.bytes + sum(link.bytes for link in part.linked))
            for part in moving
        )
        needs = tuple(part.path for index, part in enumerate(item.parts) if index not in goes)
        kept = (plan, item.id, item.title, item.root.cache, item.kind, item.names, why, freed, time.time())
        return cls("going", *kept, parts, needs)

    def now(self, state: State) -> Record:
        return replace(self, state=state)

    def when(self) -> str:
        return datetime.fromtimestamp(self.moved_s, UTC).isoformat(timespec="seconds")


class Unreadable(ValueError):
    """A record that is damaged: its entry is shown, and never touched."""


def write(entry: Folder, record: Record) -> None:
    """Put the record on the disk; only then may the step that it announces begin."""
    fields = {name: getattr(record, name) for name in Record.__slots__}
    parts = [[getattr(part, name) for name in Stored.__slots__] for part in record.parts]
    entry.write(RECORD, json.dumps({"format": FORMAT, **fields, "parts": parts}, indent=1))


def read(entry: Folder) -> Record:
    """The record of an entry. FileNotFoundError where it has none yet; Unreadable where it is damaged."""
    try:
        raw: dict[str, Any] = json.loads(entry.read(RECORD))
        if raw.pop("format") != FORMAT:
            raise Unreadable("it was written by another version of ReelBench")
        raw["parts"] = tuple(Stored(*part) for part in raw["parts"])
        record = Record(**(raw | {"names": tuple(raw["names"]), "needs": tuple(raw["needs"])}))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"its {RECORD} is damaged: {error}") from error
    if record.state not in get_args(State):
        raise Unreadable(f"its {RECORD} is damaged: state {record.state!r}")
    return record
