"""How a decoded picture is turned before it is displayed, from the container's display matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


@dataclass(frozen=True, slots=True)
class Orientation:
    """Transpose first, then mirror left-right and top-bottom. Covers the eight ways that a quarter-turned picture can lie."""

    transpose: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    @property
    def rotation(self) -> int:
        """Clockwise degrees (0, 90, 180, 270) by which the picture is turned for display; a mirror image counts as its turn."""
        if self.transpose:
            return 90 if self.mirror_x else 270
        return 180 if self.mirror_y else 0

    @property
    def mirrored(self) -> bool:
        """Whether a mirror image is displayed."""
        return self.transpose == (self.mirror_x == self.mirror_y)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height after turning (its own inverse)."""
        return (height, width) if self.transpose else (width, height)

    def apply(self, image: Any) -> Any:
        """Turn an H×W or H×W×3 array; the answer is contiguous."""
        import cv2

        if self.transpose:
            image = cv2.transpose(image)
        if self.mirror_x or self.mirror_y:
            image = cv2.flip(image, -1 if self.mirror_x and self.mirror_y else int(self.mirror_x))
        return image


def orientation_of(frame: VideoFrame) -> Orientation:
    """Read the display matrix (3×3, 16.16 fixed point, rows map x, y to the display); none means upright.

    An angle between quarter turns is taken to the nearest one.
    """
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None or data.buffer_size < 36:
        return Orientation()
    a, b, _, c, d = np.frombuffer(data, np.int32, 5).tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(transpose=True, mirror_x=c < 0, mirror_y=b < 0)
    return Orientation(mirror_x=a < 0, mirror_y=d < 0)
