"""Real footage that the catalog knows, fetched through the model store like weights. It has no ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from reelbench.corpus.base import CorpusStore, Progress, digest
from reelbench.corpus.clip import Clip


class ShippedCorpus:
    """``footage`` lists catalog entries such as ``footage/bikes.mp4``; a clip is named after the file, without its ending."""

    def __init__(self, name: str, footage: Sequence[str]) -> None:
        self.name = name
        self.footage = tuple(footage)

    def artifacts(self) -> tuple[str, ...]:
        return self.footage

    def clips(self, store: CorpusStore, progress: Progress | None = None) -> list[Clip]:
        found = []
        for artifact in self.footage:
            path = store.path(artifact)
            found.append(Clip(PurePosixPath(artifact).stem, path, self.name, digest(path)))
        return found
