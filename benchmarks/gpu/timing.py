"""Times of several ways to do one thing, in shuffled rounds, so that a slow minute of the machine falls on all of them."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from roofline import middle, timed_s

WARM = 3
LEAST_S = 0.02
"""A round lasts at least so long: short calls are repeated in it."""
MOST_CALLS = 200


@dataclass(frozen=True)
class Way:
    """``run`` under ``within()``, which sets what PyTorch reads at each call (TF32, say)."""

    run: Callable[[], Any]
    within: Callable[[], AbstractContextManager[Any]] = nullcontext


def compare_ms(ways: dict[str, Way], device: str, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds of one call of each way: median, least and most over ``rounds``."""
    calls = {name: _warm(way, device) for name, way in ways.items()}
    found: dict[str, list[float]] = {name: [] for name in ways}
    shuffle = random.Random(0)
    for _ in range(rounds):
        for name in shuffle.sample(list(ways), len(ways)):
            way, number = ways[name], calls[name]
            with way.within():
                found[name].append(1e3 * timed_s(lambda w=way, n=number: _repeat(w, n), device) / number)
    return {name: middle(values) for name, values in found.items()}


def _warm(way: Way, device: str) -> int:
    """How many calls make a round."""
    with way.within():
        for _ in range(WARM):
            way.run()
        once = timed_s(way.run, device)
    return max(1, min(MOST_CALLS, math.ceil(LEAST_S / max(once, 1e-9))))


def _repeat(way: Way, number: int) -> None:
    for _ in range(number):
        way.run()
