"""What an engine may offer beyond the protocol in `base`; an analyzer asks with isinstance, and no list is edited."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from reelbench.engines.base import Tensors

Calibration = Callable[[], Iterable[NDArray[Any]]]
"""Gives the calibration inputs, each one batch as `Engine.infer` takes it; only called where something is calibrated."""


@runtime_checkable
class Prepares(Protocol):
    """An engine that builds something once a machine and keeps it: a converted, calibrated or compiled network.

    The analyzer calls ``prepare`` with the folder ``store.derived(engine.key(…))``, and later ``load(model, derived=folder)``.
    """

    def key(self, model: Path, calibration: str) -> str:
        """Names what is built, as one folder name: equal keys mean that the same file would be built (the model's hash, versions,
        options). ``calibration`` describes the calibration set and counts only where one is used."""
        ...

    def prepare(self, folder: Path, model: Path, calibration: Calibration) -> None:
        """Build into ``folder`` atomically what is not there yet."""
        ...


@runtime_checkable
class Pipelined(Protocol):
    """An engine that works on several batches at once. Answers come out in the order of submission."""

    @property
    def depth(self) -> int:
        """How many batches may be in flight; valid after ``load``."""
        ...

    def submit(self, batch: NDArray[Any]) -> None:
        """Start one batch. The array must not change until its answer was collected. Blocks while ``depth`` are in flight."""
        ...

    def collect(self) -> Tensors:
        """Wait for the oldest batch in flight; its answer."""
        ...
