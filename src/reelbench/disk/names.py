"""How configurations, pins and items name the same thing: ``hf://org/name@main`` in a configuration is ``hf:org/name`` of an item."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reelbench.errors import UsageError

KINDS = ("weights", "hf", "derived", "torch_hub", "easyocr", "ultralytics", "run", "path")
"""What a name may begin with: ``<kind>:<name>``; docs/references.md says what each names."""

FILES = frozenset(
    {".bin", ".ckpt", ".engine", ".gguf", ".mlmodel", ".model", ".onnx", ".pb", ".pdparams", ".plan", ".pt", ".pth"}
    | {".safetensors", ".t7", ".tar", ".tflite", ".xml", ".zip"}
)
"""Endings by which a plain string in a configuration is taken for a file of weights."""

_SCHEME = re.compile(r"\b(hf|torch_hub|easyocr|ultralytics)://([^\s'\",;\]\[}{)(]+)")
_HUB = re.compile(r"(?P<repo>(?:(?:datasets|spaces)/)?[\w.-]+(?:/[\w.-]+)?)(?:@(?P<rev>refs/\w+/\w+|[^/@]+))?(?:/.*)?")
_PATH = re.compile(r"[\w.-]+(?:/[\w.+-]+)+(?:@[\w.-]+)?")
_NAME = re.compile(rf"(?:{'|'.join(KINDS)}):\S.*", re.DOTALL)


def name_of(text: str) -> str:
    """A name as pins and items spell it, also from the form of configurations; UsageError where it is none."""
    if found := _SCHEME.fullmatch(text.strip()):
        return next(iter(_of_scheme(found[1], found[2])))
    if _NAME.fullmatch(text) is None:
        raise UsageError(f"'{text}' is no name", f"a name begins with one of {', '.join(f'{kind}:' for kind in KINDS)}")
    return text


def names_in(text: str) -> list[str]:
    """The names of all that is spelled with a scheme in a text."""
    return [name for scheme, rest in _SCHEME.findall(text) for name in _of_scheme(scheme, rest)]


def widened(name: str) -> list[str]:
    """A pinned name and what else means the same: the branch 'main' is what a repository's bare name stands for."""
    return [name, name.removesuffix("@main")] if name.startswith("hf:") and name.endswith("@main") else [name]


def words_in(text: str, folder: Path) -> Iterator[str]:
    """What a plain string may name: a repository of the hub, an entry of the catalog, a file of weights by its name or by its path
    below ``folder``."""
    if "://" in text or len(text) > 400 or any(character.isspace() for character in text):
        return
    if _PATH.fullmatch(text):
        yield text
    if Path(text).suffix.lower() in FILES:
        yield Path(text).name
        yield str(folder / Path(text).expanduser())


def strings_in(value: Any) -> Iterator[str]:
    """Every string in a configuration, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from strings_in(key)
            yield from strings_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from strings_in(inner)


def _of_scheme(scheme: str, rest: str) -> list[str]:
    if scheme != "hf":
        return [f"{scheme}:{rest.rstrip('/').rpartition('/')[2]}"]
    found = _HUB.fullmatch(rest.rstrip("/."))
    if found is None:
        return [f"hf:{rest}"]
    repository, revision = found["repo"], found["rev"]
    if revision is None:
        return [f"hf:{repository}"]
    return widened(f"hf:{repository}@{revision}")
