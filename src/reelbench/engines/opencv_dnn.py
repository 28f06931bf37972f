"""OpenCV's DNN module on the CPU, FP32: how the original system ran its detector, and so the yardstick of the others."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt

from reelbench.engines.base import Availability, Evidence, Tensors
from reelbench.engines.proofs import proven
from reelbench.errors import AnalyzerError

PACKAGES = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python-headless",
    "opencv-contrib-python",
)
"""Wheels that bring OpenCV; one of them is installed."""


class OpenCVDNN:
    """Runs one image at a time; a batch is a loop. ``threads`` 0 leaves OpenCV's own choice (every core)."""

    def __init__(self, threads: NonNegativeInt = 0) -> None:
        self._threads = threads
        self._net: Any = None
        self._batch = 0

    def available(self) -> Availability:
        if importlib.util.find_spec("cv2") is None:
            return Availability(False, "OpenCV is not installed", "pip install opencv-python-headless")
        return proven(Availability(True), "opencv_dnn", "CPU", "fp32", *PACKAGES)

    def load(self, model: Path, **files: Path) -> None:
        """``graph``: the .pbtxt that describes a TensorFlow graph to OpenCV; other formats need none."""
        import cv2

        if self._threads:
            cv2.setNumThreads(self._threads)
        try:
            if model.suffix == ".pb":
                graph = str(files["graph"]) if "graph" in files else ""
                self._net = cv2.dnn.readNetFromTensorflow(str(model), graph)
            else:
                self._net = cv2.dnn.readNet(str(model))
        except cv2.error as error:
            raise AnalyzerError(f"OpenCV cannot read {model.name}: {error.err or error}") from error

    def infer(self, batch: NDArray[Any]) -> Tensors:
        import cv2

        names = self._net.getUnconnectedOutLayersNames()
        answers: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
        try:
            for image in batch:
                self._net.setInput(image[None])
                for name, output in zip(names, self._net.forward(names), strict=True):
                    answers[name].append(np.array(output))
        except cv2.error as error:
            raise AnalyzerError(f"OpenCV failed on a batch of shape {batch.shape}: {error.err or error}") from error
        self._batch = max(self._batch, 1)
        return {name: np.concatenate(outputs) for name, outputs in answers.items()}

    def infer_many(self, batches: Iterable[NDArray[Any]]) -> Iterator[Tensors]:
        for batch in batches:
            yield self.infer(batch)

    def evidence(self) -> Evidence:
        """OpenCV has no report of what it ran, so the precision is read from the weights and the target that was set."""
        import cv2

        kinds = sorted({str(blob.dtype) for blob in self._blobs()})
        precision = "int8" if "int8" in kinds else "fp16" if kinds == ["float16"] else "fp32"
        return Evidence(
            engine="opencv_dnn",
            device="CPU",
            precision=precision,
            version=cv2.__version__,
            batch=self._batch,
            details={
                "backend": "OpenCV",
                "target": "CPU",
                "threads": cv2.getNumThreads(),
                "weight_types": kinds,
                "layers": len(self._net.getLayerNames()),
                "cpu_features": cv2.getCPUFeaturesLine(),
            },
        )

    def close(self) -> None:
        self._net = None

    def _blobs(self) -> Iterator[NDArray[Any]]:
        for name in self._net.getLayerNames():
            yield from self._net.getLayer(self._net.getLayerId(name)).blobs
