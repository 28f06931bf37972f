"""Composing all that a workspace has, as Hydra does it for a run, and asking each analyzer and corpus what it needs.

A workspace with a ``config.yaml`` is composed by it. One without is composed as a run with ``--config-dir`` would: its files first,
then the shipped ones. Nothing heavy is loaded and nothing is downloaded.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import yaml

from reelbench import paths
from reelbench.config import AnalyzerNode, Node, instantiate
from reelbench.disk.asking import asked, derived_by
from reelbench.disk.compositions import Composition, Files
from reelbench.disk.names import names_in, strings_in, words_in
from reelbench.disk.registry import Workspace
from reelbench.errors import ReelBenchError, UnresolvedRoot
from reelbench.models.catalog import Catalog
from reelbench.models.store import ModelStore
from reelbench.overrides import one_line_errors
from reelbench.owners import temporary_folder

_UNNAMED = "unnamed"
"""The variant of an analyzer that has none: no configuration may have this name."""
_OWN = (*AnalyzerNode.model_fields, "enabled")
_GROUPS = ("analyzer", "tuning", "corpus", "weights", "system", "plan")


class Composer:
    """Composes one workspace. ``foreign``: the last part is built by code that is not ReelBench's."""

    def __init__(self, files: Files, store: ModelStore, defaults: frozenset[str]) -> None:
        self.foreign = False
        self._files, self._store = files, store
        self._defaults = defaults
        """The groups that the primary configuration names: others want a '+'."""

    @classmethod
    @contextmanager
    def opened(cls, files: Files, store_root: Path, catalog: Catalog) -> Iterator[Composer]:
        from hydra import initialize_config_dir

        with temporary_folder("reelbench-compose-") as scratch:
            with _unresolved(files.workspace, "config.yaml"):
                primary, defaults = _primary(files, scratch)
            with initialize_config_dir(str(primary), version_base="1.3"), _importing(files.workspace):
                yield cls(files, ModelStore(store_root, catalog), defaults)

    def part(self, part: str) -> list[Composition]:
        """The compositions of 'analyzer/<name>', 'corpus/<name>' … or 'rest'. UnresolvedRoot with the name of one that fails."""
        self.foreign = False
        group, _, name = part.partition("/")
        with _unresolved(self._workspace, f"{group} {name}".strip()):
            if group == "analyzer":
                return [
                    self._analyzer(name, variant) for variant in self._files.options(f"tuning/{name}") or [_UNNAMED]
                ]
            if group == "corpus":
                return [self._corpus(name)]
            if group == "system":
                return list(self._system(name))
            return [self._plan(name)] if group == "plan" else list(self._rest())

    @property
    def _workspace(self) -> Workspace:
        return self._files.workspace

    def _analyzer(self, name: str, variant: str, settings: Iterable[str] = (), system: str = "") -> Composition:
        title = f"analyzer {name}" + (f", variant {variant}" if variant != _UNNAMED else "") + system
        chosen = [self._choose("analyzer", name)]
        if variant != _UNNAMED or Path("config.yaml") not in self._files.own:
            chosen.append(self._choose("variant", variant))
        with _unresolved(self._workspace, title):
            whole = self._compose([*chosen, *settings])
            node = whole.get("analyzer")
            if not isinstance(node, dict):
                raise ReelBenchError(f"it has no node 'analyzer' but {type(node).__name__}")
            enabled = node.get("enabled", True)
            if not isinstance(enabled, bool):
                raise ReelBenchError(f"analyzer.enabled is '{enabled}', neither true nor false")
            if "???" in strings_in(node):
                raise ReelBenchError("a value of the analyzer is mandatory and not given (???)")
            asks = self._asks(node) if enabled else None
            needs, words = [*_names(whole), *(asks or ())], self._words(whole, exact=asks is not None)
            uses = [f"{one}/{other}" for one, other in dict(node.get("upstream") or {}).items()]
        key = f"{name}/{variant}{system}"
        return Composition(self._workspace.path, key, title, enabled, _once(needs), _once(words), _once(map(str, uses)))

    def _asks(self, node: Node) -> list[str] | None:
        """The names that the analyzer itself gives; None where it is not built, and only its words tell."""
        if "_target_" not in node or self._workspace.text_only:
            return None
        self._note_code(node)
        built = instantiate({key: value for key, value in node.items() if key not in _OWN})
        return [*(f"weights:{artifact}" for artifact in asked(built, "weights")), *derived_by(built, self._store)]

    def _words(self, node: Any, exact: bool) -> list[str]:
        """``exact``: what it needs of the catalog was asked for, and what else its files name of it is not needed."""
        found = [word for text in strings_in(node) for word in words_in(text, self._workspace.path)]
        return [word for word in found if word not in self._store.catalog.artifacts] if exact else found

    def _corpus(self, name: str) -> Composition:
        node = _filled(self._compose([self._choose("corpus", name)]).get("corpus"), self._workspace.path)
        needs, exact = _names(node), isinstance(node, dict) and "_target_" in node and not self._workspace.text_only
        if exact:
            self._note_code(node)
            built = instantiate(node)
            needs += [f"weights:{artifact}" for artifact in asked(built, "artifacts")]
            needs += derived_by(built, self._store)
        return self._plainly(f"corpus {name}", needs, self._words(node, exact))

    def _system(self, name: str) -> Iterator[Composition]:
        node = self._compose([f"+system={name}"]).get("system")
        if not isinstance(node, dict):
            raise ReelBenchError("it has no node 'system'")
        uses, settings = self._of_system(node)
        yield replace(self._plainly(f"system {name}", _names(node)), uses=_once(uses))
        for analyzer, variant, given in settings:
            yield self._analyzer(analyzer, variant, given, f", settings of system {name}")

    def _plan(self, name: str) -> Composition:
        return self._plainly(f"plan {name}", _names(self._compose([f"+plan={name}"]).get("plan")))

    def _plainly(
        self, title: str, needs: Iterable[str], words: Iterable[str] = (), enabled: bool = True
    ) -> Composition:
        return Composition(self._workspace.path, title, title, enabled, _once(needs), _once(words))

    def _of_system(self, node: Node) -> tuple[list[str], list[tuple[str, str, list[str]]]]:
        """The analyzers that a system names, switched off or not, and those that it gives settings."""
        variants, settings = dict(node.get("variants") or {}), dict(node.get("settings") or {})
        listed = node.get("analyzers", "auto")
        names = [] if listed == "auto" else [str(one) for one in listed]
        left_out = set(map(str, node.get("leave_out") or ()))
        chosen = {name: str(variants.get(name, node.get("variant"))) for name in (*names, *variants, *settings)}
        uses = [f"{name}/{variant}" for name, variant in chosen.items() if name not in left_out]
        return uses, [(str(name), chosen[name], [str(one) for one in given]) for name, given in settings.items()]

    def _rest(self) -> Iterator[Composition]:
        """What other files of the configuration name."""
        for path, text in self._files.own.items():
            if path.parts[0] in _GROUPS:
                continue
            if not (needs := names_in(text.decode(errors="replace"))):
                continue
            try:
                node = yaml.safe_load(text)
            except (yaml.YAMLError, ValueError):
                node = None  # several documents, tags of its own: what it spells counts all the same
            enabled = not (isinstance(node, dict) and node.get("enabled") is False)
            yield self._plainly(f"configuration {path}", needs if node is None else _names(node), enabled=enabled)

    def _compose(self, overrides: list[str]) -> dict[str, Any]:
        from hydra import compose as hydra_compose
        from omegaconf import OmegaConf

        try:
            with one_line_errors():
                found = OmegaConf.to_container(hydra_compose("config", overrides=overrides), resolve=True)
        except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
            raise ReelBenchError(" ".join(str(error).split())[-300:]) from error
        assert isinstance(found, dict)
        return {str(key): value for key, value in found.items()}

    def _choose(self, group: str, name: str) -> str:
        return f"{group}={name}" if group in self._defaults else f"+{group}={name}"

    def _note_code(self, node: Any) -> None:
        targets = [str(value) for value in _values(node, "_target_")]
        self.foreign = self.foreign or any(not target.startswith("reelbench.") for target in targets)


