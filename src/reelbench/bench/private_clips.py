"""Show clips to workers: each file alone in a folder, under a name that says nothing.

An analyzer gets a folder of its own for each clip, which holds only that clip, and neither the
path nor the name leads to the folder of the corpus, where ground truth lies beside the clips.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from reelbench.errors import MediaError
from reelbench.media.types import ClipInfo
from reelbench.owners import temporary_folder
from reelbench.results import AnalyzerResult

PREFIX = ".reelbench-clips-"
NOWHERE = Path(os.devnull)
"""No file lies below it."""


@dataclass(frozen=True, slots=True)
class ShownClip:
    """A clip as a worker knows it. ``shown`` is the name that it is told, ``info`` has the private path, or one
    below `NOWHERE`."""

    name: str
    shown: str
    info: ClipInfo
    original: Path

    def message(self, upstream: Mapping[str, AnalyzerResult] = {}) -> dict[str, Any]:
        """What a request says of the clip; results from upstream cross as JSON, under the shown name."""
        given = {name: result.model_copy(update={"clip": self.shown}) for name, result in upstream.items()}
        return {
            "name": self.shown,
            "info": asdict(self.info),
            "upstream": {name: result.model_dump_json() for name, result in given.items()},
        }

    def original_names(self, text: str) -> str:
        """``text`` of the worker (a result as JSON, an error), about the clip by its own name and path."""
        text = text.replace(str(self.info.path), str(self.original))
        return text.replace(self.info.path.name, self.original.name).replace(self.shown, self.name)

    def result(self, text: str) -> str:
        """A result as JSON under the clip's own name, where it is about the clip that was shown."""
        # The name is a token that occurs nowhere else, and the result's own `clip` comes first in it.
        return text.replace(f'"clip":"{self.shown}"', f'"clip":{json.dumps(self.name)}', 1)


class PrivateClips:
    """Shows clips to workers. ``close`` removes what was made; a killed process's folders are removed by the next.

    A clip is linked (never by a symbolic link, which would name its target) where that is possible, which costs
    nothing: into a folder for temporary files, the user's cache, or one of ``homes``. Else it is copied into the last.
    """

    def __init__(self, homes: Sequence[Path] = ()) -> None:
        self._homes = [*_neutral_folders(), *homes]
        self._folders: dict[Path, Path] = {}
        self._stack = ExitStack()
        self._tokens: dict[tuple[str, Path], str] = {}
        self._paths: dict[str, Path] = {}

    def show(self, name: str, info: ClipInfo) -> ShownClip:
        """The clip in a folder of its own; the same folder each time. Raises MediaError where it is gone."""
        token = self._token(name, info)
        if token not in self._paths:
            try:
                self._paths[token] = self._place(info.path, token)
            except OSError as error:
                raise MediaError(f"{info.path}: cannot be read: {error.strerror or error}") from error
        return ShownClip(name, token, replace(info, path=self._paths[token]), info.path)

    def name_only(self, name: str, info: ClipInfo) -> ShownClip:
        """The clip under its neutral name, with a path that leads nowhere: for who reads what was decoded of it."""
        token = self._token(name, info)
        return ShownClip(name, token, replace(info, path=NOWHERE / f"{token}{info.path.suffix}"), info.path)

    def _token(self, name: str, info: ClipInfo) -> str:
        return self._tokens.setdefault((name, info.path), f"clip-{uuid4().hex[:12]}")

    def empty_folder(self) -> Path:
        """A new folder below the first of the homes, gone after ``close``."""
        folder = self._folder(self._homes[0]) / uuid4().hex[:12]
        folder.mkdir()
        return folder

    def _place(self, clip: Path, token: str) -> Path:
        source = clip.resolve(strict=True)  # a link to a link would lead back to the corpus
        for home in self._homes:
            with suppress(OSError):  # another file system, or not allowed here
                target = self._target(home, token, clip.suffix)
                os.link(source, target)
                return target
        target = self._target(self._homes[-1], token, clip.suffix)
        shutil.copyfile(source, target)
        return target

    def _target(self, home: Path, token: str, suffix: str) -> Path:
        folder = self._folder(home) / token
        folder.mkdir(exist_ok=True)
        return folder / f"{token}{suffix}"

    def _folder(self, home: Path) -> Path:
        if home not in self._folders:
            self._folders[home] = self._stack.enter_context(temporary_folder(PREFIX, home))
        return self._folders[home]

    def close(self) -> None:
        """Remove the folders; what is shown afterwards is placed anew."""
        self._stack.close()
        self._folders.clear()
        self._tokens.clear()
        self._paths.clear()


def _neutral_folders() -> list[Path]:
    """Where a private folder may lie without telling anything of the run: one on the clips' own file system is best."""
    import platformdirs

    usual = [Path(tempfile.gettempdir()), Path("/var/tmp"), Path(platformdirs.user_cache_dir("reelbench"))]
    return [folder for folder in dict.fromkeys(usual) if folder.is_dir()]
