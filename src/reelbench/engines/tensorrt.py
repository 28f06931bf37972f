"""TensorRT 10 or 11: builds an engine from ONNX on this GPU, keeps it, and runs it. Needs the extra ``gpu``.

Not verified on hardware: no machine with an NVIDIA GPU was at hand when this was written. It follows TensorRT's documentation, and
the parts that need no GPU (export, FP16 and INT8 files, reading the inspector) are tested; ``reelbench doctor`` proves the rest on the
machine where it runs.

Networks are strongly typed: the ONNX file states every precision (`onnx_precision`), since TensorRT 11 removed the FP16 and INT8 flags
and the calibrators. https://docs.nvidia.com/deeplearning/tensorrt/latest/api/migration/tensorrt-10x-to-11x-python-api-reference.html
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from reelbench.engines import nvidia, onnx_precision
from reelbench.engines.base import Availability, Evidence, Tensors
from reelbench.engines.capabilities import Calibration
from reelbench.engines.fingerprint import digest, fingerprint
from reelbench.engines.lowered import Feed, LoweredNetwork, numbered
from reelbench.engines.onnx_runtime import answers_in_fp32, feeds
from reelbench.engines.proofs import proven
from reelbench.engines.tensorrt_inspector import layer_types, main_precision
from reelbench.engines.yolo_export import YOLOExport
from reelbench.errors import AnalyzerError
from reelbench.paths import atomic_path

MEND = 'pip install "reelbench[gpu]"'
PLAN = "engine.plan"


class TensorRT:
    """One network as a TensorRT engine with a fixed batch; a smaller batch is filled up by repeating its last item.

    ``precision``: 'fp32' (TF32 off), 'fp16' or 'int8' (convolutions; the rest float32). ``batch`` must be the analyzer's. ``export``
    turns other weights into ONNX; null: the weights are an .onnx file with fixed shapes.
    """

    def __init__(
        self,
        precision: Literal["fp32", "fp16", "int8"] = "fp16",
        batch: PositiveInt = 1,
        device_id: NonNegativeInt = 0,
        workspace_gib: PositiveFloat = 4.0,
        export: YOLOExport | None = None,
    ) -> None:
        self._precision, self._batch, self._device_id = precision, batch, device_id
        self._workspace, self._export = int(workspace_gib * 2**30), export
        self._engine: Any = None
        self._context: Any = None
        self._device: Any = None

    def available(self) -> Availability:
        state = nvidia.gpu()
        if not state.ok:
            return state
        names = ("tensorrt", "cuda", "pynvml")
        missing = [name for name in names if importlib.util.find_spec(name) is None]
        if missing:
            return Availability(False, f"not installed: {', '.join(missing)}", MEND)
        state = _usable()
        if not state.ok:
            return state
        # Kept engines need neither; but whether one is kept is not known here.
        state = onnx_precision.available()
        state = proven(state, "tensorrt", "CUDA", self._precision, "tensorrt")
        return self._export.available() if state.ok and self._export else state

    def key(self, model: Path, calibration: str) -> str:
        """An engine belongs to one GPU model, driver, TensorRT version, precision (INT8: calibration set), batch and network."""
        import tensorrt

        network = self._export.key(model) if self._export else fingerprint(model)
        gpu, driver = nvidia.identity(self._device_id)
        precision = f"int8.{digest(calibration)}" if self._precision == "int8" else self._precision
        parts = ("tensorrt", tensorrt.__version__, gpu, driver, precision, f"b{self._batch}", network)
        return "-".join(re.sub(r"[^A-Za-z0-9._]+", "_", str(part)) for part in parts)

    def prepare(self, folder: Path, model: Path, calibration: Calibration) -> None:
        """Export, lower the precision and build, whatever of these is not there yet. Minutes the first time."""
        plan = folder / PLAN
        if plan.is_file():
            return
        typed = self._typed(self._export.write(model, folder) if self._export else model, folder, calibration)
        built = self._build(typed)
        with atomic_path(plan) as temporary:
            temporary.write_bytes(built)

    def lowered(self, folder: Path, model: Path, calibration: Calibration) -> Iterator[LoweredNetwork]:
        """Compared with the ONNX file that the engine was built from, before its precision was lowered."""
        if self._precision == "fp32":
            return
        source = self._export.write(model, folder) if self._export else model
        yield LoweredNetwork(
            folder=folder,
            name=model.name,
            precision=self._precision,
            packages=("tensorrt",),
            identity=lambda: fingerprint(folder / PLAN),
            inputs=lambda: feeds(source, calibration),
            answers=partial(self._answers, model, folder),
            reference=partial(answers_in_fp32, source),
            where=f"cuda{self._device_id}",
        )

    def _answers(self, model: Path, folder: Path, given: Sequence[Feed]) -> Iterator[Tensors]:
        self.load(model, derived=folder)
        yield from numbered(self.infer(next(iter(feed.values()))) for feed in given)
        self.close()

    def load(self, model: Path, **files: Path) -> None:
        """``derived``: the folder that `prepare` built into."""
        import tensorrt as trt

        from reelbench.engines.cuda_memory import DeviceBuffers

        runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        self._engine = runtime.deserialize_cuda_engine((files["derived"] / PLAN).read_bytes())
        if self._engine is None:
            raise AnalyzerError(f"TensorRT {trt.__version__} cannot read the engine it built for {model.name}")
        self._context = self._engine.create_execution_context()
        self._device = DeviceBuffers(self._device_id)
        for index in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(index)
            shape = tuple(self._engine.get_tensor_shape(name))
            if any(side < 0 for side in shape):
                raise AnalyzerError(f"tensor {name} of {model.name} has no fixed shape: {shape}")
            kind = np.dtype(trt.nptype(self._engine.get_tensor_dtype(name)))
            output = self._engine.get_tensor_mode(name) == trt.TensorIOMode.OUTPUT
            self._context.set_tensor_address(name, self._device.add(name, shape, kind, output))

    def infer(self, batch: NDArray[Any]) -> Tensors:
        count = len(batch)
        if count > self._batch:
            raise AnalyzerError(f"this engine takes {self._batch} items a batch and was given {count}")
        self._device.upload(onnx_precision.fill(batch, self._batch))
        if not self._context.execute_async_v3(stream_handle=self._device.stream):
            raise AnalyzerError(f"TensorRT failed on a batch of shape {batch.shape}")
        return {name: array[:count] for name, array in self._device.download().items()}

    def infer_many(self, batches: Iterable[NDArray[Any]]) -> Iterator[Tensors]:
        for batch in batches:
            yield self.infer(batch)

    def evidence(self) -> Evidence:
        """Layer types as TensorRT's engine inspector reports them for the engine that ran."""
        import tensorrt as trt

        inspector = self._engine.create_engine_inspector()
        inspector.execution_context = self._context
        report = inspector.get_engine_information(trt.LayerInformationFormat.JSON)
        precision = main_precision(report)
        gpu, driver = nvidia.identity(self._device_id)
        return Evidence(
            engine="tensorrt",
            device=f"CUDA:{self._device_id}",
            precision=precision,
            version=str(trt.__version__),
            batch=self._batch,
            contradiction=""
            if precision == self._precision
            else f"asked for {self._precision}, most layers are {precision}",
            details={"gpu": gpu, "driver": driver, "layers": layer_types(report)},
        )

    def close(self) -> None:
        if self._device is not None:
            self._device.close()
        self._context = self._engine = self._device = None

    def _typed(self, source: Path, folder: Path, calibration: Calibration) -> Path:
        if self._precision == "fp32":
            return source
        target = folder / f"model.{self._precision}.onnx"
        if target.is_file():
            return target
        if self._precision == "fp16":
            onnx_precision.to_fp16(source, target)
        else:
            onnx_precision.to_int8(source, target, calibration())
        return target

    def _build(self, source: Path) -> bytes:
        import tensorrt as trt

        logger = trt.Logger(trt.Logger.ERROR)
        builder = trt.Builder(logger)
        network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = trt.OnnxParser(network, logger)
        if not parser.parse_from_file(str(source)):
            said = "; ".join(str(parser.get_error(index)) for index in range(parser.num_errors))
            raise AnalyzerError(f"TensorRT cannot parse {source.name}: {said}")
        config = builder.create_builder_config()
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, self._workspace)
        # Without it the inspector says nothing about precisions.
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        # Otherwise 'fp32' would silently be TF32.
        config.clear_flag(trt.BuilderFlag.TF32)
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            raise AnalyzerError(f"TensorRT could not build an engine from {source.name}")
        return bytes(plan)


def _usable() -> Availability:
    """Whether TensorRT can be imported here and is of a version that this module is written for."""
    try:
        import tensorrt
    except (ImportError, OSError) as error:
        return Availability(False, f"TensorRT is installed but cannot be loaded: {error}", MEND)
    if int(str(tensorrt.__version__).split(".")[0]) < 10:
        return Availability(False, f"TensorRT {tensorrt.__version__} is too old, 10 or newer is wanted", MEND)
    return Availability(True)