def _names(node: Any) -> list[str]:
    return [name for text in strings_in(node) for name in names_in(text)]


def _primary(files: Files, scratch: Path) -> tuple[Path, frozenset[str]]:
    """The folder of the primary configuration, and the groups that it names."""
    name, conf, shipped = Path("config.yaml"), files.workspace.conf, paths.conf_dir()
    node = _loaded(name, files.own[name] if name in files.own else files.all[shipped / name]) or {}
    if not isinstance(node, dict):
        raise ReelBenchError("it is no mapping")
    groups = frozenset(_group(item) for item in node.get("defaults") or [])
    if name in files.own:
        return conf, groups
    node.pop("tracking", None)  # it wants the analyzer's name, which a foreign one need not have
    node.setdefault("hydra", {})["searchpath"] = [f"file://{conf}", f"file://{shipped}"]
    (scratch / name).write_text(yaml.safe_dump(node, sort_keys=False), encoding="utf-8")
    return scratch, groups


def _group(item: Any) -> str:
    """'optional variant: optimized' names the group 'variant'."""
    text = str(next(iter(item))) if isinstance(item, dict) and item else str(item)
    return text.rpartition(" ")[2].partition("@")[0].lstrip("/")


def _loaded(path: Path, text: bytes) -> Any:
    try:
        return yaml.safe_load(text.decode())
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ReelBenchError(f"{path}: {' '.join(str(error).split())[:200]}") from error


def _filled(node: Any, folder: Path) -> Any:
    """What a command must give ('???', a corpus' folder) with a value in its place: it names nothing of ours."""
    if isinstance(node, Mapping):
        return {key: _filled(value, folder) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, folder) for value in node]
    return str(folder) if node == "???" else node


def _values(node: Any, key: str) -> Iterator[Any]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            if name == key:
                yield value
            yield from _values(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from _values(value, key)


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


@contextmanager
def _importing(workspace: Workspace) -> Iterator[None]:
    """Find the classes that lie beside a workspace's configuration, and forget them afterwards: another one may have modules of the
    same name."""
    if workspace.conf.resolve() == paths.conf_dir().resolve():
        yield
        return
    added, before = [str(workspace.path), str(workspace.path / "src")], set(sys.modules)
    sys.path += added
    importlib.invalidate_caches()
    try:
        yield
    finally:
        for folder in added:
            sys.path.remove(folder)
        for name in set(sys.modules) - before:
            origin = str(getattr(sys.modules[name], "__file__", None) or "")
            if origin.startswith(f"{workspace.path}/") and name.partition(".")[0] != "reelbench":
                del sys.modules[name]


@contextmanager
def _unresolved(workspace: Workspace, title: str) -> Iterator[None]:
    try:
        yield
    except UnresolvedRoot:
        raise
    except ReelBenchError as error:
        _give_up(workspace, title, error)


def _give_up(workspace: Workspace, title: str, error: ReelBenchError) -> NoReturn:
    raise UnresolvedRoot(
        f"workspace {workspace.path}: {title} cannot be resolved: {error.message}",
        f"mend it, switch it off (enabled: false), or register the workspace by what its files name: "
        f"reelbench workspace add --text-only {workspace.path}",
    ) from error
