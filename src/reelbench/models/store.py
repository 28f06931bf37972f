"""The model store: a folder that holds the catalog's files, each present, whole and verified, or not there at all.

Layout: ``<root>/<artifact id>``; ``derived/<key>/`` for what was built from them; ``.partial/<family>/`` for downloads that can be
resumed; ``.locks/`` for one lock a family; ``.hashes.json`` for the hashes that need not be computed again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from reelbench import paths
from reelbench.errors import ConfigError, WeightsError
from reelbench.models.catalog import Artifact, Catalog, is_safe
from reelbench.models.hashes import HashCache
from reelbench.models.headers import quick_check
from reelbench.models.parallel import default_jobs
from reelbench.models.placing import disk_errors
from reelbench.models.pulling import Puller, refuse_failed
from reelbench.models.quarantine import PutAside, put_aside
from reelbench.models.session import Progress, Tried

How = Literal["all", "changed", "header"]


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

    def pull(
        self, ids: Iterable[str], progress: Progress | None = None, jobs: int | None = None, offline: bool = False
    ) -> list[Pulled]:
        """Fetch what is absent or damaged, ``jobs`` downloads at once (None: as `default_jobs` says); ``offline`` asks only folders and
        the hub's cache. Raises WeightsError for what no source gave, after all else is there.
        """
        entries = [self.catalog[artifact] for artifact in dict.fromkeys(ids)]
        wanted = [entry for entry in entries if not self._look(entry).ok]
        puller = Puller(
            self.root, self.catalog, self._hashes, self._is_there, progress, jobs or default_jobs(), offline
        )
        tried = puller.fetch(wanted)
        puller.sweep(dict.fromkeys(entry.family for entry in entries))
        refuse_failed({entry.id: tried[entry.id] for entry in entries if entry.id in tried}, self.catalog)
        return [Pulled(entry.id, self.root / entry.id, tried.get(entry.id, ())) for entry in entries]

    def hashes(self, ids: Iterable[str]) -> dict[str, str]:
        """The sha256 of each, of files that are present and verified. Raises WeightsError as ``path`` does."""
        for artifact in (ids := tuple(ids)):
            self.path(artifact)
        return {artifact: self.catalog[artifact].sha256 for artifact in ids}

    def status(self, artifact: str) -> Status:
        """How the artifact stands, without reading its bytes."""
        return self._look(self.catalog[artifact], hashing=False)

    def verify(self, ids: Iterable[str], how: How = "all") -> list[Status]:
        """``all`` reads every byte again, whatever is remembered; ``changed`` reads what changed since it was last hashed; ``header``
        reads only sizes and headers, so that what seems right is ``present`` and not ``verified``."""
        return [self._verified(self.catalog[artifact], how) for artifact in ids]

    def quarantine(self, found: Iterable[Status]) -> list[PutAside]:
        """Put the damaged ones among these aside, into ``.quarantine``. Raises OutputError, and WeightsError for one that is in use."""
        damaged = [status for status in found if status.state == "damaged"]
        moved = [put_aside(self.root, self.catalog[one.id], partial(self._still, one)) for one in damaged]
        return [one for one in moved if one is not None]

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
            raise _unreadable(path, error) from error
        if found is None:
            return Status(entry.id, path, "present", size)
        if found != entry.sha256:
            return Status(entry.id, path, "damaged", size, f"sha256 {found} instead of {entry.sha256}")
        return Status(entry.id, path, "verified", size)

    def _verified(self, entry: Artifact, how: How) -> Status:
        status = self._look(entry, hashing=how == "changed", anew=how == "all")
        if how == "header" and status.state == "present":
            wrong = self._checked(status.path)
            return replace(status, state="damaged", found=wrong) if wrong else status
        return status

    def _still(self, status: Status) -> str:
        """What is wrong with a file that was found damaged, now."""
        now = self._look(self.catalog[status.id])
        return now.found if now.state == "damaged" else ""

    def _checked(self, path: Path) -> str:
        try:
            return quick_check(path)
        except OSError as error:
            raise _unreadable(path, error) from error

    def _is_there(self, entry: Artifact) -> bool:
        return self._look(entry).ok

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


def _unreadable(path: Path, error: OSError) -> WeightsError:
    return WeightsError(f"weights {path} cannot be read: {error.strerror}", "mend its permissions")
