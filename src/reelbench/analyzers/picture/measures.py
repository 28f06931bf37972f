"""No-reference measures of one grey picture (H×W, float32, 0…255)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.float32]
_LOW_PASS = 9
_SCALES = 3
_TILE = 32
_CALM = 0.2
_DARK, _BRIGHT = 24.0, 232.0
_CODED = 8


@dataclass(frozen=True, slots=True)
class Measures:
    """``blur`` 0 (sharp) … 1; ``noise`` the standard deviation of the sensor's noise in levels of 255; ``blockiness`` how much larger
    steps are at the borders of 8×8 blocks than inside (0: not); ``exposure`` the mean level 0…1; ``clipped_dark`` and
    ``clipped_bright`` the shares of the picture near black and near white."""

    blur: float
    noise: float
    blockiness: float
    exposure: float
    clipped_dark: float
    clipped_bright: float

    @classmethod
    def of(cls, grey: Grey) -> Measures:
        return cls(
            blur=blur(grey),
            noise=noise(grey),
            blockiness=blockiness(grey),
            exposure=float(grey.mean()) / 255,
            clipped_dark=float((grey < _DARK).mean()),
            clipped_bright=float((grey > _BRIGHT).mean()),
        )


def blur(grey: Grey) -> float:
    """The perceptual blur of Crété et al. (2007), how little a low-pass filter takes away from the steps between neighbours: its mean
    over the picture at full, half and quarter size, since a strong blur leaves nothing to compare at full size."""
    import cv2

    found = []
    for _ in range(_SCALES):
        found.append(_blur_at_scale(grey))
        if min(grey.shape) < 4 * _LOW_PASS:
            break
        grey = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return sum(found) / len(found)


def _blur_at_scale(grey: Grey) -> float:
    """The larger of both directions."""
    import cv2

    worst = 0.0
    for axis, kernel in ((0, (1, _LOW_PASS)), (1, (_LOW_PASS, 1))):
        steps = np.abs(np.diff(grey, axis=axis))
        smoothed = np.abs(np.diff(cv2.blur(grey, kernel), axis=axis))
        whole = float(steps.sum())
        kept = float(np.minimum(steps, smoothed).sum())
        worst = max(worst, kept / whole if whole else 0.0)
    return worst


def noise(grey: Grey) -> float:
    """Immerkær's estimate (1996) of the noise's standard deviation, on the calmest fifth of tiles, which have the least texture."""
    import cv2

    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(grey, -1, kernel))[1:-1, 1:-1]
    rows, columns = (side // _TILE for side in response.shape)
    if not rows or not columns:
        tiles = response.mean(keepdims=True)
    else:
        shaped = response[: rows * _TILE, : columns * _TILE].reshape(rows, _TILE, columns, _TILE)
        tiles = np.sort(shaped.mean(axis=(1, 3)), axis=None)
    calm = tiles[: max(1, round(len(tiles) * _CALM))]
    return float(np.sqrt(np.pi / 2) / 6 * calm.mean())


def blockiness(grey: Grey) -> float:
    """Steps at the borders of 8×8 blocks against those inside, after Wang, Sheikh & Bovik (2002); the phase that shows most counts."""
    found = 0.0
    for axis in (0, 1):
        steps = np.abs(np.diff(grey, axis=axis)).mean(axis=1 - axis)
        usable = len(steps) // _CODED * _CODED
        if usable:
            phases = steps[:usable].reshape(-1, _CODED).mean(axis=0)
            found += float(phases.max() / max(float(np.median(phases)), 1e-3)) - 1
    return max(0.0, found / 2)
