"""Which settings a variant's file may have: those of the analyzer and of decoding.

Corpus, quality, measure, comparison and limits decide how a variant is judged. They belong to
whoever measures, not to what is measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from reelbench.errors import ConfigError

_HINT = "a variant's file sets analyzer.* and media.decode.*; say everything else on the command line, for all variants"
_JUDGED_BY = ("analyzer.name", "analyzer.reference")
"""What the results are filed under, and what they are held against where a clip has no truth."""


def check_variant(analyzer: str, variant: str, sources: Sequence[Mapping[str, Any]]) -> None:
    """ConfigError names the first setting of the variant that is not its own to make.

    ``sources`` are those of Hydra's runtime (``config_sources``), in the order of its search.
    """
    folders = [folder for source in sources if (folder := _folder(source)) is not None]
    _check(f"tuning/{analyzer}/{variant}", folders, set())


def _check(name: str, folders: Sequence[Path], seen: set[str]) -> None:
    file = next((found for folder in folders if (found := folder / f"{name}.yaml").is_file()), None)
    if file is None or name in seen:
        return
    seen.add(name)
    text, node = _read(file)
    for item in node.pop("defaults", None) or []:
        if item == "_self_":
            continue
        other = _variant_of(item)
        if other is None:
            said = ", ".join(f"{key}: {value}" for key, value in item.items()) if isinstance(item, dict) else item
            raise ConfigError(f"{file}: a variant may not choose '{said}' in its defaults", _HINT)
        _check(other, folders, seen)
    header = re.search(r"^#\s*@package\s+(\S+)", text, re.M)
    package = name.rpartition("/")[0].replace("/", ".") if header is None else header[1]
    for key in _keys(node, "" if package == "_global_" else package):
        if not _allowed(key):
            raise ConfigError(f"{file}: a variant may not set '{key}'", _HINT)


def _read(file: Path) -> tuple[str, dict[Any, Any]]:
    import yaml

    try:
        text = file.read_text(encoding="utf-8")
        node = yaml.load(text, Loader=yaml.BaseLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return "", {}  # Hydra read it a moment ago, and says what is wrong with a file
    return text, dict(node) if isinstance(node, dict) else {}


def _variant_of(item: Any) -> str | None:
    """The variant that an item of a defaults list stands for; None where it is something else."""
    if not isinstance(item, str) or "@" in item:
        return None
    words = item.removeprefix("optional ").strip()
    other = words[1:] if words.startswith("/") else f"tuning/{words}"
    return other if other.startswith("tuning/") and ".." not in other else None


def _keys(node: Any, above: str) -> Iterator[str]:
    """The settings of a node by their full names: as deep as it takes to tell what they belong to."""
    if isinstance(node, Mapping) and node and (not above or above in ("analyzer", "media")):
        for key, value in node.items():
            yield from _keys(value, f"{above}.{key}" if above else str(key))
    elif above:
        yield above


def _allowed(key: str) -> bool:
    if key in _JUDGED_BY:
        return False
    return key in ("analyzer", "media") or key.startswith(("analyzer.", "media.decode"))


def _folder(source: Mapping[str, Any]) -> Path | None:
    schema, path = str(source["schema"]), str(source["path"])
    if schema == "file":
        return Path(path)
    if schema == "pkg":
        found = import_module(path.replace("/", ".")).__file__
        return Path(found).parent if found else None
    return None
