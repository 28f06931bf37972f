"""ONNX Runtime on one execution provider: CPU, CUDA or TensorRT. What the provider cannot run is an error, never a detour.

The CUDA and TensorRT providers are not verified on hardware: no machine with a GPU was at hand.
"""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt

from reelbench.engines import nvidia, onnx_graph
from reelbench.engines.base import Availability, Evidence, Tensors
from reelbench.engines.capabilities import Calibration
from reelbench.engines.fingerprint import fingerprint
from reelbench.engines.lowered import Feed, LoweredNetwork, numbered, pictures
from reelbench.engines.onnx_precision import fill
from reelbench.engines.proofs import proven
from reelbench.engines.yolo_export import YOLOExport
from reelbench.errors import AnalyzerError, ConfigError, UnavailableError
from reelbench.owners import temporary_folder

PACKAGES = ("onnxruntime", "onnxruntime-gpu")
"""Wheels that bring ONNX Runtime; one of them is installed."""
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_ENGINE = {"cpu": "onnx_runtime", "cuda": "onnx_runtime", "tensorrt": "onnx_runtime_tensorrt"}
_PRECISION = {"float": "fp32", "float16": "fp16", "bfloat16": "bf16", "int8": "int8", "uint8": "int8"}
_COMPUTE = ("Conv", "MatMul", "Gemm")


