"""A bundle: artifacts and their catalog in one tar, for a machine without a network. Its first member is the manifest, its second the
manifest's signature (Ed25519).

The signature proves that whoever holds the private key wrote this manifest, and the manifest's sha256 tie each file to it. It proves
nothing about what the files do, nor that the key is whose you think it is: compare the public key by another way. Without a trusted key
the hashes only show that the bundle is whole; a file is then taken only where the catalog of this machine already pins its sha256, and
a bundle that brings a family which that catalog does not have is refused whole.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reelbench.errors import ConfigError, InputError
from reelbench.models import keys
from reelbench.models.catalog import Artifact, Catalog, Sha256, is_safe, parse_family
from reelbench.models.placing import copied, disk_errors, require_room
from reelbench.models.pulling import locked
from reelbench.models.session import Progress
from reelbench.paths import atomic_path

if TYPE_CHECKING:
    from reelbench.models.store import ModelStore

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"

_LARGEST_MANIFEST = 64 << 20
_SIGNATURE_BYTES = 64


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BundledFile(_Strict):
    bytes: Annotated[int, Field(gt=0)]
    sha256: Sha256
    licence: str


class Manifest(_Strict):
    """``artifacts``: by id, in the order in which they stand in the tar; ``catalog``: by family, the text of its file."""

    schema_version: Literal[1] = 1
    artifacts: dict[str, BundledFile]
    catalog: dict[str, str]


@dataclass(frozen=True, slots=True)
class Exported:
    path: Path
    artifacts: tuple[str, ...]
    bytes: int
    public_key: str


@dataclass(frozen=True, slots=True)
class Imported:
    """``signed``: by a key that is trusted here; ``written``: catalog files that were new; ``there``: what the store had already."""

    artifacts: tuple[str, ...]
    there: tuple[str, ...]
    written: tuple[Path, ...]
    signed: bool


def export(store: ModelStore, ids: Sequence[str], target: Path, key: Path | None, conf: Sequence[Path]) -> Exported:
    """Write a bundle of artifacts that are in the store, verified. ``key`` is a private key (None: unsigned); ``conf`` are the folders
    of the catalog's files. Raises WeightsError for what is not there, ConfigError for a key that is none, OutputError for the disk.
    """
    entries = [store.catalog[artifact] for artifact in dict.fromkeys(ids)]
    files = {entry.id: store.path(entry.id) for entry in entries}
    manifest = Manifest(
        artifacts={one.id: BundledFile(bytes=one.bytes, sha256=one.sha256, licence=one.licence) for one in entries},
        catalog={family: _text(family, conf) for family in dict.fromkeys(entry.family for entry in entries)},
    )
    text = (json.dumps(manifest.model_dump(mode="json"), indent=1) + "\n").encode()
    signature, public = keys.sign(text, key) if key else (b"", "")
    size = sum(entry.bytes for entry in entries)
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        require_room(target.parent, size + len(text) + 2048 * (len(entries) + 4), "the bundle")
        with atomic_path(target) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as archive:
            _put(archive, MANIFEST, len(text), io.BytesIO(text))
            _put(archive, SIGNATURE, len(signature), io.BytesIO(signature))
            for entry in entries:
                with files[entry.id].open("rb") as stream:
                    _put(archive, f"files/{entry.id}", entry.bytes, stream)
    return Exported(target, tuple(files), target.stat().st_size, public)


def bring(
    store: ModelStore, bundle: Path, trusted: Sequence[str], conf: Path | None, progress: Progress | None = None
) -> Imported:
    """Take a bundle into the store. ``trusted`` are public keys; ``conf`` is where families go that the catalog does not have.

    Raises InputError where the bundle is damaged, not signed by a trusted key while it brings something that this catalog does not pin,
    or contradicts the catalog. Each file is placed whole or not at all, so that a broken import can be run again.
    """
    with _opened(bundle) as archive:
        manifest, signed = _manifest(archive, bundle, trusted)
        _require_trust(store.catalog, manifest, bundle, signed)
        catalog, new = _catalog(store.catalog, manifest, bundle)
        if conf is not None:
            _refuse_other_text(manifest, new, conf)
        if new and conf is None:
            raise ConfigError(
                f"the catalog here has no {', '.join(new)}", "say --conf DIR, where its file shall be written"
            )
        wanted = [catalog[artifact] for artifact in manifest.artifacts if not _is_there(store, artifact)]
        with disk_errors(store.root):
            store.root.mkdir(parents=True, exist_ok=True)
        require_room(store.root, sum(entry.bytes for entry in wanted), f"importing {bundle.name}")
        by_member = {f"files/{entry.id}": entry for entry in wanted}
        for member in archive:
            if (entry := by_member.pop(member.name, None)) is not None:
                _place(store, archive, member, entry, bundle, progress)
        if by_member:
            raise InputError(
                f"{bundle} does not hold {next(iter(by_member))}, which its manifest names", "copy it again"
            )
        written = tuple(_write_family(conf, family, manifest.catalog[family]) for family in new if conf)
    placed = tuple(entry.id for entry in wanted)
    return Imported(placed, tuple(one for one in manifest.artifacts if one not in placed), written, signed)


def inspect(bundle: Path, trusted: Sequence[str]) -> tuple[Manifest, bool]:
    """The manifest, and whether a trusted key signed it. Reads none of the files."""
    with _opened(bundle) as archive:
        return _manifest(archive, bundle, trusted)


@contextmanager
def _opened(bundle: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(bundle, "r:") as archive:
            yield archive
    except tarfile.TarError as error:
        raise InputError(f"{bundle} is damaged, or no bundle: {error}", "copy it again") from error
    except OSError as error:
        raise InputError(f"{bundle} cannot be read: {error.strerror or error}") from error


def _manifest(archive: tarfile.TarFile, bundle: Path, trusted: Sequence[str]) -> tuple[Manifest, bool]:
    text = _take(archive, MANIFEST, _LARGEST_MANIFEST, bundle)
    signature = _take(archive, SIGNATURE, _SIGNATURE_BYTES, bundle)
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(f"{bundle}: its manifest is wrong: {first['msg']}", "it may be of another version") from error
    for name in (*manifest.artifacts, *manifest.catalog):
        if not is_safe(name) or (name in manifest.catalog and "/" in name):
            raise InputError(f"{bundle}: '{name}' is no name of the catalog", "do not use this bundle")
    return manifest, bool(signature) and any(keys.verify(text, signature, key) for key in trusted)


def _take(archive: tarfile.TarFile, name: str, largest: int, bundle: Path) -> bytes:
    """The next member, which must be this one."""
    member = archive.next()
    if member is None or member.name != name or not member.isfile() or member.size > largest:
        raise InputError(f"{bundle} is no bundle of ReelBench: {name} is not where it should be")
    stream = archive.extractfile(member)
    return stream.read() if stream else b""


def _catalog(here: Catalog, manifest: Manifest, bundle: Path) -> tuple[Catalog, list[str]]:
    """The catalog with the bundle's families, and which of them are new. What both have must agree."""
    families = dict(here.families)
    new = [family for family in manifest.catalog if family not in families]
    families |= {family: parse_family(family, manifest.catalog[family]) for family in new}
    catalog = Catalog(families.values())
    for name, file in manifest.artifacts.items():
        entry = catalog.artifacts.get(name)
        if entry is None:
            raise InputError(f"{bundle}: {name} is not in the catalog here, though its family is", "update the catalog")
        if (entry.sha256, entry.bytes) != (file.sha256, file.bytes):
            raise InputError(f"{bundle}: {name} has another sha256 than the catalog here says", "use a newer bundle")
    return catalog, new


