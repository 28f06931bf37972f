"""TensorRT: the known networks in each precision, against ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from typing import Literal

from reelbench.doctor.engine_check import EngineCheck, Found, Material, engine_parity
from reelbench.engines.tensorrt import TensorRT

Precision = Literal["fp32", "fp16", "int8"]


def checks() -> Iterator[EngineCheck]:
    """Each precision that the engine builds."""
    precisions: tuple[Precision, ...] = ("fp32", "fp16", "int8")
    for precision in precisions:
        here = TensorRT(precision).available
        yield EngineCheck("tensorrt", "CUDA:0", precision, here, partial(version, "tensorrt"), partial(_run, precision))


def _run(precision: Precision, material: Material) -> Iterator[Found]:
    for network, path in material.small:
        inputs = network.inputs()
        engine = TensorRT(precision, batch=len(inputs[0]))
        yield network.name, engine_parity(engine, material, path, inputs, material.reference(path, inputs), precision)
