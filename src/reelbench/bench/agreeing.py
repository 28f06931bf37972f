"""Whether two passes found the same events, and the digest that says so."""

from __future__ import annotations

from math import isclose
from typing import Any

from reelbench.config import digest
from reelbench.results import AnalyzerResult

ROUNDING = 1e-3
"""Sums of many threads differ in their last digits from pass to pass: numbers may differ by so much, absolutely and relatively."""


def events_digest(result: AnalyzerResult) -> str:
    """sha256 of the events alone."""
    return digest(result.model_dump(mode="json", include={"events"}))


def same_events(one: AnalyzerResult, other: AnalyzerResult) -> bool:
    """Whether both have the same events with the same words, and numbers that are equal but for rounding."""
    return _same(*(result.model_dump(mode="json", include={"events"}) for result in (one, other)))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return isclose(one, other, rel_tol=ROUNDING, abs_tol=ROUNDING)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(*pair) for pair in zip(one, other, strict=True))
    return bool(one == other)
