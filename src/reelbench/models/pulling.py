"""Fetching what the store lacks: families at once, each under its lock; within a family, downloads at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from reelbench.errors import WeightsError
from reelbench.models.catalog import Artifact, Catalog
from reelbench.models.hashes import HashCache
from reelbench.models.parallel import Workers
from reelbench.models.placing import disk_errors, require_room
from reelbench.models.session import Progress, Session, Tried, kept, remove_if_empty

log = logging.getLogger(__name__)

Asked = dict[str, tuple[Tried, ...]]
"""For each artifact the sources that were asked for it; the last one gave it unless it has a reason."""


@dataclass(frozen=True, slots=True)
class Puller:
    """``there`` says whether an artifact is in the store and right."""

    root: Path
    catalog: Catalog
    hashes: HashCache
    there: Callable[[Artifact], bool]
    progress: Progress | None
    jobs: int
    offline: bool

    def fetch(self, entries: Sequence[Artifact]) -> Asked:
        """Fetch these; those that another process fetched meanwhile are not in the answer. Raises OutputError for the disk."""
        families = [
            list(group)
            for _, group in groupby(sorted(entries, key=lambda entry: entry.family), key=lambda entry: entry.family)
        ]
        if not families:
            return {}
        with disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        needed = sum(Session(self._partial(family[0].family)).needs(family, self.jobs) for family in families)
        require_room(self.root, needed, f"fetching {', '.join(family[0].family for family in families[:4])}")
        asked: Asked = {}
        with Workers(self.jobs) as workers:
            for one in workers.families(lambda family: self._family(family, workers), families):
                asked |= one
        return asked

    def _family(self, entries: list[Artifact], workers: Workers) -> Asked:
        """Fetch a family's entries under its lock; another process may have done it while we waited."""
        asked: Asked = {}
        placed: dict[Path, str] = {}
        with disk_errors(self.root), locked(self.root, entries[0].family, workers.check):
            missing = [entry for entry in entries if not self.there(entry)]
            try:
                with Session.opened(self._partial(entries[0].family), self._reporter(workers), self.offline) as session:
                    for one in workers.downloads(
                        lambda group: self._group(group, session, workers), session.groups(missing)
                    ):
                        asked |= one
            finally:
                for entry in missing:
                    if asked.get(entry.id) and not asked[entry.id][-1].reason:
                        placed[self.root / entry.id] = entry.sha256
                self.hashes.settle(placed)
                self._sweep(entries[0].family, [entry for entry in missing if self.root / entry.id not in placed])
        return asked

    def sweep(self, families: Iterable[str]) -> None:
        """Remove downloads that nothing will go on with: a process was killed after it had placed what they held."""
        for family in families:
            if self._partial(family).is_dir():
                with disk_errors(self.root), locked(self.root, family):
                    self._sweep(family, [])

    def _sweep(self, family: str, missing: list[Artifact]) -> None:
        absent = [one for one in self.catalog.families[family].artifacts if not (self.root / one.id).is_file()]
        wanted = {kept(source) for entry in (*absent, *missing) for source in entry.sources}
        for left in self._partial(family).glob("*.part*"):
            if left.name.removesuffix(".json") not in wanted:
                left.unlink()
        remove_if_empty(self._partial(family))

    def _group(self, entries: list[Artifact], session: Session, workers: Workers) -> Asked:
        asked: Asked = {}
        for entry in entries:
            workers.check()
            asked[entry.id] = tuple(session.fill(entry, self.root / entry.id))
        return asked

    def _partial(self, family: str) -> Path:
        return self.root / ".partial" / family

    def _reporter(self, workers: Workers) -> Progress:
        shown = self.progress

        def report(artifact: str, done: int, total: int) -> None:
            workers.check()
            if shown is not None:
                shown(artifact, done, total)

        return report


@contextmanager
def locked(root: Path, family: str, check: Callable[[], None] = lambda: None) -> Iterator[None]:
    """A family's lock; waits for another process that has it, and calls ``check``, which may raise, meanwhile."""
    from filelock import FileLock, Timeout

    folder = root / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{family}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("%s: another process is fetching it; waiting", family)
        while not lock.is_locked:
            check()
            with suppress(Timeout):
                lock.acquire(timeout=0.2)
    try:
        yield
    finally:
        lock.release()


def refuse_failed(asked: Asked, catalog: Catalog) -> None:
    """Raise WeightsError for what no source gave, with each one's reason."""
    failed = {name: tried for name, tried in asked.items() if not tried or tried[-1].reason}
    if not failed:
        return
    name, tried = next(iter(failed.items()))
    reasons = "; ".join(f"{one.source}: {one.reason}" for one in tried) or "the catalog names no source for it"
    others = [other for other in failed if other != name]
    also = f" (nor could {', '.join(others[:3])}{' …' if len(others) > 3 else ''})" if others else ""
    families = dict.fromkeys(catalog[other].family for other in failed)
    again = " ".join(failed if len(failed) <= 3 else families)
    raise WeightsError(
        f"weights {name} could not be had: {reasons}{also}",
        f"mend the network, or put each file under its id into a folder that REELBENCH_MIRROR names; "
        f"then run 'reelbench models pull {again}'",
    )
