"""Whom a prune must not disturb, and how it makes sure: locks that are asked for and never waited for. Whoever holds
one keeps the item.

- ``maintenance``: one prune, undo or purge at a time for a store.
- ``settled``: pins and workspaces do not change between the last look at them and the move.
- ``not_fetched``: the cache's own locks. A download of the same file is under way, or waits until the item is gone.
- ``unused``: the leases of those who read. While it is held nobody new can begin.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

from reelbench import paths
from reelbench.disk import beneath, hub_store, reserve
from reelbench.disk.beneath import Folder, Refused
from reelbench.disk.records import Root
from reelbench.errors import UnavailableError
from reelbench.models import leases
from reelbench.models.catalog import Catalog
from reelbench.models.placing import disk_errors

_LOCKS = ".locks"
_WAIT_S = 10.0


@contextmanager
def maintenance(store: Path) -> Iterator[None]:
    """UnavailableError where another process prunes or restores with this store."""
    from filelock import FileLock, Timeout

    _many_files()
    with disk_errors(store):
        (store / _LOCKS).mkdir(parents=True, exist_ok=True)
        lock = FileLock(store / _LOCKS / ".prune.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UnavailableError("another prune or undo is at work", "wait until it has ended") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def settled(store: Path) -> Iterator[None]:
    """Hold the lock under which the registry is changed. Refused where somebody keeps it."""
    from filelock import FileLock, Timeout

    lock = FileLock(store / _LOCKS / ".registry.lock")
    try:
        lock.acquire(timeout=_WAIT_S)
    except Timeout:
        raise Refused("the registry of workspaces and pins is being changed") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def not_fetched(root: Root, top: Folder, parts: Iterable[str], names: Iterable[str]) -> Iterator[None]:
    """Hold the locks under which the cache itself would write these paths. Refused where one is held."""
    with ExitStack() as held:
        for path in sorted(set(_lock_files(root.cache, parts, names))):
            try:
                held.enter_context(_held(root, top, path))
            except OSError as error:  # a lock is a file, and may be the one for which there is no room
                if error.errno not in reserve.FULL or not reserve.give_up(root.path):
                    raise
                held.enter_context(_held(root, top, path))
        yield


@contextmanager
def unused(root: Root, parts: Iterable[str]) -> Iterator[None]:
    """Hold the exclusive lock of every file and folder of these parts. Refused where somebody uses one or it cannot be
    asked."""
    with ExitStack() as held:
        ours: set[tuple[int, int]] = (
            set()
        )  # an inode with two names is locked once: a second lock would meet our own first one
        for path in parts:
            for below in _all_below(root.path / path):
                try:
                    found = below.lstat()
                    if (found.st_dev, found.st_ino) in ours:
                        continue
                    ours.add((found.st_dev, found.st_ino))
                    alone = held.enter_context(leases.alone(below))
                except OSError as error:
                    raise Refused(f"{below}: {error.strerror}") from error
                if not alone:
                    raise Refused(f"a running process uses {below}")
        yield


def _lock_files(cache_name: str, parts: Iterable[str], names: Iterable[str]) -> Iterator[str]:
    """Where the tools themselves lock, below the root. Caches without locks of their own have the grace period."""
    if (
        cache_name == "hub"
    ):  # huggingface_hub: .locks/<repository>/<etag>.lock for blobs/<etag> and blobs/<etag>.<…>.incomplete
        for path in parts:
            if hub_store.is_inside(path):  # and <payload>.lock for what several repositories share
                yield hub_store.lock_of(path)
                continue
            repository, _, rest = path.partition("/")
            if rest.startswith("blobs/"):
                yield f"{_LOCKS}/{repository}/{rest.removeprefix('blobs/').split('.')[0]}.lock"
    elif cache_name == "store":  # models/store.py: .locks/<family>.lock
        for name in names:
            if name.startswith("weights:"):
                yield f"{_LOCKS}/{_family(name.removeprefix('weights:'))}.lock"
        for path in parts:
            first, _, rest = path.partition("/")
            family = rest.partition("/")[0] if first == ".partial" else first
            if family and not family.startswith("."):
                yield f"{_LOCKS}/{family}.lock"


@contextmanager
def _held(root: Root, top: Folder, path: str) -> Iterator[None]:
    from filelock import FileLock, Timeout

    folder, name = beneath.split(path)
    with top.enter(folder, create=True) as lies:  # refuses a link that would lead the lock elsewhere
        if hub_store.is_inside(path):
            lies.touch_for_all(name)
        lock = FileLock(root.path / path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise Refused("it is being fetched") from None
        try:
            yield
        finally:
            lock.release()


def _family(artifact: str) -> str:
    """The family under whose lock an artifact is fetched. A catalog that cannot be read is ConfigError, and nothing is
    deleted."""
    return _families(paths.conf_dir()).get(artifact, artifact.partition("/")[0])


@cache
def _families(conf: Path) -> dict[str, str]:
    return {artifact.id: artifact.family for artifact in Catalog.load(conf).artifacts.values()}


def _all_below(path: Path) -> Iterator[Path]:
    """A file; or a folder with all files and folders below it. Links have no lease: whoever uses one holds what it
    leads to."""
    if path.is_symlink():
        return
    yield path
    if not path.is_dir():
        return
    for folder, folders, files in os.walk(path, onerror=_raise):
        for name in (*folders, *files):
            below = Path(folder, name)
            if not below.is_symlink():
                yield below


def _raise(error: OSError) -> None:
    raise Refused(f"{error.filename}: {error.strerror}") from error


def _many_files() -> None:
    """A lock is an open file, and a folder may have thousands: use as many as the system allows this process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