class OnnxRuntime:
    """One ONNX network on one provider.

    ``threads`` 0 leaves ONNX Runtime's own choice. ``export`` turns other weights into ONNX in `prepare`; null: the weights are
    an .onnx file already.
    """

    def __init__(
        self,
        provider: Literal["cpu", "cuda", "tensorrt"] = "cpu",
        threads: NonNegativeInt = 0,
        device_id: NonNegativeInt = 0,
        export: YOLOExport | None = None,
    ) -> None:
        self._provider, self._threads, self._device_id, self._export = provider, threads, device_id, export
        self._model = Path()
        self._session: Any = None
        self._feed: dict[str, NDArray[Any]] = {}

    def available(self) -> Availability:
        if importlib.util.find_spec("onnxruntime") is None:
            return Availability(False, "ONNX Runtime is not installed", "pip install onnxruntime")
        state = _offers(PROVIDERS[self._provider])
        if state.ok and self._provider != "cpu":
            state = nvidia.gpu()
        state = proven(state, _ENGINE[self._provider], "CPU" if self._provider == "cpu" else "CUDA", "fp32", *PACKAGES)
        return self._export.available() if state.ok and self._export else state

    def key(self, model: Path, calibration: str) -> str:
        return f"onnx-{self._export.key(model) if self._export else fingerprint(model)}"

    def prepare(self, folder: Path, model: Path, calibration: Calibration) -> None:
        """Export to ONNX where the weights are something else. Nothing is calibrated."""
        if self._export:
            self._export.write(model, folder)

    def lowered(self, folder: Path, model: Path, calibration: Calibration) -> Iterator[LoweredNetwork]:
        """The network, where its file states less than FP32."""
        source = folder / "model.onnx" if self._export else model
        stated = onnx_graph.precisions(source)
        precision = stated.most_common(1)[0][0] if stated else "fp32"
        if precision in ("fp32", "fp64"):
            return
        yield LoweredNetwork(
            folder=folder,
            name=model.name,
            precision=precision,
            packages=PACKAGES,
            identity=partial(fingerprint, source),
            inputs=lambda: feeds(source, calibration),
            answers=partial(self._answers, model, folder),
            reference=partial(answers_in_fp32, source),
            where="" if self._provider == "cpu" else f"{self._provider}{self._device_id}",
        )

    def _answers(self, model: Path, folder: Path, given: Sequence[Feed]) -> Iterator[Tensors]:
        self.load(model, derived=folder)
        yield from numbered(self.infer(next(iter(feed.values()))) for feed in given)
        self.close()

    def load(self, model: Path, **files: Path) -> None:
        """``model``: an .onnx file; with an exporter, ``derived`` is the folder that `prepare` wrote into."""
        wanted = PROVIDERS[self._provider]
        state = _offers(wanted)
        if not state.ok:
            raise UnavailableError(state.reason, state.mend)
        self._model = files["derived"] / "model.onnx" if self._export else model
        self._session = self._open(self._options())
        got = self._session.get_providers()
        if wanted not in got:
            raise UnavailableError(
                f"ONNX Runtime could not start {wanted} and offers {', '.join(got)}",
                "its CUDA, cuDNN or TensorRT libraries are missing or of another version",
            )

    def infer(self, batch: NDArray[Any]) -> Tensors:
        name = self._session.get_inputs()[0].name
        self._feed = {name: np.ascontiguousarray(batch)}
        outputs = self._run(self._session, self._feed)
        return {out.name: array for out, array in zip(self._session.get_outputs(), outputs, strict=True)}

    def infer_many(self, batches: Iterable[NDArray[Any]]) -> Iterator[Tensors]:
        for batch in batches:
            yield self.infer(batch)

    def evidence(self) -> Evidence:
        """Nodes, their providers and types come from ONNX Runtime's profile of one more inference, in a second session with the
        same options: profiling the measured session would slow it down."""
        import onnxruntime

        nodes = self._profiled()
        precision = _precision(nodes)
        placed = Counter(str(node["args"].get("provider")) for node in nodes)
        return Evidence(
            engine=_ENGINE[self._provider],
            device="CPU" if self._provider == "cpu" else f"CUDA:{self._device_id}",
            precision=precision,
            version=onnxruntime.__version__,
            batch=next(iter(self._feed.values())).shape[0],
            contradiction=contradiction(PROVIDERS[self._provider], placed),
            details={
                "providers": self._session.get_providers(),
                "executed_nodes": dict(placed),
                "assigned_nodes": self._assigned(),
                "executed_types": _types(nodes),
                "kernels": dict(Counter(str(node["args"].get("op_name")) for node in nodes).most_common(8)),
                "export": _export_note(self._model),
            },
        )

    def close(self) -> None:
        self._session = None

    def _options(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = self._threads
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        if self._provider != "cpu":
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        return options

    def _open(self, options: Any) -> Any:
        import onnxruntime

        wanted = PROVIDERS[self._provider]
        settings = {} if self._provider == "cpu" else {"device_id": str(self._device_id)}
        try:
            return onnxruntime.InferenceSession(str(self._model), options, providers=[(wanted, settings)])
        # ONNX Runtime's own exceptions share no root but Exception, and it raises RuntimeError and ValueError too.
        except Exception as error:
            raise AnalyzerError(f"ONNX Runtime cannot load {self._model.name} on {wanted}: {error}") from error

    def _run(self, session: Any, feed: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        try:
            outputs: list[NDArray[Any]] = session.run(None, feed)
            return outputs
        # As in _open: there is no narrower common class.
        except Exception as error:
            shape = next(iter(feed.values())).shape
            raise AnalyzerError(f"ONNX Runtime failed on a batch of shape {shape}: {error}") from error

    def _profiled(self) -> list[dict[str, Any]]:
        with temporary_folder("reelbench-ort-") as folder:
            options = self._options()
            options.enable_profiling = True
            options.profile_file_prefix = str(folder / "profile")
            session = self._open(options)
            self._run(session, self._feed)
            events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        return [event for event in events if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")]

    def _assigned(self) -> dict[str, int] | str:
        """Nodes of the graph, before it was optimized, for each provider."""
        if not hasattr(self._session, "get_provider_graph_assignment_info"):
            return "this version does not report it"
        count: Counter[str] = Counter()
        for part in self._session.get_provider_graph_assignment_info():
            count[part.ep_name] += len(part.get_nodes())
        return dict(count)


def feeds(model: Path, calibration: Calibration) -> Iterator[Feed]:
    """What a network is calibrated on, or pictures where nothing is."""
    first = onnxruntime_session(model).get_inputs()[0]
    try:
        given = list(calibration())
    except ConfigError:  # no calibration set
        given = []
    if not given:
        usual = (1, 3, 64, 64)
        given = list(pictures([side if isinstance(side, int) else usual[at] for at, side in enumerate(first.shape)]))
    whole = first.shape[0] if isinstance(first.shape[0], int) else 0
    for batch in given:
        yield {first.name: fill(np.asarray(batch), whole)}


def answers_in_fp32(model: Path, given: Sequence[Feed]) -> Iterator[Tensors]:
    """What a network answers on the CPU when nothing of it is merged: quantized files then compute in FP32 between the roundings that
    they state. Outputs are numbered."""
    session = onnxruntime_session(model)
    for feed in given:
        yield {str(at): np.asarray(one, np.float32) for at, one in enumerate(session.run(None, dict(feed)))}


def onnxruntime_session(model: Path) -> Any:
    """A session on the CPU that executes the graph as it is written."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(model), options, providers=[PROVIDERS["cpu"]])


def _offers(wanted: str) -> Availability:
    import onnxruntime

    offered = onnxruntime.get_available_providers()
    if wanted in offered:
        return Availability(True)
    return Availability(
        False,
        f"this ONNX Runtime {onnxruntime.__version__} lacks {wanted}; it has {', '.join(offered)}",
        "pip uninstall -y onnxruntime && pip install onnxruntime-gpu",
    )


def contradiction(wanted: str, placed: Mapping[str, int]) -> str:
    """In words, which nodes ran on another provider than the one that was asked for; empty where none did."""
    strangers = {provider: n for provider, n in placed.items() if provider not in (wanted, "None")}
    if not strangers:
        return ""
    return f"asked for {wanted} alone, but {', '.join(f'{p} ran {n} nodes' for p, n in strangers.items())}"


def _types(nodes: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """For each kind of node that computes: what element types went in, and how often."""
    found: dict[str, Counter[str]] = {}
    for node in nodes:
        operator = str(node["args"].get("op_name", ""))
        if any(word in operator for word in _COMPUTE):
            first = node["args"].get("input_type_shape") or [{"unknown": []}]
            found.setdefault(operator, Counter())[next(iter(first[0]))] += 1
    return {operator: dict(count) for operator, count in found.items()}


def _precision(nodes: Iterable[Mapping[str, Any]]) -> str:
    """The type of most convolutions and matrix products."""
    total: Counter[str] = Counter()
    for count in _types(nodes).values():
        total.update(count)
    if not total:
        return "unknown"
    kind = total.most_common(1)[0][0]
    return _PRECISION.get(kind, kind)


def _export_note(model: Path) -> Any:
    note = model.with_name("export.json")
    return json.loads(note.read_text(encoding="utf-8")) if note.is_file() else None
