"""Silences inside of what was taken for one stretch of speech.

A detector of voice activity bridges short pauses on purpose. The level tells them: where it falls far below that of the
speech around it, and stays there, nobody speaks (N. de Jong and T. Wempe, Behavior Research Methods 41, 2009: 25 dB below
the loudest, without the highest percent)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

HOP_S = 0.01
_LOUD_PERCENT = 99
_EDGE_S = 0.05
"""A dip that touches the end of a stretch belongs to the gap beside it."""
_QUIETEST = 1e-12


def dips(
    sound: NDArray[np.float32], rate: int, start_s: float, end_s: float, below_db: float, least_s: float
) -> list[tuple[float, float]]:
    """Start and end in seconds, in order, of each silence of at least ``least_s`` between ``start_s`` and ``end_s``:
    ``below_db`` below the loud parts of that stretch. ``sound`` is mono."""
    hop = round(HOP_S * rate)
    part = sound[round(start_s * rate) : round(end_s * rate)]
    frames = part[: len(part) // hop * hop].reshape(-1, hop)
    if not len(frames):
        return []
    level = 10 * np.log10(np.einsum("ij,ij->i", frames, frames) / hop + _QUIETEST)
    quiet = level < np.percentile(level, _LOUD_PERCENT) - below_db
    least, edge = round(least_s / HOP_S), round(_EDGE_S / HOP_S)
    return [
        (start_s + first * HOP_S, start_s + last * HOP_S)
        for first, last in _runs(quiet)
        if last - first >= least and first >= edge and last <= len(frames) - edge
    ]


def _runs(flags: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """First and one after the last of each run of true flags."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    for at in range(0, len(edges), 2):
        yield int(edges[at]), int(edges[at + 1])
