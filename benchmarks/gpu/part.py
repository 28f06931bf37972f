"""What a part of the GPU benchmark is made of: independent arms, each of which is one measurement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Measure = Callable[[str, str, int], dict[str, Any]]
"""(device, size, rounds) → figures."""


@dataclass(frozen=True)
class PartArm:
    """One measurement that needs no other: it builds what it measures, warms up, measures, compares and lets go.

    ``value`` orders the arms, the smallest first; arms of one part that share a network lie together.
    """

    part: str
    name: str
    value: int
    run: Measure

    def measure(self, device: str, size: str, rounds: int) -> dict[str, Any]:
        """The figures of the arm, ready for JSON. ``size``: 'full', or 'tiny' for a rehearsal on a CPU.

        ``wrong`` says why a row must not be believed ('' where nothing speaks against it). Raises `UnavailableError` where the
        machine lacks what the arm needs, and whatever else goes wrong.
        """
        return self.run(device, size, rounds)
