"""How far an answer may be from that of the same network in FP32 on the CPU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

TOLERANCE = {"fp32": 1e-3, "tf32": 5e-2, "fp16": 5e-2, "int8": 5e-2, "nf4": 3e-1}
"""The largest ``error`` (see `compare`) for each precision.

`tolerances.py` prints what they rest on: rounding the full-size networks to FP16, layer by layer, gives
0.001 (Whisper's decoder) to 0.03 (YOLO11n); exchanged rows of one layer's weights give 0.1 (SegFormer) or
more.
"""


def compare(
    answers: Sequence[torch.Tensor],
    wanted: Sequence[torch.Tensor],
    other: Sequence[torch.Tensor],
    precision: str,
) -> dict[str, Any]:
    """Compare ``answers`` with ``wanted``, the same in FP32 on the CPU; ``other`` is the FP32 answer to another input.

    ``error`` is ‖answer − wanted‖ / ‖wanted − other‖, the worst over the tensors: 1 means as far off as the answer to something
    else. What an answer always contains (a bias, the grid of a detector) therefore hides nothing. ``max_abs`` and
    ``max_relative`` (of the largest wanted value) are the largest single differences.
    """
    found = {"max_abs": 0.0, "max_relative": 0.0, "error": 0.0}
    if len(answers) != len(wanted):
        raise ValueError(f"{len(answers)} answers, and {len(wanted)} in FP32 on the CPU")
    for answer, want, unlike in zip(answers, wanted, other, strict=True):
        got = answer.detach().to("cpu", torch.float64)
        if got.shape != want.shape:
            raise ValueError(f"an answer of {tuple(got.shape)}, and {tuple(want.shape)} on the CPU")
        exact = want.to(torch.float64)
        if not bool(torch.isfinite(got).all()):
            return dict.fromkeys(found) | _verdict(math.inf, precision)
        apart, largest = (got - exact).abs().max().item(), exact.abs().max().item()
        moved = (exact - unlike.to(torch.float64)).norm().item()
        if moved == 0:
            # Such a tensor says nothing about the network (a constant grid): only its size counts.
            moved = exact.norm().item() or 1.0
        found["max_abs"] = max(found["max_abs"], apart)
        found["max_relative"] = max(found["max_relative"], apart / largest if largest else apart)
        found["error"] = max(found["error"], (got - exact).norm().item() / moved)
    return found | _verdict(found["error"], precision)


def _verdict(error: float, precision: str) -> dict[str, Any]:
    tolerance = TOLERANCE[precision]
    return {"tolerance": tolerance, "ok": error <= tolerance}


def wrong(parity: dict[str, Any]) -> str:
    """Why the row is wrong; '' where the answers agree."""
    if parity["ok"]:
        return ""
    if parity["error"] is None:
        return "the answer holds numbers that are not finite"
    return f"differs from FP32 on the CPU by {parity['error']:.2g}, more than {parity['tolerance']:g}"
