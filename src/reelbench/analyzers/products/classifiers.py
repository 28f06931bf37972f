"""What a part of a picture is taken for: EfficientNet with ImageNet's classes, or CLIP with the words of the taxonomy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reelbench.analyzers.base import WeightsSource
from reelbench.analyzers.blaze.crops import Picture, Square, cut
from reelbench.analyzers.clip.compare import Clip
from reelbench.analyzers.networks import WithNetworks
from reelbench.analyzers.products.taxonomy import Taxonomy
from reelbench.engines.openvino_small import Feed

_SIZE = 280


class ImageNet(WithNetworks):
    """EfficientNet-Lite3 and ImageNet's 1000 classes. ``taxonomy`` has them for members, ``names`` are theirs."""

    def __init__(self, weights: Mapping[str, str | None], taxonomy: Taxonomy, threads: int) -> None:
        super().__init__(weights, {"classifier": Feed(precision="int8")}, threads, files=("names",))
        self.taxonomy = taxonomy
        self.names: Sequence[str] = ()

    def load(self, store: WeightsSource) -> None:
        super().load(store)
        lines = self._file(store, "names").read_text(encoding="utf-8").splitlines()
        self.names = [line.split(",")[0].strip() for line in lines]

    def look(self, picture: Picture, square: Square) -> NDArray[np.float32]:
        """The probability of each class. The network answers in steps of 1/256."""
        return self.networks["classifier"](cut(picture, square, _SIZE))["Softmax"] / np.float32(256)


@dataclass(frozen=True, slots=True)
class Words:
    """``template``: the sentence that each word is put into, in place of {}. ``others``: words for what is no product, so that
    something else than products can be seen."""

    template: str = "a photo of a {}."
    others: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.template.count("{}") != 1:
            raise ValueError("template wants {} once, where the word goes")


class ZeroShot(Clip):
    """CLIP, which knows no classes: a picture is taken for the word whose sentence is most like it. ``taxonomy`` has the words for
    members, ``names`` are the words themselves. Raises ConfigError as `Taxonomy.by_words`."""

    def __init__(
        self,
        weights: Mapping[str, str | None],
        taxonomy: Taxonomy,
        words: Words,
        threads: int,
        architecture: Mapping[str, str] | None = None,
    ) -> None:
        self.taxonomy = taxonomy.by_words(words.others)
        self.names: Sequence[str] = (*taxonomy.of_word, *words.others)
        super().__init__(weights, [words.template.replace("{}", name) for name in self.names], threads, architecture)

    def look(self, picture: Picture, square: Square) -> NDArray[np.float32]:
        """The probability of each word."""
        from scipy.special import softmax

        height, width = picture.image.shape[:2]
        # As many pixels as the frame has there: CLIP's own scaling makes them 224×224.
        pixels = max(1, round(square.side * max(width / picture.width, height / picture.height)))
        shares: NDArray[np.float32] = softmax(self.logits(cut(picture, square, pixels)))
        return shares
