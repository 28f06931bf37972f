"""PyTorch: parameters of the live modules, as bitsandbytes and PyTorch's own quantization pack them, too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reelbench.bench.executed import Ran, live

ENGINE = "torch"
_TYPES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "float64": "fp64", "int8": "int8", "qint8": "int8"}


def ran(module: Any) -> Iterator[Ran]:
    for part in live(module.nn.Module):
        held = part.__dict__.get("_parameters", {})
        for parameter in held.values():
            if parameter is not None:
                # bitsandbytes keeps two weights of four bits in a byte, and says of which type.
                four = getattr(parameter, "quant_type", "") if type(parameter).__name__ == "Params4bit" else ""
                kind = str(parameter.dtype).removeprefix("torch.")
                amount = parameter.numel() * (2 if four else 1)
                yield _device(parameter), four or _TYPES.get(kind, kind), amount
        # PyTorch's quantized layers hold no parameters but a packed weight that only they can unpack.
        if "quantized" in type(part).__module__ and callable(getattr(part, "weight", None)):
            weight = part.weight()
            kind = str(weight.dtype).removeprefix("torch.")
            yield _device(weight), _TYPES.get(kind, kind), weight.numel()


def _device(tensor: Any) -> str:
    kind, index = tensor.device.type.upper(), tensor.device.index
    return kind if kind == "CPU" else f"{kind}:{index or 0}"
