"""Syllables: peaks of the energy, as a first try counts them, and the nuclei of de Jong & Wempe."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat

from reelbench.analyzers.base import WeightsSource
from reelbench.analyzers.speech.parts import (
    FRAMES_PER_S,
    HOP,
    LIBROSA,
    SCIPY,
    SILENT_DB,
    Flags,
    Frames,
    Sound,
    count,
    fitted,
)


class EnergyPeaks:
    """Each local maximum of librosa's RMS energy that stands out from the mean of its surroundings (``librosa.util.peak_pick``) and
    is voiced."""

    packages = (LIBROSA,)
    precision = "fp32"
    weights: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._librosa: Any = None

    def load(self, store: WeightsSource) -> None:
        self._librosa = LIBROSA.load()

    def hear(self, sound: Sound) -> Frames:
        rms = self._librosa.feature.rms(y=sound, frame_length=4 * HOP, hop_length=HOP)[0]
        return fitted(self._librosa.amplitude_to_db(rms, ref=1.0, amin=1e-5, top_db=None), count(sound), SILENT_DB)

    def nuclei(self, level: Frames, voiced: Flags) -> NDArray[np.int64]:
        if len(level) < 3:
            return np.zeros(0, np.int64)
        peaks = self._librosa.util.peak_pick(
            level, pre_max=5, post_max=5, pre_avg=10, post_avg=10, delta=1.0, wait=8
        ).astype(np.int64)
        nuclei: NDArray[np.int64] = peaks[voiced[peaks]]
        return nuclei


class SyllableNuclei:
    """de Jong & Wempe, *Praat script to detect syllable nuclei and measure speech rate automatically*, Behavior Research
    Methods 41(2), 2009, doi 10.3758/BRM.41.2.385.

    A nucleus is a peak of the intensity that is at most ``depth_db`` below the loud part of the clip (its 99th percentile), has a dip
    of ``dip_db`` on both sides, and is voiced. Differences from the script: the dip is the peak's topographic
    prominence (``scipy.signal.find_peaks``), and intensity is smoothed with a Hann window of ``smooth_s`` seconds.
    """

    packages = (SCIPY,)
    precision = "fp32"
    weights: tuple[str, ...] = ()

    def __init__(
        self, dip_db: NonNegativeFloat = 2.0, depth_db: NonNegativeFloat = 25.0, smooth_s: NonNegativeFloat = 0.07
    ) -> None:
        self._dip_db, self._depth_db = dip_db, depth_db
        window = np.hanning(max(3, round(smooth_s * FRAMES_PER_S)) + 2)[1:-1]
        self._window = (window / window.sum()).astype(np.float32)
        self._find_peaks: Any = None

    def load(self, store: WeightsSource) -> None:
        from scipy.signal import find_peaks

        self._find_peaks = find_peaks

    def hear(self, sound: Sound) -> Frames:
        frames = count(sound)
        blocks = sound[: frames * HOP].reshape(frames, HOP)
        power = np.einsum("ij,ij->i", blocks, blocks) / HOP
        if frames >= len(self._window):
            power = np.convolve(power, self._window, mode="same")
        level: Frames = (10 * np.log10(np.maximum(power, 10 ** (SILENT_DB / 10)))).astype(np.float32)
        return level

    def nuclei(self, level: Frames, voiced: Flags) -> NDArray[np.int64]:
        if not len(level):
            return np.zeros(0, np.int64)
        least = float(np.percentile(level, 99)) - self._depth_db
        # A sentinel at both ends lets a peak at the very edge count.
        padded = np.concatenate([[SILENT_DB], level, [SILENT_DB]])
        peaks = self._find_peaks(padded, height=least, prominence=self._dip_db)[0] - 1
        nuclei: NDArray[np.int64] = peaks[voiced[peaks]]
        return nuclei
