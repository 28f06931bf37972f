"""What goes into a vision-language network and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Video = NDArray[np.uint8]
"""The frames of one window, T×H×W×3 RGB."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """``instructions`` stand before the frames and are the same for every window; ``question`` follows them."""

    instructions: str
    question: str


@dataclass(frozen=True, slots=True)
class Decoding:
    """How text is decoded. ``avoid``: sequences of ``no_repeat_ngram`` tokens that occur in these texts are not written again."""

    max_new_tokens: int = 64
    repetition_penalty: float = 1.0
    no_repeat_ngram: int = 0
    avoid: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A window's text. ``score`` is the geometric mean of its tokens' probabilities; ``tokens`` counts them, ``ids`` names them."""

    text: str
    score: float
    tokens: int
    ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Encoded:
    """Windows as the network takes them. The prompts are equally long; their first ``prefix`` tokens are alike."""

    inputs: Mapping[str, Any]
    count: int
    prefix: int

    def rows(self, start: int, end: int) -> Encoded:
        """Some of the windows. Every window has the same number of patches."""
        step = {name: tensor.shape[0] // self.count for name, tensor in self.inputs.items()}
        cut = {name: tensor[start * step[name] : end * step[name]] for name, tensor in self.inputs.items()}
        return Encoded(cut, end - start, self.prefix)
