"""Hashing, and putting a file into the store so that it is there whole and right, or not at all."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from reelbench.errors import OutputError
from reelbench.models.catalog import Artifact
from reelbench.models.download import CHUNK, Bytes, SourceFailed
from reelbench.paths import describe_os_error, umask

RESERVE = 16 << 20
"""Bytes that a download leaves free."""

# RuntimeError: an encrypted or unknown zip; BadGzipFile is an OSError, so it is named before the disk's own errors.
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError)


class _Sink(Protocol):
    def write(self, block: bytes, /) -> object: ...


def sha256_of(path: Path, progress: Bytes | None = None) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return _hash(stream, None, path.stat().st_size, progress)


def _hash(stream: IO[bytes], sink: _Sink | None, total: int, progress: Bytes | None) -> str:
    digest, done = hashlib.sha256(), 0
    while block := stream.read(CHUNK):
        digest.update(block)
        if sink is not None:
            sink.write(block)
        done += len(block)
        if done > total and sink is not None:
            raise SourceFailed(f"the file is longer than the {total} bytes of the catalog")
        if progress is not None:
            progress(done, total)
    return digest.hexdigest()


def place(artifact: Artifact, source: Path, member: str | None, target: Path, progress: Bytes, consume: bool) -> None:
    """Copy ``source`` (or its ``member``) to ``target`` while hashing, fsync, rename, fsync the folder.

    ``consume`` moves a plain ``source`` of the same file system instead of copying it. A wrong hash raises `SourceFailed`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(
        f".{target.name}.tmp"
    )  # one name, under the family's lock: kill -9 leaves no litter behind
    try:
        if member is None and consume and source.stat().st_dev == target.parent.stat().st_dev:
            found = sha256_of(source, progress)
            _refuse_other(artifact, found)
            source.replace(temporary)
        else:
            with opened(source, member) as stream, temporary.open("wb") as sink:
                found = _hash(stream, sink, artifact.bytes, progress)
            _refuse_other(artifact, found)
        settle(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def copied(stream: IO[bytes], target: Path, artifact: Artifact, progress: Bytes) -> str:
    """As `place`, from a stream; gives the sha256 that was found, and places nothing where it is not the artifact's."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        with temporary.open("wb") as sink:
            found = _hash(stream, sink, artifact.bytes, progress)
        if found == artifact.sha256:
            settle(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return found


def settle(temporary: Path, target: Path) -> None:
    """Give a whole file its name, so that it lasts through a power cut."""
    temporary.chmod(0o666 & ~umask())
    _fsync(temporary, os.O_RDONLY)
    temporary.replace(target)
    fsync_folder(target.parent)


def _refuse_other(artifact: Artifact, found: str) -> None:
    if found != artifact.sha256:
        raise SourceFailed(f"wrong hash: sha256 {found} instead of {artifact.sha256}")


@contextmanager
def opened(source: Path, member: str | None) -> Iterator[IO[bytes]]:
    """The bytes of a file, or of one member of an archive. Nothing is unpacked under the archive's own names."""
    if member is None:
        with _open_plain(source) as stream:
            yield stream
        return
    try:
        if zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as packed, packed.open(member) as stream:
                yield stream
        else:
            with tarfile.open(source) as archive, _tar_member(archive, member) as stream:
                yield stream
    except KeyError as error:
        raise SourceFailed(f"the archive has no member {member}") from error
    except _DAMAGED as error:
        raise SourceFailed(f"the archive is damaged, or of a kind that is not read here ({error})") from error


def _open_plain(source: Path) -> IO[bytes]:
    try:
        return source.open("rb")
    except FileNotFoundError as error:
        raise SourceFailed("the file is not there") from error
    except OSError as error:
        raise SourceFailed(f"the file cannot be read: {error.strerror}") from error


def _tar_member(archive: tarfile.TarFile, member: str) -> IO[bytes]:
    stream = archive.extractfile(member)
    if stream is None:
        raise SourceFailed(f"{member} is no file in the archive")
    return stream


def _fsync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def fsync_folder(folder: Path) -> None:
    """Make what was renamed into or out of a folder last through a power cut."""
    _fsync(folder, os.O_RDONLY | os.O_DIRECTORY)


def require_room(folder: Path, needed: int, what: str) -> None:
    """Refuse a download for which the disk is too small, before a byte of it is written."""
    if needed <= 0:
        return
    free = shutil.disk_usage(folder).free
    if free < needed + RESERVE:
        raise OutputError(
            f"{what} needs {needed + RESERVE} bytes in {folder}, but only {free} are free: the disk is too small",
            "free some space, or move the store with REELBENCH_MODEL_STORE",
        )


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """An OSError of the disk becomes one clear line."""
    try:
        yield
    except OSError as error:
        raise describe_os_error(error, path, "cannot write") from error
