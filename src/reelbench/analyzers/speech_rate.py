"""speech_rate: how fast somebody speaks, where the pauses are, and how high the voice is, window by window.

Every technique is one switch of the configuration, so that each can be measured alone: ``voice`` (voice activity), ``gate`` (a
cheaper one before it), ``pitch``, ``syllables``, ``resampler`` with ``source_rate``, and ``chunks`` (stretches of the clip heard by
several threads).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from reelbench.analyzers.base import Material, Needs, Plain, WeightsSource
from reelbench.analyzers.speech.gate import Gate, heard_where
from reelbench.analyzers.speech.parts import (
    FRAMES_PER_S,
    HOP,
    LIBROSA,
    RATE,
    SOXR,
    Frames,
    Package,
    Part,
    Pitch,
    Sound,
    Syllables,
    Voice,
    installed,
)
from reelbench.analyzers.speech.stretches import Chunking, Stretches
from reelbench.analyzers.speech.windows import WORD, Heard, events, flags_of, intervals
from reelbench.engines.base import Availability, Evidence
from reelbench.errors import ConfigError
from reelbench.media.types import AudioRequest
from reelbench.results import AnalyzerResult
from reelbench.settings import FieldsOf

NAME = "speech_rate"
_RESAMPLERS: dict[str | None, tuple[Package, ...]] = {None: (), "librosa": (LIBROSA,), "soxr": (SOXR,)}


class SpeechRate(Plain):
    """Finds speech, syllables, pauses and pitch in the sound of a clip.

    ``source_rate``: the rate in Hz at which sound is asked for (FFmpeg decodes, mixes to mono and resamples to it). ``resampler``
    brings it to the 16 kHz that everything works at: 'librosa' (its default, soxr_hq), 'soxr' (its 'LQ': 16 bits, a wider
    roll-off), or null where ``source_rate`` is 16000 already. ``gate``: ``voice`` and ``pitch`` hear only what it lets through;
    null lets them hear everything. ``words_from``: the analyzer whose
    events 'word' are the words that are counted; null counts none. ``chunks`` are the arguments of `stretches.Chunking`; null hears the
    whole clip in one go and one thread. ``window_s``: one event for so many seconds. ``min_pause_s``: a shorter gap belongs to the
    speech around it; ``min_speech_s``: a shorter sound is none. Raises ConfigError where one of them makes no sense.
    """

    def __init__(
        self,
        voice: Voice,
        pitch: Pitch,
        syllables: Syllables,
        gate: Gate | None = None,
        source_rate: PositiveInt = RATE,
        resampler: Literal["librosa", "soxr"] | None = None,
        chunks: Annotated[Mapping[str, Any], FieldsOf(Chunking)] | None = None,
        words_from: str | None = None,
        window_s: PositiveFloat = 5.0,
        min_pause_s: NonNegativeFloat = 0.2,
        min_speech_s: NonNegativeFloat = 0.1,
    ) -> None:
        if resampler not in _RESAMPLERS:
            raise ConfigError(f"analyzer.resampler is '{resampler}'", "give librosa, soxr or null")
        if not 8000 <= source_rate <= 192000 or (resampler is None and source_rate != RATE):
            raise ConfigError(
                f"analyzer.source_rate is {source_rate} with resampler={resampler}",
                f"give 8000 to 192000 Hz with a resampler, or {RATE} without one",
            )
        if window_s < 1 or min_pause_s < 0 or min_speech_s < 0:
            raise ConfigError(
                "analyzer.window_s, min_pause_s or min_speech_s makes no sense",
                "give window_s of 1 or more, the others not below 0",
            )
        try:
            self._stretches = Stretches(None if chunks is None else Chunking(**chunks))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"analyzer.chunks: {error}") from error
        self._voice, self._pitch, self._syllables, self._gate = voice, pitch, syllables, gate
        self._parts: dict[str, Part] = {"voice": voice, "pitch": pitch, "syllables": syllables}
        if gate is not None:
            self._parts["gate"] = gate
        self._let_through = 1.0
        self._source_rate, self._resampler, self._words_from = source_rate, resampler, words_from
        self._window = round(window_s * FRAMES_PER_S)
        self._min_pause_s, self._min_speech_s = min_pause_s, min_speech_s
        self._convert: Any = None
        self.weights = tuple(artifact for part in self._parts.values() for artifact in part.weights)

    @property
    def needs(self) -> Needs:
        return Needs(audio=AudioRequest(self._source_rate), upstream=(self._words_from,) if self._words_from else ())

    def available(self) -> Availability:
        return installed(self._packages())

    def load(self, store: WeightsSource) -> None:
        for part in self._parts.values():
            part.load(store)
        if self._resampler:
            self._convert = _RESAMPLERS[self._resampler][0].load()
        self._stretches.open()
        # Some packages import and compile at their first call: a quarter of a second of silence makes that part of the cold start.
        silence = self._at_rate(np.zeros(self._source_rate // 4, np.float32))
        _, hz, level, _ = self._hear(silence)
        self._syllables.nuclei(level, hz > 0)
        if self._gate is not None:  # which lets no silence through
            self._voice.hear(silence)
            self._pitch.hear(silence)

    def analyze(self, material: Material) -> AnalyzerResult:
        """A clip without sound, or with less than one frame (10 ms) of it, has no events; one in which nobody speaks has windows
        that say so."""
        found = () if material.audio is None else self._found(material, material.audio)
        return AnalyzerResult(analyzer=NAME, clip=material.clip, duration_s=material.info.duration_s, events=found)

    def evidence(self) -> Evidence:
        """The versions that are installed, and what the last clip was heard by: the threads are counted as they work."""
        kinds = {name: getattr(part, "kind", type(part).__name__) for name, part in self._parts.items()}
        return Evidence(
            engine=" + ".join(dict.fromkeys(one.distribution for one in self._packages())),
            device="CPU",
            precision=self._pitch.precision,
            version=", ".join(str(one) for one in self._packages()),
            details={
                **kinds,
                "precisions": {name: part.precision for name, part in self._parts.items()},
                "source_rate": self._source_rate,
                "resampler": self._resampler or "ffmpeg",
                "stretches": self._stretches.stretches,
                "threads": len(self._stretches.threads),
                **({"let_through": round(self._let_through, 3)} if self._gate else {}),
                **getattr(self._voice, "executed", {}),
            },
        )

    def close(self) -> None:
        self._stretches.close()

    def _packages(self) -> tuple[Package, ...]:
        wanted = [one for part in self._parts.values() for one in part.packages]
        return tuple(dict.fromkeys([*wanted, *_RESAMPLERS[self._resampler]]))

    def _found(self, material: Material, audio: Sound) -> tuple[Any, ...]:
        with material.phases("preprocess"):
            sound = self._at_rate(audio)
            # What sounds after the last frame is no part of the clip.
            longest = round(material.info.duration_s * FRAMES_PER_S) * HOP or len(sound)
            sound = np.ascontiguousarray(sound[:longest])
        if len(sound) < HOP:
            return ()
        with material.phases("infer"):
            voice, hz, level, kept = self._stretches.hear(sound, self._hear)
            self._let_through = float(kept.mean())
        with material.phases("postprocess"):
            pause, least = (round(s * FRAMES_PER_S) for s in (self._min_pause_s, self._min_speech_s))
            speech = intervals(self._voice.decide(voice), hz, pause, least)
            voiced = flags_of(speech, len(hz)) & (hz > 0)
            heard = Heard(speech, hz, self._syllables.nuclei(level, voiced), self._words(material))
            return tuple(events(heard, self._window, self._min_pause_s))

    def _words(self, material: Material) -> list[tuple[float, float]] | None:
        """Start and end of each word in seconds; None without a transcript."""
        if self._words_from is None:
            return None
        said = material.upstream[self._words_from].events
        return [(event.start_s, event.end_s) for event in said if event.label == WORD]

    def _hear(self, sound: Sound) -> tuple[Frames, ...]:
        level = self._syllables.hear(sound)
        passed = np.ones(len(level), bool) if self._gate is None else self._gate.passed(sound)
        voice = heard_where(passed, sound, self._voice.hear, self._voice.nothing)
        return voice, heard_where(passed, sound, self._pitch.hear, 0.0), level, passed.astype(np.float32)

    def _at_rate(self, audio: Sound) -> Sound:
        if self._resampler is None or self._source_rate == RATE or not len(audio):
            return audio
        if self._resampler == "librosa":
            converted: Sound = self._convert.resample(audio, orig_sr=self._source_rate, target_sr=RATE)
        else:
            converted = self._convert.resample(audio, self._source_rate, RATE, "LQ")
        return converted
