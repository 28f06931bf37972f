"""Leases for as long as something is used: by a run on its weights and clips, by a worker on all that its analyzer asks for."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from reelbench.models.catalog import Catalog
from reelbench.models.leases import hold
from reelbench.models.space import Need, require
from reelbench.models.store import ModelStore

BUILT_FACTOR = 3
"""What is built from weights (an export, a calibrated copy, an engine) takes at most about so many times their size."""


class Lease:
    """Keeps files and folders from being pruned until it is let go: by `release`, or with the last reference to it."""

    def __init__(self, paths: Iterable[Path] = ()) -> None:
        held = ExitStack()
        self._held, self._paths = held, set[Path]()
        weakref.finalize(self, held.close)
        for path in paths:
            self.take(path)

    def take(self, path: Path) -> None:
        """Hold this one, too. WeightsError where it is not there."""
        if path not in self._paths:
            self._held.enter_context(hold([path]))
            self._paths.add(path)

    def release(self) -> None:
        self._held.close()
        self._paths.clear()


def top_of(path: Path, root: Path) -> Path | None:
    """What is pruned as a whole and holds ``path``: a derived folder, or the artifact's own file; None outside of the store."""
    if not path.is_relative_to(root):
        return None
    parts = path.relative_to(root).parts
    return root.joinpath(*parts[:2]) if parts[:1] == ("derived",) else path


class LeasedStore(ModelStore):
    """A model store for one worker: what it gives cannot be pruned before the process ends, however it ends."""

    def __init__(self, root: Path | None = None, catalog: Catalog | None = None) -> None:
        super().__init__(root, catalog)
        self._lease = Lease()
        self._given: set[str] = set()

    def path(self, artifact: str) -> Path:
        path = super().path(artifact)
        self._lease.take(path)
        self._given.add(artifact)
        return path

    def derived(self, key: str) -> Path:
        """As `ModelStore.derived`; OutputError where what is to be built in a new folder would not fit on the disk."""
        if not (self.root / "derived" / key).is_dir():
            size = BUILT_FACTOR * sum(self.catalog[artifact].bytes for artifact in self._given)
            require([Need(self.root, size, f"building {key}")])
        folder = super().derived(key)
        self._lease.take(top_of(folder, self.root) or folder)
        return folder
