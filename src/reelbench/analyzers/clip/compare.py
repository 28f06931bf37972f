"""How alike a picture and each of a few sentences are, as CLIP sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from reelbench.analyzers.base import WeightsSource
from reelbench.analyzers.clip import pictures, texts
from reelbench.analyzers.networks import WithNetworks, given
from reelbench.engines.random_weights import RANDOM
from reelbench.media.types import Image

_VISION, _TEXT, _TOKENIZER = "vision", "text", "tokenizer"
ROLES = (_VISION, _TEXT, _TOKENIZER)
_SHARPNESS = 100.0
"""The temperature that CLIP was trained to: its `logit_scale` stands at its upper limit."""


class Clip(WithNetworks):
    """``weights`` has the roles `ROLES`; ``sentences`` are what pictures are compared with. The text tower with random weights needs
    no tokenizer. Raises ConfigError where roles are missing.

    The sentences are embedded in `prepare` and kept, so that between `load` and `close` only the image tower is held."""

    def __init__(
        self,
        weights: Mapping[str, str | None],
        sentences: Sequence[str],
        threads: int = 1,
        architecture: Mapping[str, str] | None = None,
    ) -> None:
        wanted = given(weights)
        self._stands_in = wanted.get(_TEXT) == RANDOM
        if self._stands_in:
            wanted.pop(_TOKENIZER, None)
        files = (_TEXT,) if self._stands_in else (_TEXT, _TOKENIZER)
        super().__init__(wanted, {_VISION: pictures.FEED}, threads, architecture, files)
        self.sentences = tuple(sentences)
        self._known: NDArray[np.float32] | None = None

    def prepare(self, store: WeightsSource) -> None:
        super().prepare(store)
        self._embedded(store)

    def load(self, store: WeightsSource) -> None:
        self._known = self._embedded(store)
        super().load(store)

    def close(self) -> None:
        self._known = None
        super().close()

    def logits(self, image: Image) -> NDArray[np.float32]:
        """100 × the cosine between an H×W×3 picture and each sentence."""
        assert self._known is not None
        seen = self.networks[_VISION](pictures.fitted(image))["image_embeds"]
        found: NDArray[np.float32] = _SHARPNESS * (self._known @ texts.unit(seen))
        return found

    def _embedded(self, store: WeightsSource) -> NDArray[np.float32]:
        tokenizer = None if self._stands_in else self._file(store, _TOKENIZER)
        return texts.embedded(store, self.sentences, self._file(store, _TEXT), tokenizer, self._threads)
