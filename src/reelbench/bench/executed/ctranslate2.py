"""CTranslate2: each live network, by its own report of what its weights were converted to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reelbench.bench.executed import Ran, live

ENGINE = "ctranslate2"
_TYPES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "int16": "int16"}


def ran(module: Any) -> Iterator[Ran]:
    holders = [getattr(module, name, None) for name in ("Translator", "Generator", "Encoder")]
    holders += [getattr(module.models, name) for name in dir(module.models)]
    kinds = [one for one in holders if isinstance(one, type) and hasattr(one, "compute_type")]
    for network in live(*kinds):
        kind = str(network.compute_type)
        device = str(network.device).upper()
        yield device if device == "CPU" else f"{device}:{network.device_index[0]}", _named(kind), 1


def _named(kind: str) -> str:
    """'int8_float32' is INT8 weights with FP32 between them."""
    return "int8" if kind.startswith("int8") else _TYPES.get(kind, kind)
