"""Disks to look into: a model store, a hub cache in its real layout, run folders, sparse files, and any number of small files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def sparse(path: Path, size: int, head: bytes = b"") -> Path:
    """A file of ``size`` bytes that takes next to none of the disk, beginning with ``head``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.write(head)
        stream.truncate(size)
    return path


def solid(path: Path, size: int = 4096, fill: bytes = b"\1") -> Path:
    """A file that really takes its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(fill * size)
    return path


def commit_of(name: str) -> str:
    """A commit hash for a name, always the same."""
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Registered:
    """What the inventory needs of a registry, for tests that need no more."""

    root: Path
    workspaces: Sequence[Folder] = ()
    runs_dirs: Sequence[Path] = ()


@dataclass(frozen=True, slots=True)
class Folder:
    """A workspace."""

    path: Path
    distrust: str = ""

    @property
    def conf(self) -> Path:
        return self.path / "conf"


@dataclass(frozen=True, slots=True)
class Disk:
    """Everything below one folder: the store, each tool's cache, a workspace. ``environment`` leads each tool, and us, there."""

    base: Path

    @property
    def store(self) -> Path:
        return self.base / "store"

    @property
    def hub(self) -> Path:
        return self.base / "cache" / "huggingface" / "hub"

    @property
    def workspace(self) -> Path:
        return self.base / "workspace"

    @property
    def runs(self) -> Path:
        return self.workspace / "runs"

    @property
    def registered(self) -> Registered:
        return Registered(self.store, (Folder(self.workspace),), (self.runs,))

    def environment(self) -> dict[str, str]:
        """What to set so that nothing outside ``base`` is looked at. A PATH without docker: no daemon is asked."""
        empty = self.base / "bin"
        empty.mkdir(parents=True, exist_ok=True)
        return {
            "HOME": str(self.base / "home"),
            "XDG_CACHE_HOME": str(self.base / "cache"),
            "XDG_CONFIG_HOME": str(self.base / "config"),
            "REELBENCH_MODEL_STORE": str(self.store),
            "DOCKER_HOST": "",
            "PATH": str(empty),
            **dict.fromkeys(MOVING, ""),
        }

    def artifact(self, name: str, size: int = 4096) -> Path:
        """A file of the store under a catalog's id."""
        return sparse(self.store / name, size)

    def derived(self, key: str, files: Mapping[str, int] = {"network.xml": 4096, "network.bin": 8192}) -> Path:
        for name, size in files.items():
            solid(self.store / "derived" / key / name, size)
        return self.store / "derived" / key

    def repository(self, name: str, revisions: Sequence[Revision], kind: str = "model") -> Path:
        """A repository of the hub cache; revisions with files of the same content share its blob, as the hub's do."""
        folder = self.hub / f"{kind}s--{name.replace('/', '--')}"
        for revision in revisions:
            write_revision(folder, revision)
        return folder

    def shared(self, name: str, file: str, content: bytes, ref: str = "main") -> str:
        """Add a revision with one file whose payload lies in the hub cache's shared store, where huggingface_hub's own
        functions put it; its commit."""
        from huggingface_hub.utils import _shared_blobs

        folder, commit = self.hub / f"models--{name.replace('/', '--')}", commit_of(f"{name} {file}")
        etag, xet = hashlib.sha256(content).hexdigest(), hashlib.sha256(b"xet" + content).hexdigest()
        blob, link = folder / "blobs" / etag, folder / "snapshots" / commit / file
        blob.parent.mkdir(parents=True, exist_ok=True)
        where = {"blob_path": str(blob), "xet_hash": xet, "cache_dir": self.hub, "expected_size": len(content)}
        if not blob.exists() and not _shared_blobs.try_link_from_shared_store(**where):
            blob.write_bytes(content)
            assert _shared_blobs.publish_blob_to_shared_store(**where)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
        (folder / "refs").mkdir(exist_ok=True)
        (folder / "refs" / ref).write_text(commit)
        return commit

    def run(self, name: str, status: str = "done", size: int = 4096, record: str = "run.json") -> Path:
        folder = self.runs / name
        solid(folder / "results" / "clip.json", size)
        solid(folder / "worker.log", 10)
        (folder / record).write_text(json.dumps({"schema_version": 1, "status": status}, indent=1))
        return folder


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A disk of its own for a test: nothing of this machine's caches is looked at."""
    made = Disk(tmp_path)
    for name, value in made.environment().items():
        monkeypatch.setenv(name, value)
    return made


MOVING = (
    "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_XET_CACHE", "HF_ASSETS_CACHE", "TORCH_HOME", "EASYOCR_MODULE_PATH",
    "MODULE_PATH", "YOLO_CONFIG_DIR", "PIP_CACHE_DIR",
)  # fmt: skip
"""The settings that move a tool's cache; empty means not set."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A snapshot. ``files``: name in the repository → (content's name, bytes); equal pairs are one blob. Files are sparse unless
    ``whole``."""

    files: Mapping[str, tuple[str, int]]
    refs: Sequence[str] = ("main",)
    commit: str = COMMIT
    whole: bool = False


def write_revision(folder: Path, revision: Revision) -> None:
    snapshot = folder / "snapshots" / revision.commit
    snapshot.mkdir(parents=True, exist_ok=True)
    (folder / "blobs").mkdir(exist_ok=True)
    for name, (content, size) in revision.files.items():
        blob = folder / "blobs" / blob_name(content, size)
        if not blob.exists():
            head = content.encode()[: max(size, 0)]
            solid(blob, size) if revision.whole else sparse(blob, size, head)
        link = snapshot / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    for ref in revision.refs:
        path = folder / "refs" / ref
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(revision.commit)


def blob_name(content: str, size: int) -> str:
    """The name of a large file's blob: 64 hexadecimal digits."""
    return hashlib.sha256(f"{content}:{size}".encode()).hexdigest()


def many_files(hub: Path, files: int, per_repository: int = 50, size: int = 0) -> None:
    """A hub cache of ``files`` files: as many blobs, as many links to them, and a repository for every ``per_repository``."""
    made = 0
    while made < files:
        count = min(per_repository, files - made)
        name = f"org/model-{made // per_repository:05d}"
        commit = commit_of(name)
        folder = hub / f"models--{name.replace('/', '--')}"
        snapshot = folder / "snapshots" / commit
        for path in (folder / "blobs", folder / "refs", snapshot):
            path.mkdir(parents=True)
        (folder / "refs" / "main").write_text(commit)
        for index in range(count):
            blob = hashlib.sha256(f"{name}{index}".encode()).hexdigest()
            with (folder / "blobs" / blob).open("wb") as stream:
                stream.truncate(size)
            (snapshot / f"model-{index:05d}-of-{count:05d}.safetensors").symlink_to(f"../../blobs/{blob}")
        made += count
