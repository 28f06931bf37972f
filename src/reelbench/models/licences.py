"""What the catalog's licences allow, as far as their names say: who may not use a file for money, and what binds whoever serves it.

Names are SPDX's or the hub's. A name that is not known here is reported as unknown and never as free; nothing here is legal advice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from reelbench.models.catalog import Artifact

Kind = Literal["permissive", "copyleft", "agpl", "non-commercial", "restricted", "unknown"]
KINDS: tuple[Kind, ...] = ("permissive", "copyleft", "agpl", "non-commercial", "restricted", "unknown")
"""From the freest to the least known."""

MEANS: dict[Kind, str] = {
    "permissive": "free to use, also for money; keep the notices",
    "copyleft": "what is built on it and passed on stays under the same terms",
    "agpl": "as copyleft, and also for whoever only serves it over a network",
    "non-commercial": "not for money",
    "restricted": "terms of its own (uses, size of the user, no redistribution): read them",
    "unknown": "nobody wrote down what it allows",
}

# The first pattern that is found in a name decides, so the stricter ones come first.
_PATTERNS: tuple[tuple[Kind, str], ...] = (
    ("agpl", r"agpl|affero"),
    ("non-commercial", r"(^|[-_ ])nc([-_ ]|$)|non[-_ ]?commercial|research[-_ ]only|academic"),
    (
        "restricted",
        r"llama|gemma|qwen([-_ ]|$)|openrail|bigscience|deepseek|falcon|(^|[-_ ])nd([-_ ]|$)|proprietary|community",
    ),
    ("copyleft", r"gpl|(^|[-_ ])sa([-_ ]|$)|mpl|epl|eupl|cddl|osl"),
    (
        "permissive",
        r"^(apache|mit|bsd|isc|zlib|cc0|cc-by|ofl|unlicense|public domain|pddl|wtfpl|0bsd|bsl|postgresql|psf|python|hpnd|artistic"
        r"|afl|ncsa|ms-pl|cdla-permissive|odc-by)",
    ),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One licence of the catalog and the artifacts under it."""

    licence: str
    kind: Kind
    artifacts: tuple[str, ...]
    bytes: int
    families: tuple[str, ...]


def kind_of(licence: str) -> Kind:
    """What a licence's name says. Of several joined by AND or a comma the strictest holds, of several joined by OR the freest."""
    alternatives = re.split(r"\s+or\s+|\s*\|\|?\s*", licence.strip().lower())
    return min((_strictest(one) for one in alternatives), key=KINDS.index)


def report(artifacts: Iterable[Artifact]) -> list[Line]:
    """One line a licence, the most restrictive first."""
    found: dict[str, list[Artifact]] = {}
    for artifact in artifacts:
        found.setdefault(artifact.licence, []).append(artifact)
    lines = [
        Line(
            licence,
            kind_of(licence),
            tuple(one.id for one in under),
            sum(one.bytes for one in under),
            tuple(dict.fromkeys(one.family for one in under)),
        )
        for licence, under in found.items()
    ]
    return sorted(lines, key=lambda line: (-KINDS.index(line.kind), line.licence))


def _strictest(licence: str) -> Kind:
    parts = [
        part for part in re.split(r"\s+and\s+|\s*[,&+]\s*|\s+with\s+.*$", licence.strip("() ")) if part and part.strip()
    ]
    return max((_of_one(part.strip("() ")) for part in parts), key=KINDS.index, default="unknown")


def _of_one(licence: str) -> Kind:
    return next((kind for kind, pattern in _PATTERNS if re.search(pattern, licence)), "unknown")
