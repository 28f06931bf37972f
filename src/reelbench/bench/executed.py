"""Read from the engines themselves, not from the analyzer, what the networks of this process execute.

Python knows every object that it manages, so the networks that an analyzer loaded are found without its help. Runs in the worker;
`reelbench.bench.evidence_check` compares it with what the analyzer says.
"""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_COMPUTE = ("Convolution", "FullyConnected", "MatMul", "Deconvolution")
_TYPES = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "i8": "int8", "u8": "int8"}
_TORCH = {"torch.float32": "fp32", "torch.float16": "fp16", "torch.bfloat16": "bf16", "torch.int8": "int8"}


def executed() -> dict[str, dict[str, int]]:
    """For each library with live networks: in which precision how much runs.

    OpenVINO: convolutions and matrix products of the compiled graphs. PyTorch: parameters. ONNX Runtime tells of a live session
    only where it may run, so it is not among them; neither are libraries that Python's garbage collector does not see.
    """
    found = {name: dict(sorted(count(module).items())) for name, count in _READERS.items() if (module := _live(name))}
    return {name: counts for name, counts in found.items() if counts}


def _live(name: str) -> Any:
    return sys.modules.get(name)


def _objects(kind: type) -> Iterator[Any]:
    # Not isinstance: it asks proxies for their class, and those may import what they stand for.
    return (one for one in gc.get_objects() if issubclass(type(one), kind))


def _openvino(module: Any) -> Counter[str]:
    ran: Counter[str] = Counter()
    for model in _objects(module.CompiledModel):
        for node in model.get_runtime_model().get_ordered_ops():
            info = node.get_rt_info()
            if info["layerType"].astype(str) in _COMPUTE:
                kind = info["runtimePrecision"].astype(str)
                ran[_TYPES.get(kind, kind)] += 1
    return ran


def _torch(module: Any) -> Counter[str]:
    ran: Counter[str] = Counter()
    for part in _objects(module.nn.Module):
        for parameter in part.__dict__.get("_parameters", {}).values():
            if parameter is not None:
                kind = str(parameter.dtype)
                ran[_TORCH.get(kind, kind.removeprefix("torch."))] += parameter.numel()
    return ran


_READERS: Mapping[str, Callable[[Any], Counter[str]]] = {"openvino": _openvino, "torch": _torch}
