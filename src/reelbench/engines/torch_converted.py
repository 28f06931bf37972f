"""Networks of `engines.architectures` as OpenVINO graphs: PyTorch builds and fills one, OpenVINO converts it once, the graph is kept.

Only that first time needs PyTorch's memory; what runs afterwards is OpenVINO alone."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reelbench.engines.base import Availability
from reelbench.engines.fingerprint import fingerprint
from reelbench.engines.torch_file import read_tensors
from reelbench.errors import ConfigError, WeightsError
from reelbench.paths import atomic_path

_PACKAGE = "reelbench.engines.architectures"
_BUILDERS = ("torch", "transformers")


def available(what: str) -> Availability:
    """Whether PyTorch and transformers are here, which build ``what``. Looks only."""
    missing = [name for name in _BUILDERS if importlib.util.find_spec(name) is None]
    if missing:
        return Availability(False, f"{what}: not installed: {', '.join(missing)}", 'pip install "reelbench[vlm]"')
    return Availability(True)


def known(architecture: str) -> str:
    """The same name. ConfigError for an architecture that does not exist."""
    if not architecture.isidentifier() or importlib.util.find_spec(f"{_PACKAGE}.{architecture}") is None:
        raise ConfigError(f"analyzer.architecture is '{architecture}'", f"give a module of {_PACKAGE}")
    return architecture


def key(architecture: str, weights: Path) -> str:
    """Names the folder of the network that was converted from the file ``weights``, by these versions of what converts it."""
    versions = [f"{name}{importlib.metadata.version(name)}" for name in ("openvino", *_BUILDERS)]
    return "-".join([known(architecture), fingerprint(weights), *versions])


def graph(folder: Path) -> Path:
    """The network in a folder that was filled."""
    return folder / "network.xml"


def prepare(folder: Path, architecture: str, weights: Path) -> None:
    """Convert the network with the tensors of the PyTorch file ``weights``, where that was not done yet. WeightsError for a file
    that is not of this architecture."""
    if not graph(folder).is_file():
        convert(graph(folder), architecture, fill=lambda network, module: _fill(network, module, weights))


def convert(
    target: Path, architecture: str, seed: int = 0, fill: Callable[[Any, Any], None] = lambda network, module: None
) -> None:
    """Build, ``fill(network, module)`` and write. Without ``fill`` it has random weights, equal for equal architecture and seed."""
    import openvino as ov
    import torch

    module = importlib.import_module(f"{_PACKAGE}.{known(architecture)}")

    # Without PyTorch installed its types are unknown.
    class Named(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = module.network()
            fill(self.network, module)

        def forward(self, *given: torch.Tensor) -> dict[str, torch.Tensor]:
            answer: dict[str, torch.Tensor] = module.forward(self.network, *given)
            return answer

    with torch.random.fork_rng(devices=[]), _quiet():
        torch.manual_seed(seed)
        example = module.example()
        converted = ov.convert_model(Named().eval(), example_input=example)
    # The order of PyTorch's inputs is the order of the example; their sizes are those of the published file.
    shapes = module.shapes() if hasattr(module, "shapes") else [list(tensor.shape) for tensor in example]
    converted.reshape(dict(enumerate(shapes)))
    with atomic_path(target) as xml_part, atomic_path(target.with_suffix(".bin")) as bin_part:
        ov.serialize(converted, str(xml_part), str(bin_part))


def _fill(network: Any, module: Any, weights: Path) -> None:
    import torch

    wanted = network.state_dict()
    renamed = getattr(module, "renamed", lambda name: name)
    given = {name: one for old, one in read_tensors(weights).items() if (name := renamed(old)) is not None}
    wrong = {
        "missing": wanted.keys() - given.keys(),
        "left over": given.keys() - wanted.keys(),
        "of another shape": {name for name in wanted.keys() & given.keys() if wanted[name].shape != given[name].shape},
    }
    if any(wrong.values()):
        told = "; ".join(f"{what}: {_some(names)}" for what, names in wrong.items() if names)
        raise WeightsError(f"{weights.name} does not fit {module.__name__.rpartition('.')[2]}: {told}")
    network.load_state_dict({name: torch.from_numpy(one) for name, one in given.items()})


def _some(names: Iterable[str]) -> str:
    first, *others = sorted(names)
    return f"{first} and {len(others)} more" if others else first


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
