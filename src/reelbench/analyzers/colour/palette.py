"""The few colours that a picture is made of, in CIELAB (L* 0…100, a* and b* about -128…127; D65, sRGB)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reelbench.media.types import Image

Lab = NDArray[np.float32]
_ROUNDS = 12
_MOVED = 0.5
_SEED = 7


@dataclass(frozen=True, slots=True)
class Palette:
    """``centres`` is n×3 CIELAB, ``shares`` n that sum to at most 1 (what rare colours had is left out), largest first."""

    centres: Lab
    shares: NDArray[np.float64]


def to_lab(image: Image, stride: int) -> Lab:
    """N×3 CIELAB of every ``stride``-th pixel in both directions of an RGB image."""
    import cv2

    thinned = np.ascontiguousarray(image[::stride, ::stride], np.float32) / 255
    lab: Lab = cv2.cvtColor(thinned, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    return lab


def quantized(lab: Lab, colours: int) -> Palette:
    """k-means (k-means++ start, OpenCV) over the pixels; the same pixels give the same palette."""
    import cv2

    cv2.setRNGSeed(_SEED)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, _ROUNDS, _MOVED)
    wanted = min(colours, len(lab))
    _, labels, centres = cv2.kmeans(lab, wanted, None, stop, 1, cv2.KMEANS_PP_CENTERS)
    return _sorted(centres, np.bincount(labels.ravel(), minlength=wanted) / len(lab))


def pooled(palettes: Sequence[Palette], colours: int, alike: float) -> Palette:
    """One palette of several: colours within ``alike`` (CIE76) of a larger one join it, at their weighted mean."""
    whole = _sorted(
        np.concatenate([one.centres for one in palettes]),
        np.concatenate([one.shares for one in palettes]) / len(palettes),
    )
    centres: list[Lab] = []
    shares: list[float] = []
    for centre, share in zip(whole.centres, whole.shares, strict=True):
        distances = [float(np.linalg.norm(centre - other)) for other in centres]
        nearest = int(np.argmin(distances)) if distances else -1
        if distances and distances[nearest] <= alike:
            total = shares[nearest] + float(share)
            centres[nearest] = (centres[nearest] * shares[nearest] + centre * float(share)) / max(total, 1e-9)
            shares[nearest] = total
        else:
            centres.append(centre)
            shares.append(float(share))
    found = _sorted(np.asarray(centres, np.float32), np.asarray(shares))
    return Palette(found.centres[:colours], found.shares[:colours])


def hexes(centres: Lab) -> list[str]:
    """Each colour as '#rrggbb', clipped to what sRGB can show."""
    import cv2

    rgb = cv2.cvtColor(np.ascontiguousarray(centres, np.float32)[None], cv2.COLOR_LAB2RGB)[0]
    levels = (rgb.clip(0, 1) * 255).round().astype(int)
    return ["#{:02x}{:02x}{:02x}".format(*level) for level in levels]


def _sorted(centres: Lab, shares: NDArray[np.float64]) -> Palette:
    order = np.argsort(-shares, kind="stable")
    return Palette(np.asarray(centres, np.float32)[order], np.asarray(shares, np.float64)[order])
