"""Compute one hash of an analyzer's own source files: part of the keys of resumed runs and kept results.

git does not know it: an analyzer may lie outside of the package, in a folder that no repository
tracks, and import other modules of its project. So the files themselves are read. A module is looked
up on the search path and its imports are read from its text; nothing is imported or run.
"""

from __future__ import annotations

import ast
import hashlib
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from reelbench.bench.manifest import code_digest
from reelbench.config import RunConfig, digest
from reelbench.paths import PACKAGE

_TARGET = "_target_"
_INSTALLED = ("site-packages", "dist-packages")


def code_of_run(config: RunConfig) -> str:
    """The hash of all code that measures or scores this configuration.

    That is the package's, and the modules of the user's own project that analyzer, corpus and metric
    come from, with all that these import of it.
    """
    return digest([code_digest(("**/*.py",)), own_code(config.analyzer.constructor, config.corpus, config.quality)])


def own_code(*nodes: object) -> str:
    """The hash of the files that the ``_target_``s in configuration ``nodes`` are defined in, with
    what they import of the same project.

    Of the package only the named modules count here, and of installed packages none: their versions
    are recorded.
    """
    files = own_files(*nodes)
    return digest([[path.name, hashlib.sha256(path.read_bytes()).hexdigest()] for path in files])


def own_files(*nodes: object) -> list[Path]:
    """The files that `own_code` reads."""
    return sorted(_closure([target for node in nodes for target in _targets(node)]))


def _targets(node: object) -> Iterator[str]:
    """Every ``_target_`` in a configuration, however deep."""
    if isinstance(node, Mapping):
        if isinstance(target := node.get(_TARGET), str):
            yield target
        for value in node.values():
            yield from _targets(value)
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for value in node:
            yield from _targets(value)


def _closure(targets: Sequence[str]) -> set[Path]:
    files: set[Path] = set()
    seen: set[str] = set()
    wanted = list(targets)
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        for module, file in _modules(name):
            inside = file.is_relative_to(PACKAGE)
            if file in files or (inside and name not in targets) or (not inside and _installed(file)):
                continue
            files.add(file)
            if file.suffix == ".py" and not inside:
                wanted += _imports(file, module)
    return files


def _modules(name: str) -> Iterator[tuple[str, Path]]:
    """The modules that a dotted name leads through, with their files: packages' ``__init__.py`` and the module itself."""
    path: Sequence[str] | None = None
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        module = ".".join(parts[:length])
        spec = _find(module, path)
        if spec is None:
            return  # a class or a function, or nothing that is here
        if spec.origin is not None and spec.has_location:
            yield module, Path(spec.origin).resolve()
        if spec.submodule_search_locations is None:
            return
        path = list(spec.submodule_search_locations)


def _find(module: str, path: Sequence[str] | None) -> ModuleSpec | None:
    if path is None and module in sys.builtin_module_names:
        return None
    try:
        return PathFinder.find_spec(module, path)
    except (ImportError, ValueError, AttributeError):
        return None


def _imports(file: Path, module: str) -> Iterator[str]:
    """The names that a module imports, wherever in it; relative ones in full.

    Nothing of a file that is no Python: it fails when it is loaded, and its hash counts all the same.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


@cache
def _library_folders() -> tuple[Path, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple({Path(found).resolve() for name in names if (found := sysconfig.get_path(name))})


def _installed(file: Path) -> bool:
    """Whether a file belongs to Python or to an installed package."""
    return any(part in _INSTALLED for part in file.parts) or any(file.is_relative_to(one) for one in _library_folders())