def _require_trust(here: Catalog, manifest: Manifest, bundle: Path, signed: bool) -> None:
    """Without a trusted signature nothing of the manifest counts that the catalog here does not say itself."""
    if signed:
        return
    unknown = [name for name in manifest.artifacts if name not in here.artifacts]
    unknown += [f"the family {family}" for family in manifest.catalog if family not in here.families]
    if unknown:
        raise InputError(
            f"{bundle} is not signed by a key that you trust, and the catalog here does not pin {unknown[0]}",
            "say --trust KEY with the public key of whoever made it",
        )


def _refuse_other_text(manifest: Manifest, new: Sequence[str], conf: Path) -> None:
    """A file that ``conf`` has already is not written over with another text."""
    for family in new:
        file = _family_file(conf, family)
        if file.exists() and (not file.is_file() or file.read_bytes() != manifest.catalog[family].encode()):
            raise InputError(
                f"{file} is there, and is not what the bundle has under this name",
                "give another --conf, or move that file away",
            )


def _is_there(store: ModelStore, artifact: str) -> bool:
    return artifact in store.catalog.artifacts and store.verify([artifact], "changed")[0].ok


def _place(
    store: ModelStore,
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    entry: Artifact,
    bundle: Path,
    progress: Progress | None,
) -> None:
    stream = archive.extractfile(member) if member.isfile() and member.size == entry.bytes else None
    if stream is None:
        raise InputError(f"{bundle}: {entry.id} has not the size that its manifest says", "copy it again")

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress(entry.id, done, total)

    with disk_errors(store.root), locked(store.root, entry.family):
        found = copied(stream, store.root / entry.id, entry, report)
    if found != entry.sha256:
        raise InputError(f"{bundle}: {entry.id} is damaged: sha256 {found} instead of {entry.sha256}", "copy it again")


def _write_family(conf: Path, family: str, text: str) -> Path:
    file = _family_file(conf, family)
    with atomic_path(file) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return file


def _family_file(conf: Path, family: str) -> Path:
    return conf / "weights" / f"{family}.yaml"


def _text(family: str, conf: Sequence[Path]) -> str:
    file = next((one for folder in conf if (one := folder / f"{family}.yaml").is_file()), None)
    if file is None:
        raise ConfigError(f"the catalog file of {family} is in none of {', '.join(map(str, conf))}")
    return file.read_text(encoding="utf-8")


def _put(archive: tarfile.TarFile, name: str, size: int, stream: IO[bytes]) -> None:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    archive.addfile(info, stream)
