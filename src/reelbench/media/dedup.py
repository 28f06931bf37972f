"""Telling frames that show nothing new, so that a network need not see them."""

from __future__ import annotations

from typing import Any

from reelbench.media.types import Image

_THUMBNAIL = 32
_BLOCKS = 8


class NearDuplicates:
    """Compares each frame with the last one that was **kept**, so that slow change adds up and is noticed.

    Both are reduced to 32×32 luma. ``threshold`` is in grey levels of 0…255. A frame is a duplicate when the mean absolute
    difference is at most ``threshold`` and no block of an 8×8 grid differs by more than ``block_threshold`` on average (four times
    ``threshold`` unless given): a small thing that appears moves one block a lot and the whole picture hardly. About 40 µs for a
    300×300 image.
    """

    def __init__(self, threshold: float, block_threshold: float | None = None) -> None:
        if threshold < 0 or (block_threshold is not None and block_threshold < 0):
            raise ValueError("thresholds are grey levels of 0 or more")
        self.threshold = threshold
        self.block_threshold = 4 * threshold if block_threshold is None else block_threshold
        self._kept: Any = None

    def is_duplicate(self, image: Image) -> bool:
        """Whether ``image`` (H×W×3 or H×W, always the same kind) shows what the last kept one did. If not, it becomes that one."""
        import cv2

        small = _thumbnail(image)
        if self._kept is not None:
            difference = cv2.absdiff(small, self._kept)
            blocks = cv2.resize(difference, (_BLOCKS, _BLOCKS), interpolation=cv2.INTER_AREA)
            if cv2.mean(difference)[0] <= self.threshold and cv2.minMaxLoc(blocks)[1] <= self.block_threshold:
                return True
        self._kept = small
        return False

    def reset(self) -> None:
        """Forget the last kept frame: a new clip begins."""
        self._kept = None


def _thumbnail(image: Any) -> Any:
    """Luma, halved while it is large (2×2 means are fast and keep noise out), the rest of the way bilinearly. 32×32 uint8."""
    import cv2

    if image.shape[0] >= 4 * _THUMBNAIL:
        image = image[::2]  # Conversion to luma is most of the cost; half the rows are plenty for the means.
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    while image.shape[0] >= 2 * _THUMBNAIL and image.shape[1] >= 2 * _THUMBNAIL:
        # An odd row or column at the edge is left out: means of exactly 2×2 pixels are many times faster.
        height, width = image.shape[0] & ~1, image.shape[1] & ~1
        image = cv2.resize(image[:height, :width], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_LINEAR)
