"""The model store: a folder that holds the catalog's files, each present, whole and verified, or not there at all.

Layout: ``<root>/<artifact id>``; ``derived/<key>/`` for what was built from them; ``.partial/<family>/`` for downloads that can be
resumed; ``.locks/`` for one lock a family; ``.hashes.json`` for the hashes that need not be computed again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

from reelbench import paths
from reelbench.errors import ConfigError, WeightsError
from reelbench.models.catalog import Artifact, Catalog, is_safe
from reelbench.models.hashes import HashCache
from reelbench.models.placing import disk_errors, require_room
from reelbench.models.session import Progress, Session, Tried

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Status:
    """How an artifact stands in the store. ``present`` was not hashed since its last change, ``verified`` was."""

    id: str
    path: Path
    state: Literal["missing", "present", "verified", "damaged"]
    bytes: int
    found: str = ""

    @property
    def ok(self) -> bool:
        return self.state == "verified"


@dataclass(frozen=True, slots=True)
class Pulled:
    """An artifact that is now in the store, and the sources that were asked for it (none where it was there already)."""

    id: str
    path: Path
    tried: tuple[Tried, ...] = ()


class ModelStore:
    """Finds, verifies and fetches artifacts. Reading works in a read-only folder; several processes may share one store."""

    def __init__(self, root: Path | None = None, catalog: Catalog | None = None) -> None:
        self.root = (root or paths.store_dir()).absolute()
        self.catalog = catalog or Catalog.load()
        self._hashes = HashCache(self.root)

    def path(self, artifact: str) -> Path:
        """The verified file of a catalog entry. Raises WeightsError where it is absent or its hash is wrong."""
        entry = self.catalog[artifact]
        return self._require(entry, self._look(entry))

    def ensure(self, ids: Iterable[str], progress: Progress | None = None, download: bool = True) -> dict[str, Path]:
        """As ``path`` for many, fetching what is absent or damaged unless ``download`` is off."""
        if not download:
            return {artifact: self.path(artifact) for artifact in ids}
        return {pulled.id: pulled.path for pulled in self.pull(ids, progress)}

    def pull(self, ids: Iterable[str], progress: Progress | None = None) -> list[Pulled]:
        """Fetch what is absent or damaged. Raises WeightsError for what no source gave, after all else is there."""
        entries = [self.catalog[artifact] for artifact in dict.fromkeys(ids)]
        wanted = [entry for entry in entries if not self._look(entry).ok]
        tried: dict[str, tuple[Tried, ...]] = {}
        for family, group in groupby(sorted(wanted, key=lambda entry: entry.family), key=lambda entry: entry.family):
            tried |= self._fill(family, list(group), progress)
        self._refuse_failed({name: asked for name, asked in tried.items() if not asked or asked[-1].reason})
        return [Pulled(entry.id, self.root / entry.id, tried.get(entry.id, ())) for entry in entries]

    def hashes(self, ids: Iterable[str]) -> dict[str, str]:
        """The sha256 of each, of files that are present and verified. Raises WeightsError as ``path`` does."""
        for artifact in (ids := tuple(ids)):
            self.path(artifact)
        return {artifact: self.catalog[artifact].sha256 for artifact in ids}

    def status(self, artifact: str) -> Status:
        """How the artifact stands, without reading its bytes."""
        return self._look(self.catalog[artifact], hashing=False)

    def verify(self, ids: Iterable[str]) -> list[Status]:
        """Read every byte again, whatever is remembered."""
        return [self._look(self.catalog[artifact], anew=True) for artifact in ids]

    def derived(self, key: str) -> Path:
        """A folder for regenerable files; the same ``key`` gives the same folder."""
        if not is_safe(key):
            raise ConfigError(f"'{key}' cannot name a folder of the model store", "use letters, digits and . _ + - /")
        folder = self.root / "derived" / key
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _look(self, entry: Artifact, hashing: bool = True, anew: bool = False) -> Status:
        path = self.root / entry.id
        try:
            if not path.is_file():
                return Status(entry.id, path, "missing", 0)
            size = path.stat().st_size
            if size != entry.bytes:
                return Status(entry.id, path, "damaged", size, f"{size} bytes instead of {entry.bytes}")
            found = self._hash(path, hashing, anew)
        except OSError as error:
            raise WeightsError(
                f"weights {entry.id}: {path} cannot be read: {error.strerror}", "mend its permissions"
            ) from error
        if found is None:
            return Status(entry.id, path, "present", size)
        if found != entry.sha256:
            return Status(entry.id, path, "damaged", size, f"sha256 {found} instead of {entry.sha256}")
        return Status(entry.id, path, "verified", size)

    def _hash(self, path: Path, hashing: bool, anew: bool) -> str | None:
        if anew:
            return self._hashes.hash_anew(path)
        return self._hashes.hash(path) if hashing else self._hashes.known(path)

    def _require(self, entry: Artifact, status: Status) -> Path:
        if status.ok:
            return status.path
        mend = f"run 'reelbench models pull {entry.id}'"
        if status.state == "missing":
            raise WeightsError(f"weights {entry.id} are not in the model store {self.root}", mend)
        raise WeightsError(f"weights {entry.id}: {status.path} is damaged: {status.found}", mend)

    def _fill(self, family: str, entries: list[Artifact], progress: Progress | None) -> dict[str, tuple[Tried, ...]]:
        """Fetch a family's entries under its lock; another process may have done it while we waited."""
        tried: dict[str, tuple[Tried, ...]] = {}
        placed: dict[Path, str] = {}
        with disk_errors(self.root), self._locked(family):
            missing = [entry for entry in entries if not self._look(entry).ok]
            with Session.opened(self.root / ".partial" / family, progress) as session:
                require_room(self.root, session.needs(missing), f"fetching {family}")
                for entry in missing:
                    target = self.root / entry.id
                    tried[entry.id] = tuple(session.fill(entry, target))
                    if tried[entry.id] and not tried[entry.id][-1].reason:
                        placed[target] = entry.sha256
            self._hashes.settle(placed)
        return tried

    @contextmanager
    def _locked(self, family: str) -> Iterator[None]:
        from filelock import FileLock, Timeout

        folder = self.root / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{family}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.info("%s: another process is fetching it; waiting", family)
            lock.acquire(poll_interval=0.2)
        try:
            yield
        finally:
            lock.release()

    def _refuse_failed(self, failed: dict[str, tuple[Tried, ...]]) -> None:
        if not failed:
            return
        name, asked = next(iter(failed.items()))
        reasons = "; ".join(f"{one.source}: {one.reason}" for one in asked) or "the catalog names no source for it"
        others = [other for other in failed if other != name]
        also = f" (nor could {', '.join(others[:3])}{' …' if len(others) > 3 else ''})" if others else ""
        families = dict.fromkeys(self.catalog[other].family for other in failed)
        again = " ".join(failed if len(failed) <= 3 else families)
        raise WeightsError(
            f"weights {name} could not be had: {reasons}{also}",
            f"mend the network, or put each file under its id into a folder that REELBENCH_MIRROR names; "
            f"then run 'reelbench models pull {again}'",
        )
