"""Choose the next clip and the arm that goes first, balanced and shuffled (randomized multiple interleaved trials,
Abedi & Brecht 2017)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from math import ceil


def schedule(clips: Sequence[str], seed: str) -> Iterator[tuple[str, str]]:
    """Endless (clip, order) where order is 'AB' or 'BA'.

    Rounds go over all clips, shuffled. In one round half of the clips (give or take one) begin with A, drawn at random; in the next
    each clip begins with the other arm. So every clip, and nearly every prefix, is balanced.
    """
    draw = random.Random(seed)
    while True:
        half = ["AB", "BA"] * ceil(len(clips) / 2)
        orders = dict(zip(clips, draw.sample(half, len(clips)), strict=True))
        for _ in range(2):
            for clip in draw.sample(list(clips), len(clips)):
                yield clip, orders[clip]
            orders = {clip: order[::-1] for clip, order in orders.items()}


def slice_order(first: str, passes: int) -> str:
    """The order of a slice with ``passes`` passes of each arm: 'AB', 'ABBA', 'ABBABA' …: the Thue-Morse sequence, whose every two
    neighbours at an even place are one of each, and which cancels a drift as well as so few passes can. ``first``: 'AB' or 'BA'."""
    return "".join(first[index.bit_count() % 2] for index in range(2 * passes))


def stretched(looks: Sequence[int], clips: int) -> tuple[int, ...]:
    """The looks, later in proportion where there are more clips than the first look has pairs: each clip is measured before the
    first look."""
    factor = max(1.0, clips / looks[0])
    return tuple(ceil(look * factor) for look in looks)
