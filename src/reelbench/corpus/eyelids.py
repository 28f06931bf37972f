"""Shuts the eyes of annotated faces: the skin of the upper lid is drawn down over each eye, with the lashes along its edge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reelbench.corpus.materials import PhotographFace
from reelbench.media.types import Image

OVERSAMPLE = 4
"""The lids are drawn this much larger than the photograph: an eye there is but a few pixels high."""


def closed(picture: Image, faces: Sequence[PhotographFace]) -> Image:
    """The photograph with the eyes of ``faces`` shut; itself where there are none."""
    if not faces:
        return picture
    image = picture.copy()
    for face in faces:
        for eye in face.eyes:
            _shut(image, eye, face.opening, face.tilt)
    return image


def _shut(image: Image, eye: tuple[float, float], opening: tuple[float, float], tilt: float) -> None:
    """Skin from just above the eye, stretched down over it and smoothed, within an ellipse with soft edges; lashes below."""
    import cv2

    width, height = opening
    reach = int(np.ceil(width * 1.5))
    left, top = round(eye[0]) - reach, round(eye[1]) - reach
    left, top = max(0, left), max(0, top)
    part = image[top : top + 2 * reach, left : left + 2 * reach]
    size = (part.shape[1] * OVERSAMPLE, part.shape[0] * OVERSAMPLE)
    large = cv2.resize(part, size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    centre = ((eye[0] - left) * OVERSAMPLE, (eye[1] - top) * OVERSAMPLE)
    across, down = width / 2 * OVERSAMPLE, height / 2 * OVERSAMPLE
    # Along the face's own upright: u to the right, v down, in halves of the opening.
    angle = np.radians(tilt)
    ys, xs = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
    u = ((xs - centre[0]) * np.cos(angle) + (ys - centre[1]) * np.sin(angle)) / across
    v = (-(xs - centre[0]) * np.sin(angle) + (ys - centre[1]) * np.cos(angle)) / down
    # The skin above the lashes, v = -2.0 … -1.6, is stretched over -1.6 … 1.5.
    above = np.where(v > -1.6, -1.6 - (v + 1.6) * 0.13, v)
    from_x = (centre[0] + u * across * np.cos(angle) - above * down * np.sin(angle)).astype(np.float32)
    from_y = (centre[1] + u * across * np.sin(angle) + above * down * np.cos(angle)).astype(np.float32)
    lid = cv2.remap(large, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    lid = cv2.GaussianBlur(lid, (0, 0), OVERSAMPLE * height / 6)
    inside = np.clip((1.45 - np.sqrt((u / 1.1) ** 2 + (v / 1.2) ** 2)) / 0.3, 0, 1)[:, :, None]
    # The lashes: an arc that sags in the middle, darkest there.
    arc = 0.85 - 0.55 * u**2
    dark = np.exp(-(((v - arc) / 0.28) ** 2)) * np.clip(1.15 - np.abs(u), 0, 1) ** 0.5
    shaded = lid * (1 - 0.6 * dark[:, :, None])
    drawn = large + (shaded - large) * inside
    part[:] = np.clip(cv2.resize(drawn, part.shape[1::-1], interpolation=cv2.INTER_AREA) + 0.5, 0, 255).astype(np.uint8)
