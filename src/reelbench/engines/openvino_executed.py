"""In which precision the layers of a compiled OpenVINO network run, as its executable graph reports it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

COMPUTE = ("Convolution", "FullyConnected", "MatMul", "Deconvolution")
_PRECISIONS = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "i8": "int8", "u8": "int8"}


def precisions(compiled: Any, kinds: Sequence[str] = COMPUTE) -> Counter[str]:
    """How many layers of these kinds ran in which precision: 'fp32', 'fp16', 'bf16', 'int8'."""
    ran: Counter[str] = Counter()
    for node in compiled.get_runtime_model().get_ordered_ops():
        info = node.get_rt_info()
        if info["layerType"].astype(str) in kinds:
            kind = info["runtimePrecision"].astype(str)
            # Of weights that were published in FP16 the graph reports their type; the kernel's name is what it computes in.
            if kind == "f16" and info["primitiveType"].astype(str).endswith("_f32"):
                kind = "f32"
            ran[_PRECISIONS.get(kind, kind)] += 1
    return ran
