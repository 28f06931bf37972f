"""Which of the things that nobody needs go, and in which order."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Self

from reelbench.disk.records import Item

DAY_S: Final = 86_400.0
WEIGHTS: Final = frozenset({"weights", "download", "orphan"})
"""What goes without being asked for by a flag of its own, if nobody needs it."""
FLAGS: Final[Mapping[str, frozenset[str]]] = {
    "engines": frozenset({"derived"}),
    "runs": frozenset({"run", "artifact"}),
    "logs": frozenset({"log"}),
    "packages": frozenset({"package"}),
}
"""The kinds that go only where their flag is given."""
_CHOSEN: Final = frozenset({"run", "artifact", "log"})
"""Kinds that cannot be had again and may go all the same, where the user names both the kind and which of them."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What limits the selection; all limits hold together. Without any, everything that nobody needs and that is old
    enough goes."""

    kinds: frozenset[str] = WEIGHTS
    grace_s: float = DAY_S
    """Nothing goes that was changed or used within this time, whatever else is said."""
    older_than_s: float | None = None
    keep_last: int | None = None
    """Of each group (the revisions of a repository, all runs, all logs …) so many of the newest stay, needed or not."""
    least_recently_used: int | None = None
    """At most so many go, those first whose last use is longest ago."""
    budget: int | None = None
    """So many are deleted, the least recently used first, that what is there of these kinds takes at most this many
    bytes."""
    until_free: int | None = None
    """So many are deleted, the least recently used first, that each file system has this many bytes free."""
    only: tuple[str, ...] | None = None
    """Only these items (their ids or names). An empty selection is nothing, never everything."""

    @property
    def chooses(self) -> bool:
        """Whether the user said which of a kind go, beyond the kind itself."""
        return self.older_than_s is not None or self.keep_last is not None or bool(self.only)

    def may(self, item: Item) -> str:
        """Why an item of this kind or class never goes under this policy; '' where it may."""
        if item.kind not in self.kinds:
            return f"not asked for ({item.kind})"
        if item.class_ == "irreplaceable":
            if item.kind not in _CHOSEN:
                return "it cannot be had again (class irreplaceable)"
            if not self.chooses:
                return "it cannot be had again: say which with --older-than, --keep-last or by name"
        return ""

    def selects(self, item: Item) -> bool:
        return self.only is None or item.id in self.only or any(name in self.only for name in item.names)

    def as_json(self) -> dict[str, Any]:
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return found | {"kinds": sorted(self.kinds), "only": None if self.only is None else list(self.only)}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        only = raw["only"]
        return cls(**{**raw, "kinds": frozenset(raw["kinds"]), "only": None if only is None else tuple(only)})

    def __str__(self) -> str:
        """In the words of the command."""
        told = {
            "older than": _days(self.older_than_s),
            "keep last": self.keep_last,
            "least recently used": self.least_recently_used,
            "budget": self.budget,
            "until free": self.until_free,
            "only": ", ".join(self.only) if self.only is not None else None,
        }
        limits = [f"{name} {value}" for name, value in told.items() if value is not None]
        return "; ".join(["unused", f"grace {_days(self.grace_s)}", *limits])


def last_use_ns(item: Item) -> int:
    """When it was last changed or, as far as ReelBench knows, used."""
    return max(item.modified_ns, item.used_ns)


def age(item: Item, now_ns: int) -> str:
    """For how long nobody changed or used it, in words."""
    return _days(max(0, now_ns - last_use_ns(item)) / 1e9) or ""


def group(item: Item) -> tuple[str, str, str]:
    """What 'keep last' counts together: the revisions of a repository; else all of a kind in a root."""
    return str(item.root.path), item.kind, item.id.rpartition("@")[0]


def newest(items: Collection[Item], count: int) -> set[str]:
    """The ids of so many of the newest of each group."""
    groups: dict[tuple[str, str, str], list[Item]] = {}
    for item in items:
        groups.setdefault(group(item), []).append(item)
    ranked = (sorted(found, key=last_use_ns, reverse=True)[:count] for found in groups.values())
    return {item.id for found in ranked for item in found}


def _days(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 2 * DAY_S else f"{seconds / DAY_S:.0f} d"
