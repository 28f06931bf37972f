"""The contract of a corpus, and the corpora that are joined from others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from reelbench.corpus.clip import Clip
from reelbench.errors import ConfigError

Progress = Callable[[str, int, int], None]
"""Called as ``progress(what, done, total)`` while clips are made ready."""


class CorpusStore(Protocol):
    """What a corpus asks of the model store (`reelbench.models.store.ModelStore` is one)."""

    def path(self, artifact: str) -> Path: ...

    def derived(self, key: str) -> Path: ...


class Corpus(Protocol):
    """Built by Hydra from ``conf/corpus/<name>.yaml``. Building one touches neither the disk nor the network."""

    name: str

    def artifacts(self) -> tuple[str, ...]:
        """The catalog entries that must be in the store before ``clips``."""
        ...

    def clips(self, store: CorpusStore, progress: Progress | None = None) -> list[Clip]:
        """All clips, rendered and hashed as needed, in an order that does not change. InputError: there is none."""
        ...


class Joined:
    """Several corpora as one, in the order given. A clip keeps the name of the corpus that it came from in ``Clip.corpus``."""

    def __init__(self, name: str, parts: Sequence[Corpus]) -> None:
        self.name = name
        self.parts = tuple(parts)

    def artifacts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(artifact for part in self.parts for artifact in part.artifacts()))

    def clips(self, store: CorpusStore, progress: Progress | None = None) -> list[Clip]:
        found = [clip for part in self.parts for clip in part.clips(store, progress)]
        names = [clip.name for clip in found]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigError(f"corpus {self.name}: two clips are named {twice[0]}", "rename one, or leave one out")
        return found


def digest(path: Path) -> str:
    """The sha256 of a regular file in hexadecimal; empty where it cannot be read (the clip is then refused when it is opened)."""
    import hashlib

    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
