"""PyTorch on the CPU and on a GPU: what Ultralytics, Transformers and EasyOCR execute in, against ONNX Runtime."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reelbench.doctor.engine_check import EngineCheck, Found, Material
from reelbench.doctor.networks import SmallNetwork
from reelbench.engines import nvidia
from reelbench.engines.base import Availability
from reelbench.engines.parity import compare

_WIDTH, _ROWS = 256, 8
_TYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def checks() -> Iterator[EngineCheck]:
    """FP32, bfloat16 and linear layers packed by bitsandbytes on both, FP16 on a GPU."""
    for device, precision in (("cpu", "fp32"), ("cpu", "bf16"), ("cuda", "fp32"), ("cuda", "fp16"), ("cuda", "bf16")):
        name = "CPU" if device == "cpu" else "CUDA:0"
        here, run = partial(_available, device), partial(_run, device, precision)
        yield EngineCheck("torch", name, precision, here, _version, run)
        if precision == "fp32":
            for packed in ("int8", "nf4"):
                run = partial(_packed, device, packed)
                yield EngineCheck("torch", name, packed, partial(_available, device, "bitsandbytes"), _version, run)


def _version() -> str:
    import torch

    return str(torch.__version__)


def _available(device: str, also: str = "torch") -> Availability:
    for module, name, extra in (("torch", "PyTorch", "torch"), (also, also, "vlm")):
        if importlib.util.find_spec(module) is None:
            return Availability(False, f"{name} is not installed", f'pip install "reelbench[{extra}]"')
    state = nvidia.gpu() if device == "cuda" else Availability(True)
    if state.ok and device == "cuda":
        import torch

        if not torch.cuda.is_available():
            return Availability(False, "this PyTorch sees no CUDA device", "https://pytorch.org/get-started/locally/")
    return state


def _run(device: str, precision: str, material: Material) -> Iterator[Found]:
    for network, path in material.small:
        found = [{"y": _answer(network, one, device, precision)} for one in network.inputs()]
        yield network.name, compare(precision, material.reference(path, network.inputs()), found)


def _packed(device: str, precision: str, material: Material) -> Iterator[Found]:
    """A linear layer of known weights, as bitsandbytes packs those of a network, against NumPy."""
    import torch
    from bitsandbytes import nn

    dice = np.random.default_rng(11)
    weights = (dice.standard_normal((_WIDTH, _WIDTH)) / np.sqrt(_WIDTH)).astype(np.float32)
    given = dice.standard_normal((_ROWS, _WIDTH)).astype(np.float32)
    if precision == "int8":
        layer = nn.Linear8bitLt(_WIDTH, _WIDTH, bias=False, has_fp16_weights=False)
        layer.weight = nn.Int8Params(torch.from_numpy(weights), has_fp16_weights=False, requires_grad=False)
    else:
        layer = nn.Linear4bit(_WIDTH, _WIDTH, bias=False, quant_type="nf4", compute_dtype=torch.float32)
        layer.weight = nn.Params4bit(torch.from_numpy(weights), requires_grad=False, quant_type="nf4")
    kind = torch.float16 if device == "cuda" else torch.float32
    with torch.inference_mode():
        found = layer.to(device)(torch.from_numpy(given).to(device=device, dtype=kind))
    expected = given.astype(np.float64) @ weights.T.astype(np.float64)
    yield "known linear layer", compare(precision, [{"y": expected}], [{"y": np.asarray(found.float().cpu())}])


def _answer(network: SmallNetwork, batch: NDArray[np.float32], device: str, precision: str) -> NDArray[np.float32]:
    import torch

    def moved(values: NDArray[np.float32]) -> Any:
        return torch.from_numpy(values).to(device=device, dtype=getattr(torch, _TYPES[precision]))

    convolve = torch.nn.functional.conv2d if len(network.shape) == 3 else torch.nn.functional.conv3d
    with torch.inference_mode():
        values = moved(batch)
        for layer in network.layers:
            how = {"stride": layer.strides, "padding": layer.pads, "dilation": layer.dilations, "groups": layer.groups}
            values = torch.relu(convolve(values, moved(layer.weights), **how))
        answer = values.flatten(2).mean(-1) @ moved(network.head)
        return np.asarray(answer.float().cpu())
