"""What it costs a task that other cores work at the same time: they share caches, memory and, on many machines, arithmetic units."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from reelbench.system.records import Span

HALF = 0.5
"""A task counts as alone where the other cores were held for less of its time than this, else as one beside others."""


@dataclass(frozen=True, slots=True)
class Pass:
    """A task that was done: its seconds, and the ``crowd`` that it met."""

    seconds: float
    crowd: float


def crowds(spans: Sequence[Span], cores: int) -> list[float]:
    """For each of ``spans`` (of one run) the share of its time in which the cores that it had not were held by others: 0 alone, 1 where
    all of them worked all the time."""
    return [_crowd(span, [one for one in spans if one.session == span.session], cores) for span in spans]


def _crowd(span: Span, others: Iterable[Span], cores: int) -> float:
    room = (span.end_s - span.start_s) * (cores - len(span.cores))
    if room <= 0:
        return 0.0
    held = 0.0
    for other in others:
        both = min(span.end_s, other.end_s) - max(span.start_s, other.start_s)
        if other is not span and both > 0:
            held += both * len(set(other.cores) - set(span.cores))
    return min(1.0, held / room)


def slowdown(clips: Iterable[Sequence[Pass]]) -> float | None:
    """How many times as long a task takes while all other cores work, from the passes over each clip; at least 1.

    With w seconds alone and the slow-down s, a pass that meets the crowd f takes w (1 + (s − 1) f). Each clip that was seen both alone
    and beside others gives two such equations (medians of its passes); the clips count by their seconds. None where there is no
    such clip.
    """
    more = base = 0.0
    for passes in clips:
        alone = [one for one in passes if one.crowd < HALF]
        beside = [one for one in passes if one.crowd >= HALF]
        if alone and beside:
            (a, f), (b, g) = _middle(alone), _middle(beside)
            more, base = more + b - a, base + a * g - b * f
    return max(1.0, 1.0 + more / base) if base > 0 else None


def _middle(passes: Sequence[Pass]) -> tuple[float, float]:
    return median(one.seconds for one in passes), median(one.crowd for one in passes)


def stretched(slow: float, crowd: float) -> float:
    """The factor on a task's seconds when it meets ``crowd``."""
    return 1.0 + (slow - 1.0) * crowd
