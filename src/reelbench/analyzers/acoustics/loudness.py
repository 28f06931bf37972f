"""Integrated loudness (ITU-R BS.1770-4) of a long sound in little memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reelbench.analyzers.acoustics.spectrum import Sound

BLOCK_S = 0.4
"""Blocks of this length are measured, each a quarter of it after the one before; a shorter sound has no loudness."""
_ABSOLUTE_LUFS, _RELATIVE_LU, _OFFSET = -70.0, -10.0, -0.691
_AT_ONCE = 1 << 18
_CHANNELS = 2


def integrated_lufs(sound: Sound, rate: int) -> float:
    """Of mono ``sound`` on both of two channels, as `pyloudnorm.Meter` measures it, whose filters these are; but it holds the filtered
    sound of a few seconds only. -inf where every block is below the absolute gate."""
    energy = _CHANNELS * _mean_squares(sound, rate)
    with np.errstate(divide="ignore"):
        levels = _OFFSET + 10 * np.log10(energy)
        gated = levels >= _ABSOLUTE_LUFS
        if not gated.any():
            return float("-inf")
        threshold = _OFFSET + 10 * np.log10(energy[gated].mean()) + _RELATIVE_LU
        return float(_OFFSET + 10 * np.log10(energy[(levels > threshold) & (levels > _ABSOLUTE_LUFS)].mean()))


def _mean_squares(sound: Sound, rate: int) -> NDArray[np.float64]:
    """Of each block of the weighted sound."""
    length, step = BLOCK_S * rate, BLOCK_S / 4 * rate
    count = round((len(sound) / rate - BLOCK_S) / (BLOCK_S / 4)) + 1
    weigh = _KWeighting(rate)
    found: list[float] = []
    kept, begins = np.empty(0), 0
    for first in range(0, len(sound), _AT_ONCE):
        kept = np.concatenate([kept, weigh(sound[first : first + _AT_ONCE])])
        ends = begins + len(kept)
        while len(found) < count:
            low, high = int(len(found) * step), int(len(found) * step + length)
            if high > ends and ends < len(sound):
                break
            found.append(float(np.square(kept[low - begins : high - begins]).sum()) / length)
        low = int(len(found) * step)
        kept, begins = kept[max(0, low - begins) :], max(begins, low)
    return np.array(found)


class _KWeighting:
    """The shelf for the head and the high pass, over pieces of one sound."""

    def __init__(self, rate: int) -> None:
        from pyloudnorm import IIRfilter

        shelf = IIRfilter(4.0, 1 / np.sqrt(2), 1500.0, rate, "high_shelf")
        high_pass = IIRfilter(0.0, 0.5, 38.0, rate, "high_pass")
        self._stages: list[Any] = [shelf, high_pass]
        self._states = [np.zeros(2), np.zeros(2)]

    def __call__(self, piece: Sound) -> NDArray[np.float64]:
        from scipy.signal import lfilter

        weighted = piece.astype(np.float64)
        for at, stage in enumerate(self._stages):
            weighted, self._states[at] = lfilter(stage.b, stage.a, weighted, zi=self._states[at])
            weighted *= stage.passband_gain
        return weighted
