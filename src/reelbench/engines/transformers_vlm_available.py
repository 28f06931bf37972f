"""What a vision-language network in PyTorch needs before it can run here."""

from __future__ import annotations

import importlib.util
import shutil
from importlib.metadata import version

from packaging.version import Version

from reelbench.engines.base import Availability
from reelbench.engines.nvidia import gpu
from reelbench.engines.proofs import proven
from reelbench.engines.transformers_vlm_load import QUANTIZED, Form

MEND = 'pip install "reelbench[vlm]"'
OLDEST = "5.10"
"""Of transformers: the oldest release that benchmarks/gpu/matrix.py was run with."""


def available(form: Form, compiled: bool, frames: bool = True) -> Availability:
    """Looks for packages, GPU and compiler only. ``frames``: whether transformers' own video processor is to be used, which needs
    torchvision."""
    wanted = ["torch", *(["torchvision"] if frames else []), "transformers"]
    wanted += ["accelerate", "bitsandbytes"] if form.precision in QUANTIZED else []
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if missing:
        return Availability(False, f"not installed: {', '.join(missing)}", MEND)
    if Version(version("transformers")) < Version(OLDEST):
        return Availability(False, f"transformers {version('transformers')} is older than {OLDEST}", MEND)
    cuda = form.device.startswith("cuda")
    flash = form.attention == "flash_attention_2"
    if flash and not cuda:
        return Availability(False, "FlashAttention 2 runs on CUDA devices only", "set analyzer.engine.device=cuda")
    if cuda and not gpu().ok:
        return gpu()
    if flash and importlib.util.find_spec("flash_attn") is None:
        return Availability(False, "not installed: flash-attn", "pip install flash-attn --no-build-isolation")
    if compiled and not cuda and shutil.which("g++") is None and shutil.which("clang++") is None:
        return Availability(False, "torch.compile needs a C++ compiler on a CPU", "install g++")
    return proven(Availability(True), "torch", form.device.upper(), form.precision, "torch")
