"""The contract of one check of an engine, and the process that carries checks out.

    python -m reelbench.doctor.engine_check MODULE FILE FIRST

runs the checks of one module of `reelbench.doctor.engines`, from the FIRST on, and writes what came out as JSON into FILE. A
process of its own: a library that crashes takes only its own checks with it, and no library sees what another one has loaded.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib import import_module
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from reelbench.doctor.networks import REAL, SmallNetwork, small_networks
from reelbench.engines import lowered, nvidia, proofs
from reelbench.engines.base import Availability, Tensors
from reelbench.engines.lowered import numbered
from reelbench.engines.parity import Parity, compare
from reelbench.engines.proofs import Proof
from reelbench.errors import ReelBenchError, WeightsError
from reelbench.owners import temporary_folder

Status = Literal["ok", "failed", "error", "unavailable"]
"""'failed': the engine failed or gave other answers. 'error': the check itself did, which says nothing about the engine."""
Found = tuple[str, Parity]
"""A network's name, and how far its answers lay from those in FP32."""


@dataclass(frozen=True, slots=True)
class EngineCheck:
    """One engine on one device in one precision. ``run`` yields one comparison for each network; it raises ReelBenchError for what
    does not work at all. ``version`` is that of the engine's library, and is asked for only where it is available."""

    engine: str
    device: str
    precision: str
    available: Callable[[], Availability]
    version: Callable[[], str]
    run: Callable[[Material], Iterator[Found]]


@dataclass(slots=True)
class EngineResult:
    """What came of a check. ``reason`` and ``mend`` say what is missing or wrong."""

    engine: str
    device: str
    precision: str
    status: Status
    version: str = ""
    relative: float = 0.0
    cosine: float = 1.0
    networks: list[str] = field(default_factory=list)
    reason: str = ""
    mend: str = ""
    seconds: float = 0.0

    def proof(self) -> Proof | None:
        """What is kept of it; nothing where nothing ran."""
        if self.status not in ("ok", "failed"):
            return None
        return Proof(
            self.engine,
            self.device,
            self.precision,
            self.version,
            self.status == "ok",
            datetime.now(UTC).isoformat(timespec="seconds"),
            self.relative,
            self.cosine,
            tuple(self.networks),
            self.reason,
        )


@dataclass
class Material:
    """What checks are given: the known networks, a folder, the store's files, and the answers of the reference to each network."""

    folder: Path
    store: Path

    @cached_property
    def small(self) -> Sequence[tuple[SmallNetwork, Path]]:
        """The known networks, each with its ONNX file."""
        return [(one, one.write(self.folder / f"{one.name.replace(' ', '_')}.onnx")) for one in small_networks()]

    def file(self, artifact: str) -> Path | None:
        """A file of the model store, where it is there and has the catalog's size and hash."""
        from reelbench.models.store import ModelStore

        try:
            return ModelStore(self.store).path(artifact)
        except WeightsError:
            return None

    def real(self) -> Iterator[tuple[str, Path]]:
        """The published ONNX networks that the store has."""
        for artifact in REAL:
            if (path := self.file(artifact)) is not None:
                yield artifact, path

    def reference(self, model: Path, inputs: Sequence[NDArray[np.float32]]) -> list[Tensors]:
        """What ONNX Runtime answers on the CPU in FP32. Raises UnavailableError without it."""
        from reelbench.engines.onnx_runtime import OnnxRuntime

        engine = OnnxRuntime()
        engine.load(model)
        try:
            return [engine.infer(one) for one in inputs]
        finally:
            engine.close()


def pictures(shape: Sequence[int], count: int = 2) -> list[NDArray[np.float32]]:
    """Smooth random pictures between -1 and 1, 1×``shape`` with the channels first: always the same ones."""
    return [2 * one - 1 for one in lowered.pictures((1, *shape), count)]


def carry_out(check: EngineCheck, material: Material) -> EngineResult:
    """Run one check; what goes wrong is its result, never an exception."""
    result = EngineResult(check.engine, check.device, check.precision, "unavailable")
    started = perf_counter()
    try:
        gpu = nvidia.gpu() if check.device.startswith("CUDA") else Availability(True)
        state = check.available() if gpu.ok else Availability(False, f"no CUDA device: {gpu.reason}")
        if not state.ok:
            result.reason, result.mend = state.reason, state.mend
            return result
        result.version, result.status = check.version(), "failed"
        found = []
        for name, parity in check.run(material):
            result.networks.append(name)
            found.append((name, parity))
        if not found:
            result.status, result.reason = "unavailable", "no network that it can be checked with"
            return result
        result.relative = max((parity.relative for _, parity in found), key=lambda one: (one != one, one))
        result.cosine = min(parity.cosine for _, parity in found)
        bad = [f"{name}: {parity}" for name, parity in found if not parity.ok]
        result.status, result.reason = ("failed", "; ".join(bad)) if bad else ("ok", "")
    except ReelBenchError as error:
        result.reason, result.mend = error.message, error.hint
    except Exception as error:  # noqa: BLE001 - whatever a library raises is what is wrong with it here
        result.status = "error"
        result.reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    finally:
        result.seconds = perf_counter() - started
    return result


def engine_parity(
    engine: Any,
    material: Material,
    model: Path,
    inputs: Sequence[NDArray[Any]],
    expected: Sequence[Tensors],
    precision: str,
) -> Parity:
    """Load ``model`` with one of our engines, infer, and compare by the order of outputs; engines name them differently."""
    folder = material.folder / f"{type(engine).__name__}-{precision}-{model.stem}"
    folder.mkdir()
    if hasattr(engine, "prepare"):
        engine.prepare(folder, model, lambda: list(inputs))
    engine.load(model, derived=folder)
    try:
        return compare(precision, numbered(expected), numbered(engine.infer_many(inputs)))
    finally:
        engine.close()


def main(module: str, target: Path, first: int) -> None:
    """Carry out the checks of one module; the file grows with each, so that a crash leaves those before it."""
    from reelbench.paths import store_dir, write_text
    from reelbench.processes import die_with_parent

    die_with_parent()
    proofs.disregard()
    results: list[dict[str, Any]] = []
    with temporary_folder("reelbench-doctor-") as folder:
        for check in islice(import_module(module).checks(), first, None):
            inside = folder / str(len(results))
            inside.mkdir()
            results.append(asdict(carry_out(check, Material(inside, store_dir()))))
            write_text(target, json.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
