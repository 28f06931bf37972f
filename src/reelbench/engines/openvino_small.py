"""Small published networks in OpenVINO, several to an analyzer: read as they are, in FP32, one image at a time.

`openvino.OpenVINO` converts, quantizes and keeps; networks of one to twenty milliseconds need none of that: they
compile in a moment."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from reelbench.engines.base import Availability, Evidence
from reelbench.engines.openvino_executed import precisions
from reelbench.engines.proofs import proven
from reelbench.errors import AnalyzerError

_PACKAGES = {"openvino": "openvino", "cv2": "opencv-python-headless"}


def available() -> Availability:
    """Whether OpenVINO and OpenCV are here."""
    for module, package in _PACKAGES.items():
        if importlib.util.find_spec(module) is None:
            return Availability(False, f"{package} is not installed", f"pip install {package}")
    return proven(Availability(True), "openvino", "CPU", "fp32", "openvino")


@dataclass(frozen=True, slots=True)
class Feed:
    """How an image becomes the input: (x - ``mean``) / ``scale`` for each channel, channels first where ``chw``. ``shape`` is the
    input's where the file leaves it open, ``precision`` that in which most of the network was published to compute."""

    mean: Sequence[float] = (0.0,)
    scale: float | Sequence[float] = 1.0
    chw: bool = False
    shape: Sequence[PositiveInt] | None = None
    precision: str = "fp32"


class SmallNetwork:
    """One compiled network. ``threads`` 0 leaves OpenVINO's own choice; one is the cheapest in CPU time."""

    def __init__(self, model: Path, feed: Feed, threads: int = 1) -> None:
        """Raises AnalyzerError where OpenVINO cannot read ``model``."""
        import openvino as ov
        from openvino.preprocess import PrePostProcessor

        core = ov.Core()
        try:
            network = core.read_model(model)
        except RuntimeError as error:
            raise AnalyzerError(f"OpenVINO cannot read {model.name}: {str(error).strip().splitlines()[-1]}") from error
        if feed.shape is not None:
            network.reshape(list(feed.shape))
        elif network.is_dynamic():
            network.reshape([1, *(int(side.get_length()) for side in list(network.input().partial_shape)[1:])])
        if feed.scale != 1.0 or any(feed.mean):
            build = PrePostProcessor(network)
            build.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NCHW" if feed.chw else "NHWC"))
            mean = [float(value) for value in feed.mean] * (3 // len(feed.mean))
            scale = [feed.scale] * 3 if isinstance(feed.scale, (int, float)) else feed.scale
            build.input().preprocess().convert_element_type(ov.Type.f32).mean(mean).scale([float(one) for one in scale])
            network = build.build()
        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": "1"}
        if threads:
            options["INFERENCE_NUM_THREADS"] = str(threads)
        self._compiled = core.compile_model(network, "CPU", options)
        self._request = self._compiled.create_infer_request()
        self._names = [output.get_any_name() for output in self._compiled.outputs]
        self._chw, self.precision = feed.chw, feed.precision

    def __call__(self, image: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """An H×W×3 image of the network's size to its outputs by name, without their first axis. They are copies."""
        given = np.ascontiguousarray(image.transpose(2, 0, 1) if self._chw else image)[None]
        return {name: answer[0] for name, answer in self.raw(given).items()}

    def raw(self, given: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """A C-contiguous array of the network's own input shape and type to its whole outputs by name. They are copies."""
        self._request.infer([given], share_inputs=True)
        return {
            name: np.array(self._request.get_output_tensor(i).data, np.float32) for i, name in enumerate(self._names)
        }

    def executed(self) -> Counter[str]:
        """How many convolutions ran in which precision."""
        return precisions(self._compiled, ("Convolution",))

    @property
    def device(self) -> str:
        return ",".join(self._compiled.get_property("EXECUTION_DEVICES"))

    @property
    def arithmetic(self) -> str:
        """What the plug-in says that it computes in."""
        return str(self._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())

    @property
    def threads(self) -> int:
        return int(self._compiled.get_property("INFERENCE_NUM_THREADS"))


def evidence_of(networks: Mapping[str, SmallNetwork], **details: Any) -> Evidence:
    """What the networks of one analyzer executed as; ``precision`` is that of most convolutions."""
    ran = {name: network.executed() for name, network in networks.items()}
    total = sum(ran.values(), Counter())
    first = next(iter(networks.values()))
    wrong = []
    for name, network in networks.items():
        main = ran[name].most_common(1)[0][0] if ran[name] else ""
        if main in ("int8", "bf16") and main != network.precision:
            wrong.append(f"{name}: {network.precision} was asked for, most convolutions ran in {main}")
    return Evidence(
        engine="openvino",
        device=first.device,
        precision=total.most_common(1)[0][0] if total else "unknown",
        version=importlib.metadata.version("openvino"),
        contradiction="; ".join(wrong),
        details={
            "convolutions": {name: dict(sorted(counted.items())) for name, counted in ran.items()},
            "inference_precision": first.arithmetic,
            "threads": first.threads,
            **details,
        },
    )
