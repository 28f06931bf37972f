"""Pictures as CLIP's image tower wants them."""

from __future__ import annotations

import numpy as np

from reelbench.engines.openvino_small import Feed
from reelbench.media.types import Image

SIDE = 224
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)
FEED = Feed(
    tuple(255 * value for value in _MEAN),
    tuple(255 * value for value in _DEVIATION),
    chw=True,
    shape=(1, 3, SIDE, SIDE),
)
"""Published for levels 0…1, here for 0…255."""


def fitted(image: Image) -> Image:
    """The middle square of an H×W×3 picture as 224×224×3: its short side scaled (bicubic), then what sticks out cut off."""
    from PIL import Image as Pillow

    height, width = image.shape[:2]
    short = min(height, width)
    scaled = (int(SIDE * width / short), int(SIDE * height / short))
    whole = np.asarray(Pillow.fromarray(image).resize(scaled, Pillow.Resampling.BICUBIC))
    left, top = ((side - SIDE) // 2 for side in scaled)
    return whole[top : top + SIDE, left : left + SIDE]
