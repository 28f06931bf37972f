"""Arousal, dominance and valence of a voice by wav2vec 2.0, tuned on what people heard in podcasts (Wagner et al., arXiv 2203.07378).

Impressions of raters on a scale of 1 to 7, as 0 to 1; not what a speaker feels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from reelbench.analyzers.base import WeightsSource
from reelbench.analyzers.networks import WithNetworks
from reelbench.analyzers.speech.parts import RATE, Sound
from reelbench.analyzers.speech.prosody import Figures, Stretch
from reelbench.engines import torch_converted
from reelbench.engines.base import Availability, Evidence
from reelbench.engines.openvino_small import Feed, evidence_of
from reelbench.errors import ConfigError
from reelbench.results import Event

ROLE = "emotion"
NAMES = ("arousal", "dominance", "valence")
"""The network's three answers, in its order."""
_NORMAL = 1e-7


class Dimensions(WithNetworks):
    """``weights`` and ``architecture`` name the catalog entry and the module of `engines.architectures` of the role 'emotion'. A
    stretch of more than ``window_s`` is heard in equal parts, whose answers are averaged: memory does not grow with it.
    ``relative``: a stretch is calm or excited against the median of its clip, not by the network's own scale."""

    def __init__(
        self,
        weights: Mapping[str, str | None],
        architecture: Mapping[str, str],
        window_s: float,
        threads: int,
        relative: bool,
    ) -> None:
        if not isinstance(architecture, Mapping) or set(architecture) != {ROLE}:
            raise ConfigError(f"analyzer.architecture is '{architecture}'", f"give {{{ROLE}: wav2vec2_msp_dim}}")
        if not 1 <= window_s <= 60:
            raise ConfigError(f"analyzer.window_s is {window_s}", "give 1 to 60 seconds")
        super().__init__(weights, {ROLE: Feed(shape=(1, -1))}, threads, architecture)
        self._architecture, self._relative = architecture[ROLE], relative
        self._window = round(window_s * RATE)

    def available(self) -> Availability:
        state = super().available()
        return torch_converted.available("building wav2vec 2.0") if state.ok else state

    def prepare(self, store: WeightsSource) -> None:
        super().prepare(store)
        if not self.quality_absent_reason:
            model = store.path(self.weights[0])
            torch_converted.prepare(
                store.derived(torch_converted.key(self._architecture, model)), self._architecture, model
            )

    def evidence(self) -> Evidence:
        return evidence_of(self.networks, window_s=self._window / RATE, relative=self._relative)

    def hear(self, sound: Sound) -> Figures:
        """Empty where it is digital silence, of which there is nothing to say."""
        if not sound.any():
            return {}
        parts = np.array_split(sound, math.ceil(len(sound) / self._window))
        answers = [self.networks[ROLE].raw(normalized(part)[None])["logits"][0] for part in parts]
        means = np.average(answers, axis=0, weights=[len(part) for part in parts])
        return {name: float(value) for name, value in zip(NAMES, means, strict=True)}

    def judge(self, found: Sequence[tuple[Stretch, Figures]], windows: Sequence[Event]) -> list[tuple[float, Figures]]:
        """How aroused each stretch is, 0 to 1, and its figures; of a single one, 'relative' can say nothing but 0.5."""
        if not found:
            return []
        usual = float(np.median([figures["arousal"] for _, figures in found])) if self._relative else 0.5
        return [(float(np.clip(0.5 + figures["arousal"] - usual, 0, 1)), figures) for _, figures in found]

    def _file(self, store: WeightsSource, role: str) -> Path:
        if self.quality_absent_reason:
            return super()._file(store, role)
        return torch_converted.graph(
            store.derived(torch_converted.key(self._architecture, store.path(self.weights[0])))
        )


def normalized(sound: Sound) -> Sound:
    """Of zero mean and unit variance, as the network was fed when it was trained."""
    return np.ascontiguousarray((sound - sound.mean()) / np.sqrt(sound.var() + _NORMAL), np.float32)
