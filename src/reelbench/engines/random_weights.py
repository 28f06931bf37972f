"""Networks at their full size with seeded random weights, for where the published ones cannot be had: good for speed and memory.

`reelbench.engines.architectures` has one module for each; OpenVINO converts what PyTorch builds, once, and the graph is kept."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reelbench.engines.base import Availability
from reelbench.errors import ConfigError
from reelbench.paths import atomic_path

RANDOM = "random"
"""Stands where a catalog entry would, and asks for random weights."""
REASON = "not measured: random weights"
"""Why results of such a network must not be scored."""
_PACKAGE = "reelbench.engines.architectures"


def available() -> Availability:
    """Whether PyTorch and transformers are here, which build the networks. Looks only."""
    missing = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
    if missing:
        return Availability(
            False, f"random weights: not installed: {', '.join(missing)}", 'pip install "reelbench[vlm]"'
        )
    return Availability(True)


def key(architecture: str, seed: int = 0) -> str:
    """Names the folder of the converted network. ConfigError for an architecture that does not exist."""
    if not architecture.isidentifier() or importlib.util.find_spec(f"{_PACKAGE}.{architecture}") is None:
        raise ConfigError(f"analyzer.architecture is '{architecture}'", f"give a module of {_PACKAGE}")
    return f"{architecture}-random{seed}-openvino{importlib.metadata.version('openvino')}"


def graph(folder: Path) -> Path:
    """The network in the folder that `prepare` filled."""
    return folder / "network.xml"


def prepare(folder: Path, architecture: str, seed: int = 0) -> None:
    """Build and convert what is not there yet; equal for equal architecture and seed."""
    target = graph(folder)
    if target.is_file():
        return
    import openvino as ov
    import torch

    module = importlib.import_module(f"{_PACKAGE}.{architecture}")

    # Without PyTorch installed its types are unknown.
    class Named(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = module.network()

        def forward(self, *given: torch.Tensor) -> dict[str, torch.Tensor]:
            answer: dict[str, torch.Tensor] = module.forward(self.network, *given)
            return answer

    with torch.random.fork_rng(devices=[]), _quiet():
        torch.manual_seed(seed)
        example = module.example()
        converted = ov.convert_model(Named().eval(), example_input=example)
    # The order of PyTorch's inputs is the order of the example; their sizes are those of the published file.
    converted.reshape({number: list(tensor.shape) for number, tensor in enumerate(example)})
    with atomic_path(target) as xml_part, atomic_path(target.with_suffix(".bin")) as bin_part:
        ov.serialize(converted, str(xml_part), str(bin_part))


@contextmanager
def _quiet() -> Iterator[None]:
    """What tracing and transformers say of their own insides is nothing that a user can act on."""
    import transformers  # noqa: F401 - its first import sets the level of its logger

    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
