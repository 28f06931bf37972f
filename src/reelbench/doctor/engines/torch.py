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

_TYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def checks() -> Iterator[EngineCheck]:
    """FP32 and bfloat16 on both, FP16 on a GPU."""
    for device, precision in (("cpu", "fp32"), ("cpu", "bf16"), ("cuda", "fp32"), ("cuda", "fp16"), ("cuda", "bf16")):
        name = "CPU" if device == "cpu" else "CUDA:0"
        here, run = partial(_available, device), partial(_run, device, precision)
        yield EngineCheck("torch", name, precision, here, _version, run)


def _version() -> str:
    import torch

    return str(torch.__version__)


def _available(device: str) -> Availability:
    if importlib.util.find_spec("torch") is None:
        return Availability(False, "PyTorch is not installed", 'pip install "reelbench[torch]"')
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
