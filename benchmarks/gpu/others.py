"""RapidOCR's recogniser by ONNX Runtime, on the CPU and by its CUDA provider, where its file is there."""

from __future__ import annotations

import importlib.util
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from part import PartArm
from timing import Way, compare_ms

from reelbench.errors import UnavailableError

PART = "recogniser"
RECOGNISER = "rapidocr/PP-OCRv6_rec_small.onnx"
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def arms(value: int, store: Path | None) -> list[PartArm]:
    """One arm for each provider."""
    return [
        PartArm(PART, name, value + at, partial(recogniser, provider, store))
        for at, (name, provider) in enumerate(PROVIDERS.items())
    ]


def recogniser(provider: str, store: Path | None, device: str, size: str, rounds: int) -> dict[str, Any]:
    """Six lines of 48×320 read by one provider, and no node by another."""
    if importlib.util.find_spec("onnxruntime") is None:
        raise UnavailableError("not installed: onnxruntime")
    import onnxruntime

    there = onnxruntime.get_available_providers()
    if provider not in there:
        raise UnavailableError(f"ONNX Runtime {onnxruntime.__version__} has no {provider}, only {', '.join(there)}")
    model = None if store is None else store / RECOGNISER
    if model is None or not model.is_file():
        raise UnavailableError(f"no {RECOGNISER} in the folder that --store names")
    options = onnxruntime.SessionOptions()
    if provider != "CPUExecutionProvider":
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    session = onnxruntime.InferenceSession(str(model), options, providers=[provider])
    used = session.get_providers()
    lines = np.random.default_rng(0).random((6, 3, 48, 320), dtype=np.float32)
    key = session.get_inputs()[0].name
    # A session answers when it is done, so the CPU's clock is right for both.
    took = compare_ms({"arm": Way(lambda: session.run(None, {key: lines}))}, "cpu", rounds)["arm"]
    return {
        "lines": len(lines),
        "ms": took,
        "evidence": {"version": onnxruntime.__version__, "providers": used},
        "wrong": "" if provider in used else f"ONNX Runtime made the session without {provider}",
    }
