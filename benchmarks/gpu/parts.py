"""All arms of the GPU benchmark but those of qwen2_vl_temporal."""

from __future__ import annotations

import sys
from pathlib import Path

import copies
import others
import quantized
from bring import BringError, put_on_path
from forward import Technique, arm
from networks import CLIP_TEXT, CLIP_VISION, DECODER, ENCODER, SEGFORMER, YOLO, Subject
from part import PartArm

FP32, TF32, FP16 = Technique("fp32"), Technique("tf32"), Technique("fp16")
LAST = Technique("fp16", channels_last=True)
GRAPH, GRAPH_LAST = Technique("fp16", "cuda graph"), Technique("fp16", "cuda graph", True)
COMPILED, COMPILED_LAST = Technique("fp16", "compiled"), Technique("fp16", "compiled", True)
BOTH = Technique("fp16", "compiled cuda graph")

Pass = tuple[tuple[Subject, Technique, tuple[int, ...]], ...]
QUICK: Pass = (
    *((YOLO, technique, (16, 1, 64)) for technique in (FP32, FP16, LAST, GRAPH)),
    (YOLO, TF32, (16,)),
    (YOLO, GRAPH_LAST, (1, 16)),
    *((ENCODER, technique, (1, 16)) for technique in (FP32, FP16)),
    (ENCODER, TF32, (16,)),
    *((DECODER, technique, (1, 16)) for technique in (FP32, FP16, GRAPH)),
    *((SEGFORMER, technique, (1, 16)) for technique in (FP32, FP16, GRAPH)),
    *((CLIP_VISION, technique, (1, 16, 64)) for technique in (FP32, FP16, GRAPH)),
    (CLIP_TEXT, FP32, (16,)),
    (CLIP_TEXT, FP16, (16,)),
)
SLOW: Pass = (
    (YOLO, COMPILED, (16, 1)),
    (ENCODER, COMPILED, (16,)),
    (SEGFORMER, COMPILED, (16,)),
    (CLIP_VISION, COMPILED, (16,)),
    (YOLO, COMPILED_LAST, (64,)),
    (YOLO, BOTH, (1,)),
    (SEGFORMER, COMPILED, (1,)),
    (ENCODER, COMPILED, (1,)),
)
"""Compiling takes the better part of a minute an arm, so these come after all others."""
REHEARSED: Pass = ((CLIP_VISION, COMPILED, (16,)),)
"""Compiled in a rehearsal: a network of many different layers takes minutes on a CPU."""


def all_arms(device: str, size: str, brought: Path | None, store: Path | None = None) -> list[PartArm]:
    """The arms in the order of their value. ``size``: 'full', or 'tiny' for a rehearsal on a CPU.

    ``brought`` is a folder that bring.py filled: its packages are put on the path; where that fails, the
    arms that need them say that they are missing. ``store`` is a model store, for OCR.
    """
    if brought is not None:
        try:
            put_on_path(brought)
        except (BringError, OSError) as error:
            print(f"nothing is used of what was brought: {error}", file=sys.stderr)
    whole = size == "full"
    found = _forward(QUICK, 0, whole) + copies.arms(500) + quantized.arms(600) + others.arms(700, store)
    return found + _forward(SLOW if whole else REHEARSED, 1000, whole)


def _forward(measured: Pass, value: int, whole: bool) -> list[PartArm]:
    """The arms of a pass. A rehearsal takes each once, with a batch of 2."""
    return [
        arm(subject, technique, batch, value + at)
        for at, (subject, technique, batches) in enumerate(measured)
        for batch in (batches if whole else (2,))
    ]
