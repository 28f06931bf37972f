"""Pictures of flat colours, each with a known share of the area."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reelbench.corpus.edit_script import Patch
from reelbench.corpus.lettering import rgb
from reelbench.media.types import Image


def painted(patches: Sequence[Patch], size: tuple[int, int]) -> Image:
    """Rectangles side by side that fill ``size`` (width, height): the set is halved again and again across the longer side."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    _fill(image, sorted(patches, key=lambda patch: -patch.share))
    return image


def shares(image: Image) -> tuple[tuple[str, float], ...]:
    """The colours of a picture as '#rrggbb' with the share of pixels of each, largest first."""
    colours, counts = np.unique(image.reshape(-1, 3), axis=0, return_counts=True)
    total = int(counts.sum())
    found = [
        (f"#{int(red):02x}{int(green):02x}{int(blue):02x}", round(int(count) / total, 4))
        for (red, green, blue), count in zip(colours, counts, strict=True)
    ]
    return tuple(sorted(found, key=lambda item: (-item[1], item[0])))


def _fill(area: Image, patches: list[Patch]) -> None:
    if len(patches) == 1:
        area[:] = rgb(patches[0].colour)
        return
    total = sum(patch.share for patch in patches)
    sums = np.cumsum([patch.share for patch in patches]) / total
    first = int(np.argmin(np.abs(sums[:-1] - 0.5))) + 1
    height, width = area.shape[:2]
    if height >= width:
        edge = round(height * float(sums[first - 1]))
        one, other = area[:edge], area[edge:]
    else:
        edge = round(width * float(sums[first - 1]))
        one, other = area[:, :edge], area[:, edge:]
    _fill(one, patches[:first])
    _fill(other, patches[first:])
