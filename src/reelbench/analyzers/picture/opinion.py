"""CLIP-IQA (Wang, Chan & Loy, 'Exploring CLIP for assessing the look and feel of images', arXiv 2207.12396): a picture is compared with
two sentences that are opposites, and the answer is the share of the first in the softmax of both.

The paper takes CLIP's RN50 without its position embedding, so that pictures keep their size; here it is ViT-B/32 on 224×224, as
torchmetrics offers it, too. Figures of the two are not the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reelbench.analyzers.clip.compare import Clip
from reelbench.errors import ConfigError
from reelbench.media.types import Image


class Opinion(Clip):
    """``opposites``: attribute -> (what it is near 1 for, what near 0). Raises ConfigError for anything but pairs."""

    def __init__(
        self,
        opposites: Mapping[str, Sequence[str]],
        weights: Mapping[str, str | None],
        threads: int = 1,
        architecture: Mapping[str, str] | None = None,
    ) -> None:
        if not opposites or any(isinstance(pair, str) or len(pair) != 2 for pair in opposites.values()):
            raise ConfigError("analyzer.opposites are not pairs", "give {attribute: [sentence, its opposite]}")
        super().__init__(weights, [text for pair in opposites.values() for text in pair], threads, architecture)
        self._names = tuple(opposites)

    def of(self, image: Image) -> dict[str, float]:
        """Each attribute of an H×W×3 picture, 0…1."""
        from scipy.special import softmax

        shares = softmax(self.logits(image).reshape(-1, 2), axis=1)
        return {name: float(share) for name, share in zip(self._names, shares[:, 0], strict=True)}
