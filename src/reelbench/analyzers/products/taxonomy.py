"""The product taxonomy (``conf/products.yaml``): which COCO objects, ImageNet classes and words belong to which category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from reelbench.analyzers.data_file import read_data
from reelbench.errors import ConfigError
from reelbench.paths import conf_dir

CLASSES = 1000


class Category(BaseModel):
    """The names of COCO's objects, the numbers of ImageNet's classes and the words (for CLIP) that one category holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    coco: tuple[str, ...] = ()
    imagenet: tuple[Annotated[int, Field(ge=0, lt=CLASSES)], ...] = ()
    words: tuple[Annotated[str, Field(min_length=1)], ...] = ()


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """``names`` of the categories; ``of_coco``: an object's category; ``members``: category × class, 1 where the
    class belongs to it; ``of_word``: a word's category."""

    names: tuple[str, ...]
    of_coco: dict[str, str]
    members: NDArray[np.float32]
    of_word: dict[str, str]

    def by_words(self, others: Sequence[str]) -> Taxonomy:
        """The same categories with words for classes: those of ``of_word`` in their order, and then ``others``, which are no products.
        Raises ConfigError where there are no words, or another one is a product's."""
        if not self.of_word:
            raise ConfigError("no category of the taxonomy has words", "give some 'words', as conf/products.yaml does")
        if both := sorted(set(others) & set(self.of_word)):
            raise ConfigError(f"'{both[0]}' is a word of {self.of_word[both[0]]} and no product", "give it one of both")
        members = np.zeros((len(self.names), len(self.of_word) + len(others)), np.float32)
        for at, category in enumerate(self.of_word.values()):
            members[self.names.index(category), at] = 1
        return replace(self, members=members)

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
    categories = read_data(source, TypeAdapter(dict[str, Category]), "taxonomy", "analyzer.taxonomy")
    of_coco: dict[str, str] = {}
    of_word: dict[str, str] = {}
    members = np.zeros((len(categories), CLASSES), np.float32)
    for at, (name, category) in enumerate(categories.items()):
        for known, given in ((of_coco, category.coco), (of_word, category.words)):
            for label in given:
                if known.setdefault(label, name) != name:
                    raise ConfigError(
                        f"{source.name}: '{label}' is in {known[label]} and in {name}", "give it one category"
                    )
        members[at, list(category.imagenet)] = 1
    twice = np.flatnonzero(members.sum(axis=0) > 1)
    if len(twice):
        raise ConfigError(f"{source.name}: class {twice[0]} is in two categories", "give it one category")
    return Taxonomy(tuple(categories), of_coco, members, of_word)
