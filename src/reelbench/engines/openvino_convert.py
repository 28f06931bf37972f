"""A network as it was published, to OpenVINO's own form: cut where the configuration says, with its scaling built in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import PositiveFloat, PositiveInt

from reelbench.errors import AnalyzerError

_FRAMEWORKS = {".pb": "tf", ".onnx": "onnx", ".tflite": "tflite", ".pdmodel": "paddle"}


@dataclass(frozen=True, slots=True)
class Network:
    """Which part of a file is run, and what it is fed.

    ``input`` and ``outputs`` name tensors of the file; between them the graph is cut, so that loops of resizing before and
    non-maximum suppression after do not stand in the way of batches and quantization. Frames come as N×``shape`` ``uint8``
    and are fed as (x - ``mean``) / ``scale`` in float32.
    """

    input: str
    outputs: Sequence[str]
    shape: Sequence[PositiveInt]
    mean: float = 0.0
    scale: PositiveFloat = 1.0

    def __str__(self) -> str:
        return f"{self.input}>{','.join(self.outputs)}|{'x'.join(map(str, self.shape))}|{self.mean:g}|{self.scale:g}"


def convert(model: Path, network: Network) -> Any:
    """The cut network as an ``openvino.Model`` with an N of any size. Raises AnalyzerError where it cannot be read or cut."""
    from openvino import frontend

    # OpenVINO's frontends raise classes of their own, which share no parent below Exception.
    failures = (
        frontend.GeneralFailure,
        frontend.InitializationFailure,
        frontend.OpConversionFailure,
        frontend.OpValidationFailure,
    )
    try:
        return _cut(model, network)
    except (RuntimeError, *failures) as error:
        first = str(error).strip().splitlines()[-1]
        raise AnalyzerError(f"OpenVINO cannot convert {model.name}: {first}") from error


def _cut(model: Path, network: Network) -> Any:
    import openvino as ov
    from openvino.frontend import FrontEndManager
    from openvino.preprocess import PrePostProcessor

    framework = _FRAMEWORKS.get(model.suffix)
    if framework is None:
        raise AnalyzerError(f"OpenVINO cannot read {model.name}", f"known endings: {', '.join(_FRAMEWORKS)}")
    frontend = FrontEndManager().load_by_framework(framework)
    graph = frontend.load(str(model))
    graph.override_all_outputs([_tensor(graph, name, model) for name in network.outputs])
    graph.override_all_inputs([_tensor(graph, network.input, model)])
    (start,) = graph.get_inputs()
    graph.set_partial_shape(start, ov.PartialShape([-1, *network.shape]))
    graph.set_element_type(start, ov.Type.f32)
    whole = frontend.convert(graph)
    # The file's own placeholder stays behind, unconnected; only the parameter at the cut is kept.
    parameters = [node for node in whole.get_parameters() if network.input in node.output(0).get_names()]
    cut = PrePostProcessor(ov.Model(whole.get_results(), parameters, model.stem))
    cut.input().tensor().set_element_type(ov.Type.u8)
    cut.input().preprocess().convert_element_type(ov.Type.f32).mean(network.mean).scale(network.scale)
    return cut.build()


def _tensor(graph: Any, name: str, model: Path) -> Any:
    place = graph.get_place_by_tensor_name(name)
    if place is None:
        raise AnalyzerError(f"{model.name} has no tensor {name!r}", "check analyzer.engine.network")
    return place
