"""Who needs what: every configuration of every workspace names its weights, a user pins others, and nothing else is needed.

Deletion leans on this, so that what cannot be told is an error: a workspace that is not there, or on another disk than it was; a
configuration that does not compose; no configuration at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from reelbench.disk import compositions
from reelbench.disk.compositions import Composition
from reelbench.disk.names import widened
from reelbench.disk.records import Item, Reason
from reelbench.disk.registry import Registry, Workspace
from reelbench.errors import UnresolvedRoot
from reelbench.paths import conf_dir

Names = Mapping[str, tuple[Reason, ...]]
_AUTOMATIC = ("run", "artifact", "log")
"""Kinds that only go where the user asks for them by a flag: that they cannot be had again is no reason to keep them then."""


@dataclass(frozen=True, slots=True)
class References:
    """``names``: what is needed, and why. ``mentions``: what only configurations name that are switched off; that keeps nothing."""

    names: Names
    mentions: Names = field(default_factory=dict)
    words: Names = field(default_factory=dict)
    """What configurations spell without a scheme ('openai/clip-vit-base-patch32', 'yolo11n.pt'): it keeps whatever has that name."""
    compositions: tuple[Composition, ...] = ()

    def reasons(self, item: Item) -> tuple[Reason, ...]:
        """Why an item is needed; empty where nobody needs it."""
        found = [reason for name in item.names for reason in _of(name, self.names, self.words)]
        if item.class_ == "irreplaceable" and item.kind not in _AUTOMATIC:
            found.append(Reason("source", ("it cannot be had again (class irreplaceable)",)))
        return tuple(dict.fromkeys(found))

    def mentioned(self, item: Item) -> tuple[Reason, ...]:
        """Which configurations that are switched off name it."""
        return tuple(dict.fromkeys(reason for name in item.names for reason in _of(name, self.mentions, self.mentions)))


def resolve(registry: Registry) -> References:
    """Compose everything. Raises UnresolvedRoot, with the name of what cannot be resolved."""
    whole: list[Composition] = []
    for workspace in registry.workspaces:
        whole += check(workspace, registry.root)
    if not any(one.enabled for one in whole) and not registry.pins:
        raise UnresolvedRoot(
            "there is no configuration at all, so nothing says what is needed",
            "register the projects that use this machine's weights: reelbench workspace add DIR",
        )
    names, mentions, words = _Table(), _Table(), _Table()
    known = {(one.workspace, one.key): one for one in whole}
    shipped = conf_dir().parent.resolve()
    for one in whole:
        for chain, used in _with_used(one, known, shipped):
            (names if one.enabled else mentions).add(used.needs, chain)
            (words if one.enabled else mentions).add(used.words, chain)
    for pin in registry.pins:
        names.add(widened(pin.name), (f"pinned{f' ({pin.why})' if pin.why else ''}",), "pin")
    return References(names.done(), mentions.done(), words.done(), tuple(whole))


def check(workspace: Workspace, store_root: Path) -> tuple[Composition, ...]:
    """The compositions of one workspace by itself. UnresolvedRoot where one cannot be resolved."""
    require(workspace)
    return compositions.of(workspace, store_root)


def require(workspace: Workspace) -> None:
    """UnresolvedRoot where a workspace is not there, cannot be read, or lies on another disk than when it was added."""
    again = f"mount it, or let it go: reelbench workspace remove {workspace.path}"
    try:
        device = workspace.path.stat().st_dev
    except OSError as error:
        raise UnresolvedRoot(f"workspace {workspace.path} cannot be read: {error.strerror}", again) from error
    if device != workspace.device:
        raise UnresolvedRoot(
            f"workspace {workspace.path} lies on another disk than when it was added ({device} instead of {workspace.device})",
            f"{again}; where the disk is the right one: reelbench workspace add {workspace.path}",
        )


def _of(name: str, names: Names, words: Names) -> tuple[Reason, ...]:
    word = name.partition(":")[2]
    return (*names.get(name, ()), *words.get(word, ()), *words.get(word.removesuffix("@main"), ()))


def _with_used(
    one: Composition, known: Mapping[tuple[Path, str], Composition], shipped: Path
) -> Iterable[tuple[tuple[str, ...], Composition]]:
    """A composition and all whose results it takes, each with the chain that leads to it. UnresolvedRoot where one is not there."""
    state = "enabled" if one.enabled else "disabled"
    begin: tuple[str, ...] = (f"workspace {one.workspace}", f"{one.title} ({state})")
    waiting = [(begin, one)]
    seen = {one.key}
    while waiting:
        chain, current = waiting.pop()
        yield chain, current
        for key in current.uses:
            found = known.get((current.workspace, key)) or known.get((shipped, key))
            if found is None and one.enabled:
                raise UnresolvedRoot(
                    f"workspace {one.workspace}: {one.title} takes the results of {key}, which no configuration has",
                    "mend analyzer.upstream, or add that configuration",
                )
            if found is not None and key not in seen:
                seen.add(key)
                waiting.append(((*chain, f"takes the results of {found.title}"), found))


class _Table:
    """Names with their reasons, in the making."""

    def __init__(self) -> None:
        self._found: dict[str, dict[Reason, None]] = {}

    def add(self, names: Iterable[str], chain: tuple[str, ...], kind: str = "configuration") -> None:
        for name in names:
            reason = Reason("pin" if kind == "pin" else "configuration", (*chain, name))
            self._found.setdefault(name, {})[reason] = None

    def done(self) -> Names:
        return MappingProxyType({name: tuple(reasons) for name, reasons in sorted(self._found.items())})
