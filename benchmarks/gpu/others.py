"""What else runs on a GPU where its packages are there: YOLO by Ultralytics, RapidOCR's recogniser by ONNX Runtime."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from roofline import middle, timed_s

from reelbench.errors import ReelBenchError

RECOGNISER = "rapidocr/PP-OCRv6_rec_small.onnx"
WARM = 5


def yolo(device: str, rounds: int) -> dict[str, Any]:
    """YOLO11n with random weights at 640×640, batch 1: FP32, FP16, torch.compile, CUDA graph. Refused without Ultralytics."""
    if importlib.util.find_spec("ultralytics") is None:
        return {"refused": "not installed: ultralytics. Another detector would say nothing about this one"}
    from reelbench.engines.ultralytics import open_yolo

    try:
        network = open_yolo(Path("yolo11n.yaml"), 0).model.fuse(verbose=False).eval().requires_grad_(False).to(device)
    except ReelBenchError as error:
        return {"refused": str(error)}
    picture = torch.rand(1, 3, 640, 640, device=device)
    calls: dict[str, Callable[[], Any]] = {"fp32": lambda: network(picture)}
    found: dict[str, Any] = {}
    if device.startswith("cuda"):
        from copy import deepcopy

        half = deepcopy(network).half()
        calls["fp16"] = lambda: half(picture.half())
        calls["fp16_cuda_graph"] = _graph(half, picture.half())
        compiled = torch.compile(half)
        calls["fp16_compiled"] = lambda: compiled(picture.half())
    else:
        found |= {name: {"refused": "needs a CUDA device"} for name in ("fp16", "fp16_cuda_graph", "fp16_compiled")}
    with torch.inference_mode():
        return found | _interleaved(calls, device, rounds)


def recogniser(device: str, rounds: int, store: Path | None) -> dict[str, Any]:
    """ONNX Runtime's providers, and RapidOCR's recogniser (six lines of 48×320) on the CPU and by CUDA, no node elsewhere."""
    if importlib.util.find_spec("onnxruntime") is None:
        return {"refused": "not installed: onnxruntime"}
    import onnxruntime

    found: dict[str, Any] = {"version": onnxruntime.__version__, "providers": onnxruntime.get_available_providers()}
    model = None if store is None else store / RECOGNISER
    if model is None or not model.is_file():
        return found | {"refused": f"no {RECOGNISER} in the folder that --store names"}
    lines = np.random.default_rng(0).random((6, 3, 48, 320), dtype=np.float32)
    calls: dict[str, Callable[[], Any]] = {}
    for name, provider in (("cpu", "CPUExecutionProvider"), ("cuda", "CUDAExecutionProvider")):
        options = onnxruntime.SessionOptions()
        if name == "cuda":
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        if provider not in found["providers"]:
            found[name] = {"refused": f"this ONNX Runtime has no {provider}"}
            continue
        try:
            session = onnxruntime.InferenceSession(str(model), options, providers=[provider])
        except Exception as error:  # noqa: BLE001  ONNX Runtime's errors share no public root
            found[name] = {"refused": " ".join(str(error).split())[:300]}
            continue
        if provider not in session.get_providers():
            found[name] = {"refused": f"ONNX Runtime made the session without {provider}"}
            continue
        key = session.get_inputs()[0].name
        calls[name] = lambda session=session, key=key: session.run(None, {key: lines})
    # A session answers when it is done, so the clock is right on both.
    return found | _interleaved(calls, "cpu", rounds)


def _graph(network: Any, picture: Any) -> Callable[[], Any]:
    """The network's kernels recorded once and replayed."""
    with torch.inference_mode():
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                network(picture)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            network(picture)
    return graph.replay


def _interleaved(calls: dict[str, Callable[[], Any]], device: str, rounds: int) -> dict[str, Any]:
    """Milliseconds of a call of each, in shuffled rounds."""
    for call in calls.values():
        for _ in range(WARM):
            call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    shuffle = random.Random(0)
    for _ in range(rounds):
        for name in shuffle.sample(list(calls), len(calls)):
            seconds[name].append(timed_s(calls[name], device))
    return {name: {"ms": middle([1e3 * value for value in found])} for name, found in seconds.items()}
