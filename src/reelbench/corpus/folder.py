"""Any folder of videos, with ground truth where a ``.truth.json`` lies beside a clip."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from reelbench.corpus.base import CorpusStore, Progress, digest
from reelbench.corpus.clip import Clip, Truth, read_truth
from reelbench.encoding import readable
from reelbench.errors import ConfigError, InputError
from reelbench.media.source import ENDINGS

EXTENSIONS = frozenset(ending for endings in ENDINGS.values() for ending in endings)


class FolderCorpus:
    """Every video below ``path``, by its ending; hidden files and folders are left out. A clip's name is its relative path,
    with an escape for each byte of it that is not UTF-8.

    What cannot be opened is listed all the same: the runner refuses it by name and measures the others.
    """

    def __init__(self, name: str, path: str | Path | None = None) -> None:
        self.name = name
        self.path = path

    def artifacts(self) -> tuple[str, ...]:
        return ()

    def clips(self, store: CorpusStore | None, progress: Progress | None = None) -> list[Clip]:
        """Raises InputError where the folder is missing, cannot be read or holds no video, or a truth file is wrong."""
        root = self._root()
        videos = sorted(find_videos(root), key=lambda video: video.relative_to(root).as_posix())
        if not videos:
            raise InputError(f"{root}: no video in this folder", f"looked for {' '.join(sorted(EXTENSIONS))}")
        clips: dict[str, Clip] = {}
        for done, video in enumerate(videos, start=1):
            name = readable(video.relative_to(root).as_posix())
            if name in clips:
                raise InputError(f"{root}: two clips are named {name}", "rename one: its name is not UTF-8")
            clips[name] = Clip(name, video, self.name, digest(video), truth_beside(video, root))
            if progress:
                progress(f"read {name}", done, len(videos))
        return list(clips.values())

    def _root(self) -> Path:
        if not self.path:
            raise ConfigError(f"corpus {self.name} wants a folder", f"corpus={self.name} corpus.path=DIR")
        root = Path(self.path).expanduser().absolute()
        if not root.exists():
            raise InputError(f"{root}: no such folder", f"corpus={self.name} corpus.path=DIR")
        if not root.is_dir():
            raise InputError(f"{root}: not a folder", "name the folder that holds the clips")
        if not os.access(root, os.R_OK | os.X_OK):
            raise InputError(f"{root}: no permission to read this folder")
        return root


def find_videos(root: Path) -> Iterator[Path]:
    """Videos below ``root``, through links too; a folder that a link leads back to is visited once."""
    seen: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        stat = Path(folder).stat()
        if (stat.st_dev, stat.st_ino) in seen:
            folders.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS:
                yield Path(folder, name)


def truth_beside(video: Path, root: Path) -> Truth | None:
    """The truth of ``a/b.mp4``: ``a/b.mp4.truth.json``, else ``a/b.truth.json``. InputError: it is not one."""
    for name in (f"{video.name}.truth.json", f"{video.stem}.truth.json"):
        path = video.with_name(name)
        try:
            if path.is_file():
                return read_truth(path)
        except OSError as error:
            # The name of the clip may be so long that no other file could be named after it.
            if error.errno != errno.ENAMETOOLONG:
                raise InputError(f"{path.relative_to(root)}: {error.strerror}") from error
    return None
