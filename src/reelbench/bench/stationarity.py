"""Decide whether the warm-up is over.

The last passes must agree: after the manner of pyperf's stability rules (spread of the recent values small against their median),
with the run-queue delay taken out first, since a busy neighbour is no sign of a cold cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

WINDOW = 3
SPREAD = 0.10


def stationary(seconds: Sequence[float]) -> bool:
    """Whether the last `WINDOW` values lie within `SPREAD` of their median, and none of them is the first pass."""
    if len(seconds) <= WINDOW:
        return False
    recent = seconds[-WINDOW:]
    middle = median(recent)
    return max(recent) - min(recent) <= SPREAD * middle
