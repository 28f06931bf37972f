"""faster-whisper prepares a whole sound at once, in arrays many times as large as the sound: here it is done piece by piece, with
the same values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_FRAMES_AT_ONCE = 1000
_WINDOWS_AT_ONCE = 256


def features_in_pieces(model: Any) -> Any:
    """A feature extractor as that of ``model`` (a `faster_whisper.WhisperModel`): log-Mel spectra, those of ten seconds at a time."""
    from faster_whisper.feature_extractor import FeatureExtractor

    class InPieces(FeatureExtractor):  # type: ignore[misc]
        def __call__(self, waveform: Any, padding: int = 160, chunk_length: Any = None) -> NDArray[np.float32]:
            if chunk_length is not None:
                self.n_samples = chunk_length * self.sampling_rate
                self.nb_max_frames = self.n_samples // self.hop_length
            half, size, hop = self.n_fft // 2, self.n_fft, self.hop_length
            # The silence that is appended, then the mirrored ends of the centred windows.
            sound = np.pad(np.pad(np.asarray(waveform, np.float32), (0, padding)), half, mode="reflect")
            window = np.hanning(size + 1)[:-1].astype(np.float32)
            frames = np.lib.stride_tricks.sliding_window_view(sound, size)[::hop][:-1]
            found = np.empty((len(self.mel_filters), len(frames)), np.float32)
            for first in range(0, len(frames), _FRAMES_AT_ONCE):
                piece = np.fft.rfft(frames[first : first + _FRAMES_AT_ONCE] * window, axis=1).astype(np.complex64)
                found[:, first : first + len(piece)] = self.mel_filters @ (np.abs(piece.T) ** 2)
            np.log10(np.maximum(found, 1e-10, out=found), out=found)
            np.maximum(found, found.max() - 8.0, out=found)
            found += 4.0
            found /= 4.0
            return found

    return InPieces(**model.feat_kwargs)


class Pieces:
    """The session of Silero's voice activity, asked for some windows at a time: its state goes from one piece to the next."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def run(self, names: Any, given: dict[str, Any]) -> list[Any]:
        """As of an ONNX Runtime session: ``given`` has input (windows × samples), h and c."""
        windows, h, c = given["input"], given["h"], given["c"]
        found = []
        for first in range(0, len(windows), _WINDOWS_AT_ONCE):
            piece = {"input": windows[first : first + _WINDOWS_AT_ONCE], "h": h, "c": c}
            voiced, h, c = self._session.run(names, piece)
            found.append(voiced)
        return [np.concatenate(found), h, c]


def voice_in_pieces() -> None:
    """Make faster-whisper's voice activity (one network a process, which it keeps) work in `Pieces`."""
    from faster_whisper.vad import get_vad_model

    model = get_vad_model()
    if not isinstance(model.session, Pieces):
        model.session = Pieces(model.session)
