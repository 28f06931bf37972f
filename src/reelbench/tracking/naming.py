"""Names and values as MLflow takes them: allowed characters, bounded lengths, no passwords."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from reelbench.config import digest
from reelbench.masking import masked

NAME_LENGTH = 200
"""MLflow takes 250 characters; the rest is left for prefixes."""
PARAM_LENGTH = 500
"""Servers of every version take this much; the whole value is in the artifact config.yaml."""
TAG_LENGTH = 5000


def safe_key(name: str) -> str:
    """``name`` as part of a metric's or parameter's name: what is not an ASCII letter, digit, space or one of ``_-.`` becomes ``_``."""
    plain = re.sub(r"[^A-Za-z0-9_. -]", "_", name).strip(" .") or "_"
    return plain if len(plain) <= NAME_LENGTH else f"{plain[: NAME_LENGTH - 9]}-{digest(name)[:8]}"


def safe_keys(names: Iterable[str]) -> dict[str, str]:
    """`safe_key` for each name; names that would fall together are told apart by a hash of the name itself."""
    safe = {name: safe_key(name) for name in names}
    taken = list(safe.values())
    return {
        name: key if taken.count(key) == 1 or key == name else f"{key[: NAME_LENGTH - 9]}-{digest(name)[:8]}"
        for name, key in safe.items()
    }


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A configuration as parameters: ``engine.threads`` = '2'. Lists and scalars are JSON, text is itself, long values are cut."""
    flat: dict[str, str] = {}
    for key, value in tree.items():
        name = f"{prefix}{safe_key(str(key))}"
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{name}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, default=str)
            flat[name[:NAME_LENGTH]] = cut(masked(text), PARAM_LENGTH)
    return flat


def cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 2]} …"
