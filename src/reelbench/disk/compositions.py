"""What each configuration of a workspace needs: analyzer × variant, corpora, systems and plans, and what any other file names.

A composition is composed by Hydra as a run does it, and its analyzer is built (never loaded) and asked for its weights, so that a
mistake in a configuration shows here as it would in a run (`reelbench.disk.composing`). That takes a tenth of a second each; what came
out is remembered for as long as nothing that it depends on changed (`reelbench.disk.remembered`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from reelbench import paths
from reelbench.disk.registry import Workspace
from reelbench.disk.remembered import Memory
from reelbench.errors import ReelBenchError, UnresolvedRoot
from reelbench.models.catalog import Catalog, catalog_folders


@dataclass(frozen=True, slots=True)
class Composition:
    """``key`` is '<analyzer>/<variant>' of an analyzer's. ``needs`` are names (`reelbench.disk.names`), ``words`` what may be one,
    ``uses`` the keys of those whose results it takes."""

    workspace: Path
    key: str
    title: str
    enabled: bool = True
    needs: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()


class Files:
    """The YAML files of a workspace's configuration and, where that is another, of the shipped one, with their text."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        conf, shipped = workspace.conf, paths.conf_dir()
        self.own = dict(_texts(workspace, conf))
        self.all = {conf / path: text for path, text in self.own.items()}
        self._relative = {conf / path: path for path in self.own}
        if shipped.resolve() != conf.resolve():
            found = dict(_texts(workspace, shipped))
            self.all |= {shipped / path: text for path, text in found.items()}
            self._relative |= {shipped / path: path for path in found}
        if not any(path.parts[0] == "analyzer" for path in self.own):
            raise UnresolvedRoot(
                f"workspace {workspace.path} has no configuration of an analyzer",
                f"mount it, or let it go: reelbench workspace remove {workspace.path}",
            )

    def options(self, group: str) -> list[str]:
        """The workspace's own options of a group, as Hydra names them: 'tuning/clip' has 'baseline', 'optimized' …"""
        prefix = Path(group)
        return [path.relative_to(prefix).with_suffix("").as_posix() for path in self.own if path.is_relative_to(prefix)]

    def relative(self, path: Path) -> tuple[str, str]:
        """A file's group and its name below it: ('tuning', 'clip/baseline')."""
        group, found, name = self._relative[path].with_suffix("").as_posix().partition("/")
        return (group, name) if found else ("", group)

    def shipped(self, path: str) -> bool:
        return (paths.conf_dir() / path) in self.all

    @property
    def parts(self) -> list[str]:
        """What is composed and remembered together: 'analyzer/clip' with all its variants, 'corpus/demo', 'system/default' …"""
        analyzers = self.options("analyzer")
        tuned = dict.fromkeys(
            path.relative_to("tuning").parent.as_posix() for path in self.own if path.parts[0] == "tuning"
        )
        analyzers += [name for name in tuned if name not in analyzers and self.shipped(f"analyzer/{name}.yaml")]
        named = [f"analyzer/{name}" for name in analyzers]
        return [
            *named,
            *(f"{group}/{name}" for group in ("corpus", "system", "plan") for name in self.options(group)),
            "rest",
        ]


def of(workspace: Workspace, store_root: Path) -> tuple[Composition, ...]:
    """All compositions of a workspace. UnresolvedRoot, with its name, for one that cannot be resolved."""
    files = Files(workspace)
    if workspace.distrust:
        from reelbench.disk.reading import compositions_of

        return compositions_of(workspace, files.own)
    memory = Memory(store_root, files)
    try:
        catalog = catalog_of(workspace)
    except (ReelBenchError, OSError) as error:
        raise UnresolvedRoot(f"workspace {workspace.path}: the catalog: {error}") from error
    whole: list[Composition] = []
    with ExitStack() as opened:
        composer = None
        for part in files.parts:
            kept = memory.recall(part)
            found = None if kept is None else [_read(workspace, entry) for entry in kept]
            if found is None:
                from reelbench.disk.composing import Composer

                composer = composer or opened.enter_context(Composer.opened(files, store_root, catalog))
                found = composer.part(part)
                memory.keep(part, [_written(one) for one in found], lasting=not composer.foreign)
            whole += found
    memory.save()
    _refuse_unknown(whole, catalog)
    return tuple(whole)


def catalog_of(workspace: Workspace) -> Catalog:
    """The shipped catalog and the workspace's own. Raises ConfigError."""
    own = workspace.conf / "weights"
    folders = dict.fromkeys(folder for folder in (*catalog_folders(), own) if folder.is_dir())
    texts = tuple((file, file.read_bytes()) for folder in folders for file in sorted(folder.glob("*.yaml")))
    return _catalog(workspace.conf if own.is_dir() else None, texts)


@lru_cache(maxsize=8)
def _catalog(conf: Path | None, texts: tuple[tuple[Path, bytes], ...]) -> Catalog:
    """``texts`` say what is read: the same ones give the same catalog."""
    families = Catalog.load().families
    return Catalog((families if conf is None else families | Catalog.load(conf).families).values())


def _refuse_unknown(whole: list[Composition], catalog: Catalog) -> None:
    """A name that the catalog does not have is a mistake here as it is in a run."""
    for one in whole:
        for name in one.needs:
            if one.enabled and name.startswith("weights:") and name.removeprefix("weights:") not in catalog.artifacts:
                raise UnresolvedRoot(
                    f"workspace {one.workspace}: {one.title} wants {name.removeprefix('weights:')}, which the catalog does not have",
                    "mend its weights, or add them to conf/weights",
                )


def _texts(workspace: Workspace, conf: Path) -> Iterator[tuple[Path, bytes]]:
    """Every YAML file below a folder, relative to it, with its bytes; links are followed, as Hydra follows them."""
    try:
        for file in _yaml_files(conf, frozenset()):
            yield file.relative_to(conf), file.read_bytes()
    except OSError as error:
        raise UnresolvedRoot(
            f"workspace {workspace.path}: {error.filename} cannot be read: {error.strerror}",
            f"mount it, mend its permissions, or let it go: reelbench workspace remove {workspace.path}",
        ) from error


def _yaml_files(folder: Path, around: frozenset[str]) -> Iterator[Path]:
    """``around``: the folders that lead here, so that a link to one of them ends."""
    real = os.path.realpath(folder)
    if real in around:
        return
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _yaml_files(folder / entry.name, around | {real})
        elif entry.name.endswith(".yaml") and (entry.is_file() or not os.path.exists(entry.path)):  # noqa: PTH110
            yield folder / entry.name  # a link that leads nowhere is an error; a pipe or a device is no configuration


def _written(one: Composition) -> list[object]:
    return [one.key, one.title, one.enabled, one.needs, one.words, one.uses]


def _read(workspace: Workspace, entry: list[object]) -> Composition:
    key, title, enabled, needs, words, uses = entry
    return Composition(
        workspace.path, str(key), str(title), enabled is True, _tuple(needs), _tuple(words), _tuple(uses)
    )


def _tuple(values: object) -> tuple[str, ...]:
    assert isinstance(values, list | tuple), "what is remembered has a sum"
    return tuple(map(str, values))
