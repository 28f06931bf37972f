"""How far the answers of a network lie from those of the same network in FP32, and how far they may.

A deviation is two figures for each output: the relative error ‖found - reference‖ / ‖reference‖ over all stored inputs together, and
the cosine between both. The worst output counts. The limits come from measured deviations (docs/doctor.md has the figures).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reelbench.engines.base import Tensors
from reelbench.errors import AnalyzerError, UnavailableError


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The largest relative error and the smallest cosine that still count as the same answers."""

    relative: float
    cosine: float


TOLERANCES: Mapping[str, Tolerance] = {
    "fp32": Tolerance(1e-3, 0.99999),
    "fp16": Tolerance(0.05, 0.998),
    "bf16": Tolerance(0.10, 0.99),
    "int8": Tolerance(0.40, 0.92),
    "nf4": Tolerance(0.60, 0.85),
}
"""By the precision of most of the arithmetic. The first is not zero: two libraries add up in another order."""


@dataclass(frozen=True, slots=True)
class Parity:
    """One comparison with FP32: the worst output's figures, and which output that is."""

    precision: str
    relative: float
    cosine: float
    output: str = ""

    @property
    def ok(self) -> bool:
        allowed = TOLERANCES.get(self.precision, TOLERANCES["fp32"])
        # Said so that a NaN is no agreement.
        return self.relative <= allowed.relative and self.cosine >= allowed.cosine

    def __str__(self) -> str:
        allowed = TOLERANCES.get(self.precision, TOLERANCES["fp32"])
        where = f" at output {self.output}" if self.output else ""
        return (
            f"relative error {self.relative:.2g} (at most {allowed.relative:g}) and cosine {self.cosine:.5f} "
            f"(at least {allowed.cosine:g}){where}"
        )


class ParityError(UnavailableError):
    """A network does not compute on this machine what it computes in FP32; its figures would be worthless."""


def compare(precision: str, reference: Iterable[Tensors], found: Iterable[Tensors]) -> Parity:
    """The deviation of ``found`` from ``reference``, both answers to the same inputs in the same order.

    Raises AnalyzerError where they have other outputs, shapes or counts.
    """
    sums: dict[str, NDArray[np.float64]] = {}
    for one, other in _pairs(reference, found):
        if one.keys() != other.keys():
            raise AnalyzerError(f"other outputs: {', '.join(one)} in FP32, {', '.join(other)} in {precision}")
        for name, expected in one.items():
            sums[name] = sums.get(name, np.zeros(4)) + _sums(name, expected, other[name])
    if not sums:
        raise AnalyzerError("there is no input to compare answers to")
    worst = [(*_figures(values), name) for name, values in sums.items()]
    # The largest error first; an output that is not a number is worse than any.
    relative, cosine, output = max(worst, key=lambda one: (np.isnan(one[0]), one[0]))
    return Parity(precision, relative, min(cosine, *(one[1] for one in worst)), output if len(worst) > 1 else "")


def _pairs(reference: Iterable[Tensors], found: Iterable[Tensors]) -> Iterable[tuple[Tensors, Tensors]]:
    try:
        yield from zip(reference, found, strict=True)
    except ValueError as error:
        raise AnalyzerError("the two networks gave answers to another number of inputs") from error


def _sums(name: str, expected: NDArray[Any], given: NDArray[Any]) -> NDArray[np.float64]:
    """Squared lengths of the difference, of both, and their product."""
    a, b = np.asarray(expected, np.float64).ravel(), np.asarray(given, np.float64).ravel()
    if a.shape != b.shape:
        raise AnalyzerError(f"output {name} has another shape: {np.shape(expected)} in FP32, here {np.shape(given)}")
    return np.array([((a - b) ** 2).sum(), (a * a).sum(), (b * b).sum(), (a * b).sum()])


def _figures(sums: NDArray[np.float64]) -> tuple[float, float]:
    difference, one, other, product = sums.tolist()
    if one == 0 or other == 0:
        return (0.0, 1.0) if one == other else (float("inf"), 0.0)
    return float(np.sqrt(difference / one)), float(product / np.sqrt(one * other))
