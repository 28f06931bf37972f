"""Arousal from prosody: a heuristic without a network, and no claim about feelings.

Arousal follows pitch, its range, loudness and pace, all of which rise when somebody is excited (Scherer 2003); each is compared
with the speaker's own median in the clip, so that a high voice is not an excited one. Valence is far less certain from prosody
alone: what is given for it is the sign of brightness and steadiness of the voice, and says so in its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reelbench.analyzers.base import Plain, WeightsSource
from reelbench.analyzers.speech.parts import PRAAT, RATE, Sound, installed
from reelbench.engines.base import Availability, Evidence
from reelbench.errors import ConfigError
from reelbench.results import Event

Figures = dict[str, float]
"""What was heard in a stretch; empty where nothing can be said of it."""
Stretch = tuple[float, float]
"""Start and end in seconds."""
_WEIGHTS = {"pitch_semitones": 0.35, "range_semitones": 0.15, "level_db": 0.2, "rate": 0.5}
"""What a semitone, a decibel and a syllable a second over the speaker's median add to arousal (on the logit's scale)."""
_USUAL_RATE = 4.0


class Prosody(Plain):
    """``floor_hz`` to ``ceiling_hz``: where pitch is looked for; ``step_s``: how often."""

    quality_absent_reason = ""

    def __init__(self, floor_hz: float, ceiling_hz: float, step_s: float) -> None:
        if not 40 <= floor_hz < ceiling_hz <= 2000 or not 0.001 <= step_s <= 0.1:
            raise ConfigError(
                "analyzer.floor_hz, ceiling_hz or step_s makes no sense",
                "floor_hz < ceiling_hz in 40…2000, step_s 0.001…0.1",
            )
        self._floor, self._ceiling, self._step_s = floor_hz, ceiling_hz, step_s
        self._parselmouth: Any = None

    def available(self) -> Availability:
        return installed([PRAAT])

    def load(self, store: WeightsSource) -> None:
        self._parselmouth = PRAAT.load()

    def evidence(self) -> Evidence:
        details = {"method": "prosody against the speaker's own median; a heuristic"}
        return Evidence("praat-parselmouth", "CPU", "fp64", str(PRAAT), details=details)

    def hear(self, sound: Sound) -> Figures:
        """Empty where too little of it is voiced."""
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

    def judge(self, found: Sequence[tuple[Stretch, Figures]], windows: Sequence[Event]) -> list[tuple[float, Figures]]:
        """How aroused each stretch is, 0 to 1, and its figures; ``windows`` know the pace."""
        heard = [figures | _paced(windows, *stretch) for stretch, figures in found]
        usual = {
            name: float(np.median(values)) if len(values) > 1 else None
            for name in _WEIGHTS
            if (values := [figures[name] for figures in heard if name in figures])
        }
        return [(level := _arousal(figures, usual), _told(figures, level)) for figures in heard]


def _told(figures: Figures, arousal: float) -> Figures:
    told = figures | {"arousal": arousal}
    if "jitter" in figures:
        told["valence_guess"] = float(np.clip(0.5 + 8 * (0.025 - figures["jitter"]), 0, 1))
    return told


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


def _paced(windows: Sequence[Event], start: float, end: float) -> Figures:
    """Syllables a second of speech, of the windows that overlap, weighted by how much they do; empty where none does."""
    weighed = [
        (min(end, one.end_s) - max(start, one.start_s), float(one.attributes["articulation_rate"]))
        for one in windows
        if "articulation_rate" in one.attributes and one.start_s < end and one.end_s > start
    ]
    total = sum(seconds for seconds, _ in weighed)
    return {"rate": sum(seconds * rate for seconds, rate in weighed) / total} if total > 0 else {}
