"""OpenCV's DNN module: layers with weights, by their type and the type of their weights. Its networks run on the CPU here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reelbench.bench.executed import Ran, live

ENGINE = "opencv_dnn"
_COMPUTE = ("conv", "deconv", "innerproduct", "gemm", "matmul", "lstm", "gru")
_TYPES = {"float32": "fp32", "float16": "fp16", "int8": "int8"}


def ran(module: Any) -> Iterator[Ran]:
    for network in live(module.dnn.Net):
        for name in network.getLayerNames():
            layer = network.getLayer(network.getLayerId(name))
            if not layer.type.lower().startswith(_COMPUTE):
                continue
            # Its newer graph keeps the weights of float layers to itself; those of integers show in the layer's type.
            kinds = [str(blob.dtype) for blob in layer.blobs] or ["float32"]
            yield "CPU", "int8" if "int8" in layer.type.lower() else _TYPES.get(kinds[0], kinds[0]), 1
