"""A judged inventory as plain values for ``--json``. Bytes are exact; a name that is no UTF-8 carries its bytes as escapes."""

from __future__ import annotations

from typing import Any

from reelbench.disk.categories import Category, Judged
from reelbench.disk.records import Problem
from reelbench.disk.seen import Seen

SCHEMA_VERSION = 1


def as_data(seen: Seen) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "unresolved": seen.unresolved or None,
        "total": _category(seen.total),
        "caches": [_category(row) for row in seen.categories],
        "problems": [_problem(one) for one in seen.inventory.problems],
        "items": [_item(one) for one in sorted(seen.judged, key=lambda one: one.item.id)],
    }


def _problem(one: Problem) -> dict[str, str]:
    return {"cache": one.root.cache, "root": str(one.root.path), "path": one.path, "reason": one.reason}


def _category(row: Category) -> dict[str, Any]:
    return {
        "cache": row.cache,
        "roots": [str(root) for root in row.roots],
        "items": row.items,
        "bytes": row.total,
        "in_use": row.in_use,
        "reclaimable": row.reclaimable,
        "shared": row.shared,
        "kept": row.kept,
        "unknown": row.unknown,
    }


def _item(one: Judged) -> dict[str, Any]:
    item = one.item
    return {
        "id": item.id,
        "title": item.title,
        "kind": item.kind,
        "class": item.class_,
        "standing": one.standing,
        "why": one.why,
        "names": list(item.names),
        "bytes": item.bytes,
        "logical_bytes": item.logical_bytes,
        "modified_ns": item.modified_ns,
        "used_ns": item.used_ns,
        "busy": item.busy or None,
        "note": item.note or None,
        "root": str(item.root.path),
        "paths": [part.path for part in item.parts],
    }
