"""InsightFace's genderage: age and gender of a face by one network, from an upright crop around its box.

After `attribute.py` and `face_align.py` of the package insightface: the square has 1.5 times the longer side of the box and its middle,
is not turned, and is fed as RGB of 0 to 255, since the network brings its own scale. Of the three answers the first two say how much
speaks for female and for male, the third is the age in centuries."""

from __future__ import annotations

import numpy as np

from reelbench.analyzers.blaze.crops import Picture, Square, cut
from reelbench.analyzers.faces.portraits import Estimate
from reelbench.engines.openvino_small import Feed, SmallNetwork
from reelbench.results import Box

SIZE = 96
FEED = Feed(chw=True, shape=(1, 3, SIZE, SIZE))
_ANSWER = "fc1"
_MARGIN = 1.5


def square_of_box(box: Box) -> Square:
    """The square that insightface cuts out."""
    x1, y1, x2, y2 = box
    return Square((x1 + x2) / 2, (y1 + y2) / 2, _MARGIN * max(x2 - x1, y2 - y1, 1.0))


def estimate(network: SmallNetwork, picture: Picture, box: Box, mirror: bool) -> Estimate:
    """``mirror``: the mean of the crop and its mirror image."""
    crop = cut(picture, square_of_box(box), SIZE)
    answers = [network(crop[:, ::step])[_ANSWER] for step in ((1, -1) if mirror else (1,))]
    genders = []
    for female, male, _ in answers:
        likely = 1 / (1 + np.exp(np.clip(female - male, -80, 80)))
        genders.append(np.array([1 - likely, likely], np.float32))
    centuries = float(np.mean([answer[2] for answer in answers]))
    return Estimate(max(0.0, 100 * centuries), np.mean(genders, axis=0))
