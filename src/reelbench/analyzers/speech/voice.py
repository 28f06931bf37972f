"""Voice activity: by energy, by WebRTC's Gaussian mixture, by Silero's network."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import NonNegativeFloat, NonNegativeInt

from reelbench.analyzers.base import WeightsSource
from reelbench.analyzers.speech.parts import (
    HOP,
    LIBROSA,
    ONNX,
    RATE,
    SILENT_DB,
    WEBRTC,
    Flags,
    Frames,
    Sound,
    count,
    fitted,
)
from reelbench.errors import AnalyzerError, ConfigError

_QUIETEST_DB = -60.0
"""A clip whose loudest frame lies below is silence, not quiet speech."""


class EnergyVoice:
    """Speech is whatever is at most ``top_db`` below the clip's loudest frame: the rule of ``librosa.effects.split``. It takes
    noise and music for speech."""

    packages = (LIBROSA,)
    precision = "fp32"
    nothing = SILENT_DB
    weights: tuple[str, ...] = ()

    def __init__(self, top_db: NonNegativeFloat = 30.0) -> None:
        if not top_db > 0:
            raise ConfigError(f"analyzer.voice.top_db is {top_db}", "give a positive number of decibels")
        self._top_db = top_db
        self._librosa: Any = None

    def load(self, store: WeightsSource) -> None:
        self._librosa = LIBROSA.load()

    def hear(self, sound: Sound) -> Frames:
        rms = self._librosa.feature.rms(y=sound, frame_length=2 * HOP, hop_length=HOP)[0]
        return fitted(self._librosa.amplitude_to_db(rms, ref=1.0, amin=1e-5, top_db=None), count(sound), SILENT_DB)

    def decide(self, heard: Frames) -> Flags:
        loudest = float(heard.max(initial=SILENT_DB))
        return heard > max(loudest - self._top_db, SILENT_DB) if loudest >= _QUIETEST_DB else np.zeros(len(heard), bool)


class WebRTCVoice:
    """WebRTC's detector, 10 ms at a time. ``mode`` 0…3: the higher, the less is taken for speech."""

    packages = (WEBRTC,)
    precision = "int16"
    nothing = 0.0
    weights: tuple[str, ...] = ()

    def __init__(self, mode: NonNegativeInt = 3) -> None:
        if mode not in (0, 1, 2, 3):
            raise ConfigError(f"analyzer.voice.mode is {mode}", "give 0, 1, 2 or 3")
        self._mode = mode
        self._webrtcvad: Any = None

    def load(self, store: WeightsSource) -> None:
        self._webrtcvad = WEBRTC.load()

    def hear(self, sound: Sound) -> Frames:
        detector = self._webrtcvad.Vad(self._mode)  # it adapts to what it hears: a new one for each stretch
        samples = (np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes()
        step = 2 * HOP
        spoken = [detector.is_speech(samples[at : at + step], RATE) for at in range(0, count(sound) * step, step)]
        return np.array(spoken, np.float32)

    def decide(self, heard: Frames) -> Flags:
        spoken: Flags = heard > 0.5
        return spoken


class SileroVoice:
    """Silero's recurrent network on ONNX Runtime, 32 ms at a time, one thread.

    Speech begins at a probability of ``threshold`` and lasts until one falls 0.15 below it, as in Silero's own code. Each
    stretch starts from an empty state. ``lanes``: a stretch is cut into up to so many parts of at least two seconds, which go
    through the network side by side, as one batch; each hears half a second of the part before it first.
    """

    packages = (ONNX,)
    precision = "fp32"
    nothing = 0.0
    _BLOCK, _CONTEXT, _STATE = 512, 64, 128
    _LEAST, _WARM_UP = 64, 16
    """Blocks of a lane, and blocks that it hears to get into its state."""

    def __init__(
        self, model: str = "silero_vad/silero_vad_16k_op15.onnx", threshold: float = 0.5, lanes: int = 1
    ) -> None:
        if not 0.15 < threshold < 1:
            raise ConfigError(f"analyzer.voice.threshold is {threshold}", "give a probability between 0.15 and 1")
        if not 1 <= lanes <= 256:
            raise ConfigError(f"analyzer.voice.lanes is {lanes}", "give 1 to 256")
        self._model, self._threshold, self._lanes = model, threshold, lanes
        self._session: Any = None
        self._widest = 0

    @property
    def weights(self) -> tuple[str, ...]:
        return (self._model,)

    @property
    def executed(self) -> dict[str, Any]:
        """What ONNX Runtime executes it with, and the largest batch that it was given; valid after `load`."""
        return {"providers": list(self._session.get_providers()), "largest_batch": self._widest}

    def load(self, store: WeightsSource) -> None:
        onnxruntime = ONNX.load()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        path = store.path(self._model)
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        # ONNX Runtime's own exceptions share no root but Exception.
        except Exception as error:
            raise AnalyzerError(f"ONNX Runtime cannot load {path.name}: {error}") from error

    def hear(self, sound: Sound) -> Frames:
        blocks = -(-len(sound) // self._BLOCK)
        lanes = max(1, min(self._lanes, blocks // self._LEAST))
        length, warm_up = -(-blocks // lanes), self._WARM_UP if lanes > 1 else 0
        padded = np.zeros(self._CONTEXT + (warm_up + lanes * length) * self._BLOCK, np.float32)
        begins = self._CONTEXT + warm_up * self._BLOCK
        padded[begins : begins + len(sound)] = sound
        # Row k is block k - warm_up, after the end of the block before it.
        rows = np.lib.stride_tricks.sliding_window_view(padded, self._CONTEXT + self._BLOCK)[:: self._BLOCK]
        firsts = np.arange(lanes) * length
        state, rate = np.zeros((2, lanes, self._STATE), np.float32), np.array(RATE, np.int64)
        likely = np.zeros((warm_up + length, lanes), np.float32)
        for step in range(len(likely)):
            output, state = self._session.run(None, {"input": rows[firsts + step], "state": state, "sr": rate})
            likely[step] = output[:, 0]
        self._widest = max(self._widest, lanes)
        middles = np.arange(count(sound)) * HOP + HOP // 2
        return likely[warm_up:].T.reshape(-1)[middles // self._BLOCK]

    def decide(self, heard: Frames) -> Flags:
        """Hysteresis: each frame takes the state of the last frame that was clearly speech or clearly not."""
        clear = np.where(heard >= self._threshold, 1, np.where(heard < self._threshold - 0.15, 0, -1))
        last = np.maximum.accumulate(np.where(clear >= 0, np.arange(len(clear)), -1))
        spoken: Flags = (last >= 0) & (clear[last] == 1)
        return spoken
