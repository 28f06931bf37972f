"""A plan as a file: what the user looked at is what is applied. Its digest tells a file that was changed by hand or cut
off."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Final

from reelbench import paths
from reelbench.disk.planning import Kept, Plan, Planned
from reelbench.disk.policy import Policy
from reelbench.disk.records import Item, Linked, Part, Root
from reelbench.errors import UsageError

FORMAT: Final = 1
"""History: 1, the first."""

_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{8}")


def as_json(plan: Plan) -> dict[str, Any]:
    """The plan with its digest. Paths that are not UTF-8 keep their bytes as lone surrogates (``os.fsencode`` gives
    them back)."""
    body: dict[str, Any] = {
        "format": FORMAT,
        "id": plan.id,
        "store": str(plan.store),
        "policy": plan.policy.as_json(),
        "bytes": plan.bytes,
        "items": [_planned(planned) for planned in plan.items],
        "kept": [[kept.item, kept.bytes, kept.why] for kept in plan.kept],
    }
    return {**body, "digest": _digest(body)}


def write(plan: Plan, target: Path) -> None:
    """Write it atomically; OutputError where that cannot be done."""
    paths.write_text(target, json.dumps(as_json(plan), indent=1), exact=True)


def read(source: Path) -> Plan:
    """UsageError where the file is no plan, was changed, or is from another version."""
    again = "make a new one: reelbench models prune --plan FILE"
    try:
        raw = json.loads(source.read_text(encoding="utf-8"))
        told = raw.pop("digest")
        if raw["format"] != FORMAT:
            raise UsageError(f"{source} is a plan of another version of ReelBench", again)
        if told != _digest(raw):
            raise UsageError(f"{source} was changed since it was made, or is damaged", again)
        if _ID.fullmatch(raw["id"]) is None:
            raise ValueError("its id names a folder of the trash")
        items = tuple(_item(one) for one in raw["items"])
        kept = tuple(Kept(*one) for one in raw["kept"])
        return Plan(raw["id"], Path(raw["store"]), Policy.from_json(raw["policy"]), items, kept)
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {error.strerror}", again) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{source} is no plan of what to prune", again) from error


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


_ITEM = ("id", "title", "kind", "class_", "names", "bytes", "logical_bytes", "modified_ns", "used_ns", "note")
_PART = ("path", "kind", "device", "inode", "bytes", "modified_ns")
_LINKED = ("device", "inode", "names", "here", "bytes")


def _planned(planned: Planned) -> dict[str, Any]:
    item, root = planned.item, planned.item.root
    return {
        **{name: getattr(item, name) for name in _ITEM},
        "names": list(item.names),
        "root": [root.cache, str(root.path), root.device, root.inode],
        "parts": [_part(part) for part in item.parts],
        "why": planned.why,
        "frees": planned.frees,
    }


def _part(part: Part) -> dict[str, Any]:
    linked = [{name: getattr(one, name) for name in _LINKED} for one in part.linked]
    return {name: getattr(part, name) for name in _PART} | {"linked": linked}


def _item(raw: dict[str, Any]) -> Planned:
    cache, path, device, inode = raw["root"]
    parts = tuple(Part(**{**part, "linked": tuple(Linked(**one) for one in part["linked"])}) for part in raw["parts"])
    known = {name: raw[name] for name in _ITEM} | {"names": tuple(raw["names"])}
    item = Item(**known, root=Root(cache, Path(path), device, inode), parts=parts)
    return Planned(item, raw["why"], raw["frees"])
