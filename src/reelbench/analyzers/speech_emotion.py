"""speech_emotion: how aroused a voice sounds, stretch by stretch; a description of sound, no claim about feelings.

``weights`` is the switch: without them the voice's prosody is compared with the rest of the clip (`speech.prosody`, a heuristic), with
them a network that learnt from raters says arousal, dominance and valence (`speech.dimensions`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat

from reelbench.analyzers.base import Material, Needs, Plain, WeightsSource
from reelbench.analyzers.speech.dimensions import Dimensions
from reelbench.analyzers.speech.parts import RATE
from reelbench.analyzers.speech.prosody import Figures, Prosody
from reelbench.engines.base import Availability, Evidence
from reelbench.errors import ConfigError
from reelbench.media.types import AudioRequest
from reelbench.results import AnalyzerResult, Event

NAME = "speech_emotion"
_LEAST_S = 0.4


class SpeechEmotion(Plain):
    """``calm`` and ``excited``: the arousal below and above which a stretch is called so; between them it is 'neutral'. ``joined_s``:
    stretches with a shorter pause between them are one. ``speech``: the analyzer upstream that hears speech.

    ``floor_hz``, ``ceiling_hz`` and ``step_s`` are `Prosody`'s; ``weights``, ``architecture``, ``window_s``, ``threads`` and
    ``relative`` are `Dimensions`', which is asked instead where there are ``weights``."""

    def __init__(
        self,
        floor_hz: PositiveFloat = 75.0,
        ceiling_hz: PositiveFloat = 600.0,
        step_s: PositiveFloat = 0.01,
        calm: float = 0.42,
        excited: float = 0.58,
        joined_s: NonNegativeFloat = 0.5,
        speech: str = "speech_rate",
        weights: Mapping[str, str | None] | None = None,
        architecture: Mapping[str, str] | None = None,
        window_s: PositiveFloat = 10.0,
        threads: NonNegativeInt = 0,
        relative: bool = False,
    ) -> None:
        if not 0 < calm <= excited < 1:
            raise ConfigError("analyzer.calm or excited makes no sense", "calm <= excited between 0 and 1")
        prosody = Prosody(floor_hz, ceiling_hz, step_s)
        self._listener: Prosody | Dimensions = (
            prosody if weights is None else Dimensions(weights, architecture or {}, window_s, threads, relative)
        )
        self._calm, self._excited, self._joined_s, self._speech = calm, excited, joined_s, speech
        self.weights = self._listener.weights

    @property
    def needs(self) -> Needs:
        return Needs(audio=AudioRequest(RATE), upstream=(self._speech,))

    @property
    def quality_absent_reason(self) -> str:
        """Why the results must not be scored; empty where they may be."""
        return self._listener.quality_absent_reason

    def available(self) -> Availability:
        return self._listener.available()

    def prepare(self, store: WeightsSource) -> None:
        self._listener.prepare(store)

    def load(self, store: WeightsSource) -> None:
        self._listener.load(store)

    def analyze(self, material: Material) -> AnalyzerResult:
        duration, sound = material.info.duration_s, material.audio
        events: list[Event] = []
        if sound is not None and len(sound):
            upstream = material.upstream[self._speech].events
            spoken = _stretches(upstream, self._joined_s)
            with material.phases("infer", items=len(spoken)):
                parts = [(one, sound[round(one[0] * RATE) : round(one[1] * RATE)]) for one in spoken]
                heard = [(one, self._listener.hear(part)) for one, part in parts if len(part) >= _LEAST_S * RATE]
            found = [one for one in heard if one[1]]
            judged = self._listener.judge(found, [event for event in upstream if event.label == self._speech])
            for ((start, end), _), (level, figures) in zip(found, judged, strict=True):
                if (end := min(end, duration)) > start:
                    events.append(self._event(start, end, level, figures))
        return AnalyzerResult(analyzer=NAME, clip=material.clip, duration_s=duration, events=tuple(events))

    def evidence(self) -> Evidence:
        return self._listener.evidence()

    def close(self) -> None:
        self._listener.close()

    def _event(self, start: float, end: float, level: float, figures: Figures) -> Event:
        label = "calm" if level < self._calm else "excited" if level > self._excited else "neutral"
        attributes = {name: round(value, 4) for name, value in figures.items()}
        return Event(start_s=start, end_s=end, label=label, score=0.5 + abs(level - 0.5), attributes=attributes)


def _stretches(events: Sequence[Event], joined_s: float) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for event in sorted((one for one in events if one.label == "speech"), key=lambda one: one.start_s):
        if found and event.start_s - found[-1][1] < joined_s:
            found[-1] = (found[-1][0], event.end_s)
        else:
            found.append((event.start_s, event.end_s))
    return found
