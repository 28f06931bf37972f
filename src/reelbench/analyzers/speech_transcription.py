"""speech_transcription: what is said, word by word with times, by Whisper on CTranslate2 (Radford et al. 2022; faster-whisper)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import NonNegativeInt, PositiveInt

from reelbench.analyzers.base import Material, Needs, Plain, WeightsSource
from reelbench.analyzers.speech.encoded import encode_once
from reelbench.analyzers.speech.pieces import features_in_pieces, voice_in_pieces
from reelbench.engines import ctranslate2_parity, whisper_random
from reelbench.engines.base import Availability, Evidence
from reelbench.engines.lowered import LoweredNetwork
from reelbench.engines.proofs import proven
from reelbench.engines.random_weights import RANDOM, REASON
from reelbench.errors import ConfigError, UnavailableError, WeightsError
from reelbench.media.types import AudioRequest
from reelbench.results import AnalyzerResult, Event

NAME = "speech_transcription"
RATE = 16000
_PRECISIONS = {"int8": "int8", "int8_float32": "int8", "int8_float16": "int8", "float32": "fp32", "float16": "fp16"}
_DEVICES = ("cpu", "cuda")


class SpeechTranscription(Plain):
    """``weights``: the catalog entries of one CTranslate2 model, which lie in one folder, or 'random': then ``architecture``
    (`engines.whisper_random`) is written with random weights. ``compute`` is CTranslate2's compute type ('int8', 'float32',
    'float16' on a GPU). ``language``: what is spoken ('en'); null lets a multilingual network find out from the first half
    minute, and the segments say what it found. ``beam``: hypotheses that are followed; ``voice_first``: Silero's voice activity
    leaves out what is no speech; ``context``: each half minute is given what was said before (and may repeat it). ``threads``
    0 is CTranslate2's own choice."""

    def __init__(
        self,
        weights: Mapping[str, str] | str,
        compute: str = "float32",
        device: str = "cpu",
        language: str | None = "en",
        beam: PositiveInt = 5,
        voice_first: bool = False,
        context: bool = True,
        threads: NonNegativeInt = 0,
        architecture: str | None = None,
    ) -> None:
        if compute not in _PRECISIONS:
            raise ConfigError(f"analyzer.compute is '{compute}'", f"one of {', '.join(_PRECISIONS)}")
        if device not in _DEVICES or beam < 1 or threads < 0:
            raise ConfigError(
                f"analyzer.device={device}, beam={beam}, threads={threads}",
                "device cpu or cuda, beam of 1 or more, threads of 0 or more",
            )
        self._random = ""
        if isinstance(weights, str):
            if weights != RANDOM or architecture is None:
                raise ConfigError(f"analyzer.weights is '{weights}'", "give the files of one network by name")
            self._random = whisper_random.key(architecture)
        self._architecture, self._compute, self._device = architecture, compute, device
        self._language, self._beam, self._threads = language, beam, threads
        self._voice_first, self._context = voice_first, context
        self._model: Any = None
        self.weights = () if isinstance(weights, str) else tuple(weights.values())

    @property
    def quality_absent_reason(self) -> str:
        """Why the results must not be scored; empty where they may be."""
        return REASON if self._random else ""

    @property
    def needs(self) -> Needs:
        return Needs(audio=AudioRequest(RATE))

    def available(self) -> Availability:
        from importlib.util import find_spec

        for module, package in (("faster_whisper", "faster-whisper"), ("ctranslate2", "ctranslate2")):
            if find_spec(module) is None:
                return Availability(False, f"{package} is not installed", f"pip install {package}")
        if self._device == "cuda":
            import ctranslate2

            if not ctranslate2.get_cuda_device_count():
                return Availability(False, "CTranslate2 finds no NVIDIA GPU", "use device=cpu, or a machine with a GPU")
        here = Availability(True)
        return proven(here, "ctranslate2", self._device.upper(), _PRECISIONS[self._compute], "ctranslate2")

    def prepare(self, store: WeightsSource) -> None:
        if self._random and self._architecture:
            whisper_random.prepare(store.derived(self._random), self._architecture)

    def lowered(self, store: WeightsSource) -> Iterator[LoweredNetwork]:
        if (precision := _PRECISIONS[self._compute]) != "fp32":
            model = self._folder(store) / "model.bin"
            folder = store.derived(ctranslate2_parity.key(model))
            yield ctranslate2_parity.lowered(folder, model, self._device, self._compute, precision)

    def load(self, store: WeightsSource) -> None:
        try:
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise UnavailableError(
                f"faster-whisper cannot be imported: {error}", "pip install faster-whisper"
            ) from error

        folder = self._folder(store)
        try:
            self._model = WhisperModel(
                str(folder),
                device=self._device,
                compute_type=self._compute,
                cpu_threads=self._threads,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise WeightsError(f"CTranslate2 cannot load {folder.name}: {error}", "reelbench models verify") from error
        self._model.feature_extractor = features_in_pieces(self._model)
        if self._voice_first:
            voice_in_pieces()
        if self._language is None:
            encode_once(self._model)

    def analyze(self, material: Material) -> AnalyzerResult:
        """One event 'word' for each word, one event 'segment' for each stretch that Whisper punctuates as one. No sound, no events."""
        duration = material.info.duration_s
        events: list[Event] = []
        if material.audio is not None and len(material.audio) >= RATE // 10:
            with material.phases("infer"):
                # The network works while its segments are taken.
                segments, found = self._heard(material.audio)
            with material.phases("postprocess"):
                events = [event for segment in segments for event in _events(segment, duration, found)]
        return AnalyzerResult(
            analyzer=NAME, clip=material.clip, duration_s=duration, events=tuple(sorted(events, key=_order))
        )

    def evidence(self) -> Evidence:
        import ctranslate2

        executed = str(self._model.model.compute_type)
        precision = _PRECISIONS.get(executed, executed)
        asked = _PRECISIONS[self._compute]
        return Evidence(
            engine="ctranslate2",
            device=str(self._model.model.device).upper(),
            precision=precision,
            version=ctranslate2.__version__,
            contradiction="" if precision == asked else f"{asked} was asked for, {executed} was executed",
            details={
                "compute_type": executed,
                "beam": self._beam,
                "voice_first": self._voice_first,
                **({"random_weights": self._architecture} if self._random else {}),
            },
        )

    def close(self) -> None:
        self._model = None

    def _folder(self, store: WeightsSource) -> Path:
        if self._random:
            return store.derived(self._random)
        files = [store.path(name) for name in self.weights]
        return files[0].parent

    def _heard(self, audio: Any) -> tuple[list[Any], dict[str, Any]]:
        """The segments, and what was found out about the language."""
        segments, about = self._model.transcribe(
            audio,
            language=self._language,
            beam_size=self._beam,
            temperature=0.0,  # greedy or beam search: the same sound gives the same words
            word_timestamps=True,
            vad_filter=self._voice_first,
            condition_on_previous_text=self._context,
        )
        found: dict[str, Any] = {}
        if self._language is None:
            found = {"language": about.language, "language_probability": round(float(about.language_probability), 3)}
        return list(segments), found


def _events(segment: Any, duration: float, about: Mapping[str, Any]) -> Iterable[Event]:
    """Times beyond the clip's end are Whisper's guess about its padding: they are cut off."""
    words = [word for word in segment.words or () if word.start < duration and word.word.strip()]
    for word in words:
        yield _event("word", word.start, word.end, duration, word.word, word.probability)
    if words:
        likely = sum(word.probability for word in words) / len(words)
        whole = _event("segment", words[0].start, words[-1].end, duration, segment.text, likely)
        yield whole.model_copy(update={"attributes": dict(about)})


def _event(label: str, start: float, end: float, duration: float, text: str, score: float) -> Event:
    first = round(min(float(start), duration), 3)
    return Event(
        start_s=first,
        end_s=max(first, min(round(float(end), 3), duration)),
        label=label,
        score=min(1.0, max(0.0, float(score))),
        text=text.strip(),
    )


def _order(event: Event) -> tuple[float, str, float]:
    return event.start_s, event.label, event.end_s
