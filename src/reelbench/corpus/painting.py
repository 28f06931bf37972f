"""Paints the photographs of shots as their cameras see them, and the sensor's noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reelbench.corpus.camera import Camera, Matrix
from reelbench.corpus.content import Content
from reelbench.corpus.eyelids import closed
from reelbench.media.types import Image


class Painter:
    """One shot's photograph, enlarged (or reduced) once to the largest scale that the shot shows, then only warped."""

    def __init__(self, camera: Camera, content: Content, frame: tuple[int, int]) -> None:
        self.camera = camera
        self.content = content
        height, width = content.picture.shape[:2]
        scale = camera.largest_scale
        self.size = (max(1, round(width * scale)), max(1, round(height * scale)))
        self.back = np.diag([width / self.size[0], height / self.size[1], 1.0])
        self.ground = None if camera.shot.layout == "cover" else blurred(content.picture, frame)
        self._enlarged: dict[frozenset[int], Image] = {}
        self._still: dict[frozenset[int], Image] = {}

    def paint(self, t: float, shut: frozenset[int] = frozenset()) -> Image:
        """The picture at ``t`` seconds of the shot, the eyes of the faces ``shut`` closed; it must not be written to."""
        if self.camera.moving:
            return self._warp(t, shut)
        if shut not in self._still:
            self._still[shut] = self._warp(0.0, shut)
        return self._still[shut]

    def _picture(self, shut: frozenset[int]) -> Image:
        import cv2

        if shut not in self._enlarged:
            picture = closed(self.content.picture, [(self.content.faces or ())[who] for who in sorted(shut)])
            kind = cv2.INTER_CUBIC if self.camera.largest_scale > 1 else cv2.INTER_AREA
            self._enlarged[shut] = np.asarray(cv2.resize(picture, self.size, interpolation=kind), np.uint8)
        return self._enlarged[shut]

    def _warp(self, t: float, shut: frozenset[int]) -> Image:
        import cv2

        place = self.camera.window
        matrix = self.camera.matrix(t) @ self.back
        matrix[:, 2] -= (place.left, place.top)
        size = (int(place.width), int(place.height))
        picture, border = self._picture(shut), cv2.BORDER_REFLECT_101
        image: Image = cv2.warpAffine(picture, on_indices(matrix), size, flags=cv2.INTER_LINEAR, borderMode=border)
        if self.ground is None:
            return image
        whole = self.ground.copy()
        top, left = int(place.top), int(place.left)
        whole[top : top + size[1], left : left + size[0]] = image
        return whole


class Noise:
    """Sensor noise: one seeded field of standard deviation ``deviation``, shifted at random from frame to frame."""

    SLACK = 64

    def __init__(self, seed: int, size: tuple[int, int], deviation: float) -> None:
        self.fields: tuple[Image, Image] | None = None
        self.seed, self.size = seed, size
        if deviation:
            rng = np.random.Generator(np.random.PCG64(seed))
            shape = (size[1] + self.SLACK, size[0] + self.SLACK)
            levels = np.rint(rng.standard_normal(shape) * deviation)
            brighter, darker = (np.clip(sign * levels, 0, 255).astype(np.uint8) for sign in (1, -1))
            self.fields = (np.repeat(brighter[:, :, None], 3, axis=2), np.repeat(darker[:, :, None], 3, axis=2))

    def onto(self, image: Image, number: int) -> Image:
        """A new image with the noise of frame ``number``."""
        import cv2

        if self.fields is None:
            return image.copy()
        dx, dy = np.random.Generator(np.random.PCG64([self.seed, number])).integers(0, self.SLACK, 2)
        part = (slice(dy, dy + self.size[1]), slice(dx, dx + self.size[0]))
        brighter: Image = cv2.add(image, self.fields[0][part])
        return np.asarray(cv2.subtract(brighter, self.fields[1][part]), dtype=np.uint8)


def blurred(picture: Image, frame: tuple[int, int]) -> Image:
    """The photograph as a dim, blurred ground that fills the frame; nothing in it can be made out."""
    import cv2

    height, width = picture.shape[:2]
    scale = max(frame[0] / width, frame[1] / height)
    crop_w, crop_h = min(width, round(frame[0] / scale)), min(height, round(frame[1] / scale))
    left, top = (width - crop_w) // 2, (height - crop_h) // 2
    small = cv2.resize(picture[top : top + crop_h, left : left + crop_w], (36, 64), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), 3)
    dim = cv2.convertScaleAbs(soft, alpha=0.6)
    return np.asarray(cv2.resize(dim, frame, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def on_indices(matrix: Matrix) -> NDArray[np.float64]:
    """The same map between pixel indices (index i is the continuous coordinate i + 0.5), as OpenCV wants it."""
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2].sum(axis=1) * 0.5 - 0.5
    return shifted
