"""The product taxonomy (``conf/products.yaml``): which COCO objects and ImageNet classes belong to which category."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from reelbench.errors import ConfigError
from reelbench.paths import conf_dir

CLASSES = 1000


class Category(BaseModel):
    """The names of COCO's objects and the numbers of ImageNet's classes that one category holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    coco: tuple[str, ...] = ()
    imagenet: tuple[Annotated[int, Field(ge=0, lt=CLASSES)], ...] = ()


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """``names`` of the categories; ``of_coco``: an object's category; ``members``: category × class, 1 where the
    class belongs to it."""

    names: tuple[str, ...]
    of_coco: dict[str, str]
    members: NDArray[np.float32]

    def shares(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probability of each category: that of its classes together."""
        shares: NDArray[np.float32] = self.members @ probabilities
        return shares

    def best(self, probabilities: NDArray[np.float32]) -> tuple[str, float]:
        shares = self.shares(probabilities)
        at = int(shares.argmax())
        return self.names[at], min(float(shares[at]), 1.0)

    def likeliest_class(self, category: str, probabilities: NDArray[np.float32]) -> int | None:
        """The likeliest class of a category; None where it has none."""
        members = self.members[self.names.index(category)]
        return int((members * probabilities).argmax()) if members.any() else None


def read_taxonomy(path: Path | None = None) -> Taxonomy:
    """The shipped taxonomy, or another file of its kind. Raises ConfigError that names what is wrong in it."""
    source = path or conf_dir() / "products.yaml"
    try:
        text = source.read_text(encoding="utf-8")
        categories = TypeAdapter(dict[str, Category]).validate_python(yaml.safe_load(text))
    except OSError as error:
        raise ConfigError(
            f"the taxonomy {source} cannot be read: {error.strerror}", "check analyzer.taxonomy"
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{source.name} is not YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigError(f"{source.name}: {where}: {first['msg']}") from error
    of_coco: dict[str, str] = {}
    members = np.zeros((len(categories), CLASSES), np.float32)
    for at, (name, category) in enumerate(categories.items()):
        for label in category.coco:
            if of_coco.setdefault(label, name) != name:
                raise ConfigError(
                    f"{source.name}: '{label}' is in {of_coco[label]} and in {name}", "give it one category"
                )
        members[at, list(category.imagenet)] = 1
    twice = np.flatnonzero(members.sum(axis=0) > 1)
    if len(twice):
        raise ConfigError(f"{source.name}: class {twice[0]} is in two categories", "give it one category")
    return Taxonomy(tuple(categories), of_coco, members)
