"""Networks at their full size with seeded random weights, for where the published ones cannot be had: good for speed and memory.

`reelbench.engines.architectures` has one module for each; `engines.torch_converted` builds and converts them, once."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from reelbench.engines import torch_converted
from reelbench.engines.base import Availability
from reelbench.engines.torch_converted import graph

__all__ = ["RANDOM", "REASON", "available", "graph", "key", "prepare"]

RANDOM = "random"
"""Stands where a catalog entry would, and asks for random weights."""
REASON = "not measured: random weights"
"""Why results of such a network must not be scored."""


def available() -> Availability:
    """Whether PyTorch and transformers are here, which build the networks. Looks only."""
    return torch_converted.available("random weights")


def key(architecture: str, seed: int = 0) -> str:
    """Names the folder of the converted network. ConfigError for an architecture that does not exist."""
    return f"{torch_converted.known(architecture)}-random{seed}-openvino{importlib.metadata.version('openvino')}"


def prepare(folder: Path, architecture: str, seed: int = 0) -> None:
    """Build and convert what is not there yet; equal for equal architecture and seed."""
    if not graph(folder).is_file():
        torch_converted.convert(graph(folder), architecture, seed)
