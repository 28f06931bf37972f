"""comment_cta_detection: calls to action ('follow me', 'link in bio') in what is said and in what is shown.

Rules come first: a sentence that meets one is of its kind. The others are compared, as sentence embeddings, with examples of each
kind and with sentences that are no call: the nearest decides, if it is near enough. The rules know English and German; the
embedding, English.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reelbench.analyzers.base import Material, Needs, Plain, WeightsSource
from reelbench.analyzers.calls.minilm import MiniLM
from reelbench.analyzers.calls.rules import Rules
from reelbench.analyzers.calls.sentences import Sentence, sentences
from reelbench.engines.base import Evidence
from reelbench.errors import ConfigError
from reelbench.paths import conf_dir
from reelbench.results import AnalyzerResult, Event

NAME = "comment_cta_detection"
_BY_RULE = 1.0


class CommentCTADetection(Plain):
    """``speech`` and ``overlay`` name the analyzers upstream. ``rules`` is a file in conf/. ``embedding``: {threshold: cosine
    similarity} from which the nearest example decides where no rule does; null leaves it to the rules. ``weights`` are the
    embedding's files."""

    def __init__(
        self,
        weights: Mapping[str, str],
        rules: str = "calls.yaml",
        embedding: Mapping[str, float] | None = None,
        speech: str = "speech_transcription",
        overlay: str = "text_overlay",
    ) -> None:
        if embedding is not None and not 0 < float(embedding.get("threshold", 0)) <= 1:
            raise ConfigError("analyzer.embedding wants a threshold above 0 and at most 1")
        self._threshold = float(embedding["threshold"]) if embedding is not None else None
        self._files, self._rules_file = dict(weights), rules
        self._speech, self._overlay = speech, overlay
        self._rules: Rules | None = None
        self._network: MiniLM | None = None
        self._known: NDArray[np.float32] | None = None
        self.weights = tuple(self._files.values()) if self._threshold is not None else ()

    @property
    def needs(self) -> Needs:
        return Needs(upstream_if_any=(self._speech, self._overlay))

    def load(self, store: WeightsSource) -> None:
        self._rules = Rules.read(conf_dir() / self._rules_file)
        if self._threshold is not None:
            self._network = MiniLM(store.path(self._files["model"]), store.path(self._files["tokenizer"]))
            self._known = self._network.embed([sentence for _, sentence in self._rules.labelled])

    def analyze(self, material: Material) -> AnalyzerResult:
        assert self._rules is not None
        said = sentences(material.upstream, self._speech, self._overlay)
        with material.phases("infer", items=len(said)):
            kinds = [(kind, _BY_RULE, "rule") if (kind := self._rules.kind_of(one.text)) else None for one in said]
            open_ = [i for i, kind in enumerate(kinds) if kind is None]
            for i, nearest in zip(open_, self._nearest([said[i].text for i in open_]), strict=True):
                kinds[i] = nearest
        events = [_event(one, *kind) for one, kind in zip(said, kinds, strict=True) if kind is not None]
        return AnalyzerResult(
            analyzer=NAME, clip=material.clip, duration_s=material.info.duration_s, events=tuple(events)
        )

    def evidence(self) -> Evidence:
        if self._network is None:
            return Evidence("rules", "CPU", "none", "re", details={"rules": self._rules_file})
        details = {"rules": self._rules_file, "embedding": self.weights[0], "threshold": self._threshold}
        return Evidence("openvino", "CPU", "fp32", self._network.version, details=details)

    def _nearest(self, texts: Sequence[str]) -> list[tuple[str, float, str] | None]:
        """(kind, similarity, 'embedding') of each text whose nearest example is a call and near enough; else None."""
        if not texts or self._network is None or self._known is None or self._rules is None:
            return [None] * len(texts)
        found: list[Any] = []
        for row in self._network.embed(texts) @ self._known.T:
            kind = self._rules.labelled[int(np.argmax(row))][0]
            near = float(row.max())
            found.append((kind, near, "embedding") if kind and self._threshold and near >= self._threshold else None)
        return found


def _event(said: Sentence, kind: str, score: float, by: str) -> Event:
    return Event(
        start_s=said.start_s,
        end_s=said.end_s,
        label=kind,
        score=min(1.0, score),
        box=said.box,
        text=said.text,
        attributes={"source": said.source, "by": by},
    )
