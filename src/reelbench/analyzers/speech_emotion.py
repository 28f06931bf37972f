"""speech_emotion: how aroused a voice sounds, stretch by stretch, from its prosody. A heuristic: no network, no claim about feelings.

Arousal follows pitch, its range, loudness and pace, all of which rise when somebody is excited (Scherer 2003); each is compared
with the speaker's own median in the clip, so that a high voice is not an excited one. Valence is far less certain from prosody
alone: what is given for it is the sign of brightness and steadiness of the voice, and says so in its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reelbench.analyzers.base import Material, Needs, Plain, WeightsSource
from reelbench.analyzers.speech.parts import PRAAT, RATE, Sound, installed
from reelbench.engines.base import Availability, Evidence
from reelbench.errors import ConfigError
from reelbench.media.types import AudioRequest
from reelbench.results import AnalyzerResult, Event

NAME = "speech_emotion"
_LEAST_S = 0.4
_WEIGHTS = {"pitch_semitones": 0.35, "range_semitones": 0.15, "level_db": 0.2, "rate": 0.5}
"""What a semitone, a decibel and a syllable a second over the speaker's median add to arousal (on the logit's scale)."""
_USUAL_RATE = 4.0
Prosody = dict[str, float]


class SpeechEmotion(Plain):
    """``floor_hz`` to ``ceiling_hz``: where pitch is looked for; ``step_s``: how often. ``calm`` and ``excited``: the arousal below and
    above which a stretch is called so; between them it is 'neutral'. ``speech``: the analyzer upstream that hears speech.
    ``joined_s``: stretches with a shorter pause between them are one."""

    def __init__(
        self,
        floor_hz: float = 75.0,
        ceiling_hz: float = 600.0,
        step_s: float = 0.01,
        calm: float = 0.42,
        excited: float = 0.58,
        joined_s: float = 0.5,
        speech: str = "speech_rate",
    ) -> None:
        if not 40 <= floor_hz < ceiling_hz <= 2000 or not 0.001 <= step_s <= 0.1 or not 0 < calm <= excited < 1:
            raise ConfigError(
                "analyzer.floor_hz, ceiling_hz, step_s, calm or excited makes no sense",
                "floor_hz < ceiling_hz in 40…2000, step_s 0.001…0.1, calm <= excited between 0 and 1",
            )
        self._floor, self._ceiling, self._step_s = floor_hz, ceiling_hz, step_s
        self._calm, self._excited, self._joined_s, self._speech = calm, excited, joined_s, speech
        self._parselmouth: Any = None

    @property
    def needs(self) -> Needs:
        return Needs(audio=AudioRequest(RATE), upstream=(self._speech,))

    def available(self) -> Availability:
        return installed([PRAAT])

    def load(self, store: WeightsSource) -> None:
        self._parselmouth = PRAAT.load()

    def analyze(self, material: Material) -> AnalyzerResult:
        duration, sound = material.info.duration_s, material.audio
        events: list[Event] = []
        if sound is not None and len(sound):
            spoken = _stretches(material.upstream[self._speech].events, self._joined_s)
            with material.phases("infer", items=len(spoken)):
                found = [(a, b, self._prosody(sound[round(a * RATE) : round(b * RATE)])) for a, b in spoken]
            windows = [event for event in material.upstream[self._speech].events if event.label == self._speech]
            for a, b, prosody in found:
                if prosody and (rate := _rate(windows, a, b)) is not None:
                    prosody["rate"] = rate
            events = self._events([one for one in found if one[2]], duration)
        return AnalyzerResult(analyzer=NAME, clip=material.clip, duration_s=duration, events=tuple(events))

    def evidence(self) -> Evidence:
        details = {"method": "prosody against the speaker's own median; a heuristic"}
        return Evidence("praat-parselmouth", "CPU", "fp64", str(PRAAT), details=details)

    def _prosody(self, sound: Sound) -> Prosody:
        """Empty where too little of it is voiced."""
        if len(sound) < _LEAST_S * RATE:
            return {}
        heard = self._parselmouth.Sound(sound.astype(np.float64), RATE)
        pitch = heard.to_pitch_ac(time_step=self._step_s, pitch_floor=self._floor, pitch_ceiling=self._ceiling)
        hertz = pitch.selected_array["frequency"]
        voiced = hertz[hertz > 0]
        if len(voiced) < 5:
            return {}
        semitones = 12 * np.log2(voiced / 100)
        low, middle, high = (float(value) for value in np.percentile(semitones, [10, 50, 90]))
        found = {
            "pitch_semitones": middle,
            "range_semitones": high - low,
            "level_db": float(10 * np.log10(max(float(np.mean(sound**2)), 1e-10))),
        }
        points = self._parselmouth.praat.call([heard, pitch], "To PointProcess (cc)")
        jitter = self._parselmouth.praat.call(points, "Get jitter (local)", 0, 0, 0.0001, 0.02, 1.3)
        return found | ({"jitter": float(jitter)} if np.isfinite(jitter) else {})

    def _events(self, found: Sequence[tuple[float, float, Prosody]], duration: float) -> list[Event]:
        usual = {
            name: float(np.median(values)) if len(values) > 1 else None
            for name in _WEIGHTS
            if (values := [prosody[name] for _, _, prosody in found if name in prosody])
        }
        events = []
        for start, end, prosody in found:
            arousal = _arousal(prosody, usual)
            label = "calm" if arousal < self._calm else "excited" if arousal > self._excited else "neutral"
            attributes = {name: round(value, 4) for name, value in prosody.items()} | {"arousal": round(arousal, 4)}
            if "jitter" in prosody:
                attributes["valence_guess"] = round(float(np.clip(0.5 + 8 * (0.025 - prosody["jitter"]), 0, 1)), 4)
            end = min(end, duration)
            if end > start:
                events.append(
                    Event(start_s=start, end_s=end, label=label, score=0.5 + abs(arousal - 0.5), attributes=attributes)
                )
        return events


def _arousal(prosody: Mapping[str, float], usual: Mapping[str, float | None]) -> float:
    """0…1; 0.5 is what is usual for this speaker, or, where there is one stretch only, for a pace of four syllables a second."""
    total = 0.0
    for name, weight in _WEIGHTS.items():
        if name in prosody:
            middle = usual.get(name)
            if middle is None:
                middle = _USUAL_RATE if name == "rate" else prosody[name]
            total += weight * (prosody[name] - middle)
    return float(1 / (1 + np.exp(-total)))


def _stretches(events: Sequence[Event], joined_s: float) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for event in sorted((one for one in events if one.label == "speech"), key=lambda one: one.start_s):
        if found and event.start_s - found[-1][1] < joined_s:
            found[-1] = (found[-1][0], event.end_s)
        else:
            found.append((event.start_s, event.end_s))
    return found


def _rate(windows: Sequence[Event], start: float, end: float) -> float | None:
    """Syllables a second of speech, of the windows that overlap, weighted by how much they do."""
    weighed = [
        (min(end, one.end_s) - max(start, one.start_s), float(one.attributes["articulation_rate"]))
        for one in windows
        if "articulation_rate" in one.attributes and one.start_s < end and one.end_s > start
    ]
    total = sum(seconds for seconds, _ in weighed)
    return sum(seconds * rate for seconds, rate in weighed) / total if total > 0 else None
