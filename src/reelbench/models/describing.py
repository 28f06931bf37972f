"""What an address holds: each file's size and sha256, the licence, and the source as the catalog writes it.

The hub tells the sha256 of its large files; every other file is downloaded to be hashed, to where a later pull goes on with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reelbench.errors import ConfigError, InputError, WeightsError
from reelbench.models import download, hub
from reelbench.models.addresses import HubAddress, LocalAddress, WebAddress
from reelbench.models.download import CHUNK, SourceFailed
from reelbench.models.mirrors import is_offline
from reelbench.models.placing import opened, require_room, sha256_of
from reelbench.models.session import Progress, kept
from reelbench.models.sources import HfSource, HttpsSource, PathSource, Source

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

UNKNOWN = "unknown"

_NOT_WEIGHTS = (".*", "*/.*", "README*", "*.md", "*.png", "*.jpg", "*.jpeg", "*.gif", "*.svg")
_OTHER_FORMATS = (
    "*.bin",
    "*.pt",
    "*.pth",
    "*.ckpt",
    "*.h5",
    "*.msgpack",
    "*.ot",
    "*.onnx",
    "*.tflite",
    "*.gguf",
    "*.pkl",
)
_PAGE = (b"<!doctype html", b"<html")


@dataclass(frozen=True, slots=True)
class Described:
    """One file: ``name`` is its path in the family's folder."""

    name: str
    bytes: int
    sha256: str
    source: Source


@dataclass(frozen=True, slots=True)
class Description:
    """All files of an address, and what is known of them. ``left_out``: why a file of the repository was not taken."""

    name: str
    title: str
    files: tuple[Described, ...]
    licence: str = UNKNOWN
    homepage: str = ""
    gated: bool = False
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which files of a repository (patterns as in a shell), or which member of an archive."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    member: str | None = None


def of_hub(address: HubAddress, wanted: Wanted, partial: Path, progress: Progress) -> Description:
    """The files of a repository, at the commit that its revision is now. Raises WeightsError where the hub does not give them."""
    _refuse_offline(str(address))
    try:
        info = _info(address)
        commit = str(info.sha)
        siblings = {one.rfilename: one for one in info.siblings or ()}
        names, left_out = _chosen(address, {name: int(one.size or 0) for name, one in siblings.items()}, wanted)
        files = tuple(_hub_file(address.repository, commit, siblings[name], partial, progress) for name in names)
    except SourceFailed as failed:
        raise WeightsError(f"{address}: {failed}", "mend the network, or set HF_ENDPOINT or HF_TOKEN") from failed
    return Description(
        name=address.repository.split("/")[1],
        title=address.repository,
        files=files,
        licence=_licence(info),
        homepage=f"https://huggingface.co/{address.repository}",
        gated=bool(info.gated),
        left_out=left_out,
    )


def of_web(address: WebAddress, wanted: Wanted, partial: Path, progress: Progress) -> Description:
    """A file behind an address, or one member of the archive that it is; downloaded to be hashed."""
    _refuse_offline(str(address))
    source = HttpsSource(https=address.url, member=wanted.member)
    part = partial / kept(source)
    name = _name(wanted.member or address.name, str(address))
    try:
        download.fetch(
            address.url,
            part,
            lambda done, total: progress(name, done, total),
            lambda size: require_room(partial, size, str(address)),
        )
        size, digest = _measured(part, wanted.member)
    except SourceFailed as failed:
        raise WeightsError(f"{address}: {failed}", "look at the address in a browser") from failed
    with part.open("rb") as stream:
        if stream.read(64).lstrip().lower().startswith(_PAGE):
            download.forget(part)
            raise InputError(f"{address} answers with a web page, not with a file", "look for the file's own address")
    if wanted.member:
        source = source.model_copy(update={"transfer": part.stat().st_size})
    return Description(name=Path(name).stem, title=name, files=(Described(name, size, digest, source),))


