"""ONNX Runtime: the convolutions and matrix products that the files of the live sessions state. It tells of a session what it was
given; what each kernel ran in only a profile says, and that would slow down what is measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reelbench.bench.executed import Ran, live
from reelbench.engines import onnx_graph
from reelbench.errors import AnalyzerError

ENGINE = "onnx_runtime"


def ran(module: Any) -> Iterator[Ran]:
    for session in live(module.InferenceSession):
        path = getattr(session, "_model_path", None)
        if not path or not Path(path).is_file():
            continue
        try:
            stated = onnx_graph.precisions(Path(path))
        except AnalyzerError:  # another form of file
            continue
        gpu = session.get_providers()[0] in ("CUDAExecutionProvider", "TensorrtExecutionProvider")
        options = session.get_provider_options()[session.get_providers()[0]]
        merged = session.get_session_options().graph_optimization_level != module.GraphOptimizationLevel.ORT_DISABLE_ALL
        for kind, count in stated.items():
            if kind == "int8" and not merged:
                kind = "fp32"  # rounding and arithmetic stay apart
            if not gpu and kind in ("fp16", "bf16"):
                continue  # on most processors it computes these in FP32, on some it does not
            yield f"CUDA:{options.get('device_id', 0)}" if gpu else "CPU", kind, count
