"""What the classes of YAMNet count as (``conf/sounds.yaml``), and what they are called."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from reelbench.analyzers.data_file import read_data
from reelbench.errors import AnalyzerError, ConfigError
from reelbench.paths import conf_dir

CLASSES = 521
ENVIRONMENT = ("speech", "music", "noise", "silence")
PLACES = ("indoor", "outdoor")


def _numbers(given: object) -> object:
    """[3, '10-12'] to (3, 10, 11, 12); what is neither stays, for pydantic to refuse."""
    if not isinstance(given, list):
        return given
    numbers: list[object] = []
    for one in given:
        first, dash, last = one.partition("-") if isinstance(one, str) else ("", "", "")
        numbers += range(int(first), int(last) + 1) if dash and first.isdigit() and last.isdigit() else [one]
    return tuple(numbers)


def _apart(groups: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    of: dict[int, str] = {}
    for name, members in groups.items():
        for number in members:
            if of.setdefault(number, name) != name:
                raise ValueError(f"class {number} is in {of[number]} and in {name}")
    return groups


Members = Annotated[
    tuple[Annotated[int, Field(ge=0, lt=CLASSES)], ...], BeforeValidator(_numbers), Field(strict=True, min_length=1)
]
Groups = Annotated[dict[str, Members], AfterValidator(_apart)]


class Sounds(BaseModel):
    """The classes of each group, by its name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    environment: Groups
    places: Groups
    effects: Groups


@dataclass(frozen=True, slots=True)
class Named:
    """A group of classes."""

    name: str
    members: NDArray[np.int64]

    def best(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """The score of the group in each patch (patches × classes in): that of its best class."""
        best: NDArray[np.float32] = scores[:, self.members].max(axis=1)
        return best


def named(groups: dict[str, tuple[int, ...]]) -> list[Named]:
    return [Named(name, np.array(members, np.int64)) for name, members in groups.items()]


def read_sounds(path: Path | None = None) -> Sounds:
    """The shipped groups, or another file of that kind. Raises ConfigError that names what is wrong in it."""
    source = path or conf_dir() / "sounds.yaml"
    sounds = read_data(source, TypeAdapter(Sounds), "sounds", "analyzer.sounds")
    for part, wanted in ((sounds.environment, ENVIRONMENT), (sounds.places, PLACES)):
        if set(part) != set(wanted):
            raise ConfigError(f"{source.name} has {', '.join(part)}", f"give {', '.join(wanted)}")
    return sounds


def unnamed() -> list[str]:
    """What classes are called without the file of their names."""
    return [f"class {number}" for number in range(CLASSES)]


def read_names(path: Path) -> list[str]:
    """The names of the classes, from ``yamnet_class_map.csv``. AnalyzerError where it is another file."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines))
    if len(rows) != CLASSES + 1 or any(row[:1] != [str(i)] or len(row) != 3 for i, row in enumerate(rows[1:])):
        raise AnalyzerError(f"{path.name} does not have {CLASSES} classes: index, mid, display_name")
    return [name for _, _, name in rows[1:]]


def top(names: Sequence[str], scores: NDArray[np.float32], members: NDArray[np.int64], most: int) -> dict[str, float]:
    """The ``most`` likeliest of ``members`` by their mean score over patches (patches × classes), best first."""
    means = scores[:, members].mean(axis=0)
    best = np.argsort(-means, kind="stable")[:most]
    return {names[members[at]]: round(float(means[at]), 3) for at in best}