def of_file(address: LocalAddress, wanted: Wanted) -> Description:
    """A file of this machine, or one member of the archive that it is."""
    name = _name(wanted.member or address.path.name, str(address))
    try:
        if not address.path.is_file():
            raise InputError(f"{address.path} is no file", "name one file; a folder of artifacts is a REELBENCH_MIRROR")
        size, digest = _measured(address.path, wanted.member)
    except SourceFailed as failed:
        raise InputError(f"{address.path}: {failed}") from failed
    except OSError as error:
        raise InputError(f"{address.path} cannot be read: {error.strerror}") from error
    source = PathSource(path=address.path, member=wanted.member)
    return Description(name=Path(name).stem, title=name, files=(Described(name, size, digest, source),))


def _info(address: HubAddress) -> ModelInfo:
    from huggingface_hub import HfApi

    endpoint = hub.endpoint()
    download.reach(endpoint)
    with hub.reasons(), hub.quiet():
        return HfApi(endpoint=endpoint).model_info(
            address.repository, revision=address.revision or None, files_metadata=True, timeout=download.READ_S
        )


def _chosen(address: HubAddress, sizes: dict[str, int], wanted: Wanted) -> tuple[list[str], dict[str, str]]:
    """The files to take, and for each of the others why not."""
    names = list(sizes)
    if address.file:
        inside = [name for name in names if name == address.file or name.startswith(address.file + "/")]
        if not inside:
            raise InputError(f"{address}: the repository has no such file", f"it has {', '.join(sorted(names)[:8])}")
        names = inside
    safe = any(name.endswith(".safetensors") for name in names)
    taken: list[str] = []
    left_out: dict[str, str] = {}
    for name in sorted(names):
        reason = _reason_against(name, wanted, safe, named=name == address.file)
        if reason or not sizes[name]:
            left_out[name] = reason or "empty"
        else:
            taken.append(name)
    if not taken:
        raise InputError(f"{address}: nothing is left to take", "say which files with --include")
    return taken, left_out


def _reason_against(name: str, wanted: Wanted, safe: bool, named: bool) -> str:
    if named:
        return ""
    if _matches(name, wanted.exclude):
        return "excluded"
    if wanted.include:
        return "" if _matches(name, wanted.include) else "not included"
    if _matches(name, _NOT_WEIGHTS):
        return "no part of the network"
    return "the same weights are there as safetensors" if safe and _matches(name, _OTHER_FORMATS) else ""


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _hub_file(repository: str, commit: str, sibling: Any, partial: Path, progress: Progress) -> Described:
    name, size = sibling.rfilename, int(sibling.size)
    source = HfSource(hf=repository, revision=commit, file=name)
    if sibling.lfs is not None:
        return Described(name, size, str(sibling.lfs.sha256), source)
    part = hub.fetch(
        source,
        partial / kept(source),
        size,
        lambda done, total: progress(name, done, total),
        lambda needed: require_room(partial, needed, str(source)),
    )
    return Described(name, size, sha256_of(part), source)


def _licence(info: ModelInfo) -> str:
    """What the repository's card says; 'other' is completed by the name that the card gives it."""
    card = info.card_data.to_dict() if info.card_data is not None else {}
    said = card.get("license")
    if said in (None, "other") and card.get("license_name"):
        said = card["license_name"]
    if said is None:
        said = next((tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")), UNKNOWN)
    return ", ".join(said) if isinstance(said, list) else str(said)


def _measured(path: Path, member: str | None) -> tuple[int, str]:
    """Size in bytes and sha256 of a file, or of one member of it."""
    if member is None:
        return path.stat().st_size, sha256_of(path)
    digest, size = hashlib.sha256(), 0
    with opened(path, member) as stream:
        while block := stream.read(CHUNK):
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()


def _name(name: str, where: str) -> str:
    if not name:
        raise ConfigError(f"{where} names no file", "add --name, or the path of a file")
    return name.rsplit("/", 1)[-1]


def _refuse_offline(where: str) -> None:
    if is_offline():
        raise WeightsError(f"{where}: offline: the network is not asked", "unset REELBENCH_OFFLINE")
