"""Reads the JSON of TensorRT's engine inspector: which types its layers work in.

TensorRT 10 says "Format/Datatype": "Row major linear FP16 format"; 11 has "Format" and the data type apart.
https://docs.nvidia.com/deeplearning/tensorrt/latest/api/migration/tensorrt-10x-to-11x.html
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

_TYPES = (
    ("int8", r"int8|i8\b"),
    ("fp8", r"fp8|float8"),
    ("bf16", r"bf16|bfloat16"),
    ("fp16", r"fp16|half|float16"),
    ("fp32", r"fp32|float32|float\b"),
)
_COMPUTES = re.compile(r"conv|gemm|matmul|matrixmultiply", re.IGNORECASE)


def layer_types(report: str) -> dict[str, dict[str, int]]:
    """For each kind of layer: how many take which type in. Layers that the inspector tells only by name count as 'not told'."""
    found: dict[str, Counter[str]] = {}
    for layer in _layers(report):
        found.setdefault(_kind(layer), Counter())[_input_type(layer)] += 1
    return {kind: dict(count) for kind, count in found.items()}


def main_precision(report: str) -> str:
    """The input type of most layers that compute (convolutions, matrix products); 'unknown' where none tells it."""
    total: Counter[str] = Counter()
    for kind, count in layer_types(report).items():
        if _COMPUTES.search(kind):
            total.update({name: n for name, n in count.items() if name != "not told"})
    return total.most_common(1)[0][0] if total else "unknown"


def _layers(report: str) -> list[Mapping[str, Any]]:
    layers = json.loads(report).get("Layers", [])
    return [layer if isinstance(layer, dict) else {"Name": str(layer)} for layer in layers]


def _kind(layer: Mapping[str, Any]) -> str:
    return str(layer.get("ParameterType") or layer.get("LayerType") or "not told")


def _input_type(layer: Mapping[str, Any]) -> str:
    for tensor in layer.get("Inputs", []):
        if not isinstance(tensor, dict):
            continue
        told = " ".join(str(value) for key, value in tensor.items() if re.search("format|type", key, re.IGNORECASE))
        for name, pattern in _TYPES:
            if re.search(pattern, told, re.IGNORECASE):
                return name
    return "not told"
