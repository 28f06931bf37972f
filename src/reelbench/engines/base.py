"""The small protocol of every engine: load a network, infer a batch, say what really executed.

An engine is one module with one class that Hydra's ``_target_`` names; no list is edited. Heavy packages are imported inside
methods, so that importing the module costs nothing and works where the package is absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What executed, read back from the engine after it ran, never what was asked for.

    ``precision`` is that of most of the arithmetic ('fp32', 'fp16', 'bf16', 'int8'); ``device`` is 'CPU', 'CUDA:0' …;
    ``details`` holds what the engine itself reports (executed precisions per layer kind, providers, inspector output).
    ``contradiction`` says in words where the evidence contradicts the request; empty where it does not. Whether any of it is true,
    and was verified on this machine, is not the engine's to say: the parent checks it (`reelbench.bench.evidence_check`).
    """

    engine: str
    device: str
    precision: str
    version: str
    batch: int = 1
    contradiction: str = ""
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether something can run on this machine, and if not: why, and the command that would mend it."""

    ok: bool
    reason: str = ""
    mend: str = ""


class Engine(Protocol):
    """What executes a network. One instance is used by one worker process, from one thread."""

    def available(self) -> Availability:
        """Look only: packages, drivers, hardware. Cheap, without side effects, never raises."""
        ...

    def load(self, model: Path, **files: Path) -> None:
        """Read (or build and cache) the network and make it ready to infer. Raises UnavailableError or AnalyzerError."""
        ...

    def infer(self, batch: NDArray[Any]) -> Tensors:
        """One batch, N×…, to named outputs, each with N as its first axis. Blocks until the answer is there."""
        ...

    def infer_many(self, batches: Iterable[NDArray[Any]]) -> Iterator[Tensors]:
        """As ``infer`` for a stream of batches, answers in order; an asynchronous engine works ahead."""
        ...

    def evidence(self) -> Evidence:
        """What the loaded network executes as. Only valid after the first ``infer``."""
        ...

    def close(self) -> None: ...
