"""Networks of lowered precision, compared with FP32 where they run: once a machine, network and version of the libraries.

One protocol for every engine. Whoever may compute in less than FP32 gives a `LoweredNetwork` for each such network: what it answers
on stored inputs as it is about to run, and what it answers in FP32. `prove` compares them when a variant is prepared. Beside the
network in the model store lie the inputs and what came out:

    parity_inputs.npz
    parity-<precision>[-<where>]-<machine>.json    ``machine`` is `reelbench.machine.arithmetic`

A network that does not agree is refused, unless a remedy of its engine makes it agree.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from reelbench.engines.base import Tensors
from reelbench.engines.capabilities import Calibration
from reelbench.engines.parity import Parity, ParityError, compare
from reelbench.errors import AnalyzerError
from reelbench.machine import arithmetic
from reelbench.paths import atomic_path, write_text

Feed = Mapping[str, NDArray[Any]]
"""One inference's inputs by name, in the order of the network's own."""
Answers = Callable[[Sequence[Feed]], Iterable[Tensors]]
"""What a network answers to some inputs, in their order. It loads the network, and lets it go."""
SCHEMA_VERSION = 2
INPUTS = "parity_inputs.npz"
MOST = 8
MEND = "use a variant in FP32 on this machine; 'reelbench doctor' shows what else it computes wrongly"


class NotComparedError(AnalyzerError):
    """A network cannot be computed in FP32 on this machine, so that nothing is known of its lowered precision."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """Another way to make the network. ``keep`` puts it in the place of the first."""

    name: str
    answers: Answers
    keep: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweredNetwork:
    """One network in less than FP32, and how it is asked.

    ``name`` is what a user knows it by. ``packages``: the distributions whose code computes it. ``identity`` names what is executed, as
    it is now. ``inputs`` is asked where none are stored in ``folder``; ``reference`` answers in FP32, ``answers`` as it will run.
    ``where``: the device, where it is not this processor. All raise AnalyzerError, ``reference`` also NotComparedError.
    """

    folder: Path
    name: str
    precision: str
    packages: Sequence[str]
    identity: Callable[[], str]
    inputs: Callable[[], Iterable[Feed]]
    answers: Answers
    reference: Answers
    remedies: Callable[[], Iterable[Remedy]] = tuple
    where: str = ""

    @property
    def record(self) -> Path:
        where = f"-{self.where.replace(':', '')}" if self.where else ""
        return self.folder / f"parity-{self.precision}{where}-{arithmetic()}.json"


@runtime_checkable
class MayLower(Protocol):
    """An engine that can compute in less than FP32; whoever uses one asks with isinstance, and no list is edited."""

    def lowered(self, folder: Path, model: Path, calibration: Calibration) -> Iterable[LoweredNetwork]:
        """The networks that it would compute in less than FP32; none where it computes in FP32. ``folder`` is that of `Prepares`, or
        one for the records alone. Cheap: networks are read only where `prove` asks."""
        ...


def prove(network: LoweredNetwork) -> dict[str, Any]:
    """The stored record of the comparison, or that of a new one. Raises ParityError where the network is refused."""
    record = stored(network)
    if record is None:
        record = _compared(network)
        if os.access(network.folder, os.W_OK):
            write_text(network.record, json.dumps(record, indent=1))
    if record["ok"] is False:
        raise ParityError(refusal(record), MEND)
    return record


def stored(network: LoweredNetwork) -> dict[str, Any] | None:
    """The record that was made on this machine of this very network with these versions; None where there is none."""
    record = _read(network.record)
    return record if record is not None and record["identity"] == network.identity() else None


def said(record: Mapping[str, Any]) -> dict[str, Any]:
    """What evidence repeats of a record."""
    return {
        name: value for name, value in record.items() if name not in ("schema_version", "identity", "tried", "output")
    }


def refusal(record: Mapping[str, Any]) -> str:
    """Why a network is refused, with figures and tolerances, in one line."""
    parity = Parity(record["precision"], record["relative"], record["cosine"], record["output"])
    tried = f"; {' and '.join(record['tried'])} did not help" if record["tried"] else ""
    versions = ", ".join(f"{name} {one}" for name, one in record["packages"].items())
    return f"{record['network']} in {record['precision']} ({versions}) does not compute here what it does in FP32: {parity}{tried}"


def refused_networks(derived: Path) -> list[str]:
    """Networks that failed their comparison on this machine, by name."""
    found = (_read(path) for path in sorted(derived.glob(f"*/parity-*-{arithmetic()}.json")))
    return [str(record["network"]) for record in found if record is not None and record["ok"] is False]


def pictures(shape: Sequence[int], count: int = 4) -> list[NDArray[np.float32]]:
    """Smooth random pictures between 0 and 1 of N×channels×H×W, for networks of pictures that come without a calibration set."""
    dice = np.random.default_rng(3)
    batch, channels, high, wide = shape
    rows, columns = np.linspace(0, 8, high), np.linspace(0, 8, wide)
    found = []
    for _ in range(count):
        coarse = dice.uniform(0, 1, (batch, channels, 9, 9))
        below = np.minimum(rows.astype(int), 7), np.minimum(columns.astype(int), 7)
        down, right = (rows - below[0])[:, None], columns - below[1]
        corners = [coarse[..., below[0] + i, :][..., below[1] + j] for i in (0, 1) for j in (0, 1)]
        upper, lower = (one + (other - one) * right for one, other in (corners[:2], corners[2:]))
        found.append(np.ascontiguousarray(upper + (lower - upper) * down, np.float32))
    return found


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Those of the distributions that are installed."""
    found = {}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        same = record["schema_version"] == SCHEMA_VERSION and record["packages"] == versions(list(record["packages"]))
        return record if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _compared(network: LoweredNetwork) -> dict[str, Any]:
    record = {
        "schema_version": SCHEMA_VERSION,
        "network": network.name,
        "precision": network.precision,
        "packages": versions(network.packages),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    feeds = _inputs(network)
    try:
        expected = list(network.reference(feeds))
    except NotComparedError as error:
        return record | {"ok": None, "reason": error.message, "identity": network.identity()}
    parity = compare(network.precision, expected, network.answers(feeds))
    tried: list[str] = []
    remedy = ""
    for one in () if parity.ok else network.remedies():
        again = compare(network.precision, expected, one.answers(feeds))
        tried.append(one.name)
        if again.ok:
            one.keep()
            parity, remedy = again, one.name
            break
    return record | {
        "ok": parity.ok,
        "relative": parity.relative,
        "cosine": parity.cosine,
        "output": parity.output,
        "remedy": remedy,
        "tried": [] if remedy else tried,
        "inputs": len(feeds),
        "identity": network.identity(),
    }


def _inputs(network: LoweredNetwork) -> list[Feed]:
    """The stored ones, or some of those that the network gives, spread over them; these are then stored."""
    kept = network.folder / INPUTS
    if kept.is_file():
        return _kept(kept)
    given = list(network.inputs())
    if not given:
        raise AnalyzerError(f"there is no input to compare {network.name} on", "give analyzer.calibration some images")
    taken = [given[at] for at in dict.fromkeys(np.linspace(0, len(given) - 1, MOST).round().astype(int).tolist())]
    if os.access(network.folder, os.W_OK):
        with atomic_path(kept) as temporary, temporary.open("wb") as file:
            named = {f"{at}:{name}": values for at, feed in enumerate(taken) for name, values in feed.items()}
            np.savez_compressed(file, **named)
    return taken


def _kept(path: Path) -> list[Feed]:
    try:
        with np.load(path) as archive:
            whole: dict[int, dict[str, NDArray[Any]]] = {}
            for name in sorted(archive.files, key=lambda one: int(one.partition(":")[0])):
                at, _, tensor = name.partition(":")
                whole.setdefault(int(at), {})[tensor] = archive[name]
            return list(whole.values())
    except (OSError, ValueError) as error:
        raise AnalyzerError(f"{path} cannot be read: {error}", "delete it") from error


def numbered(answers: Iterable[Mapping[str, NDArray[Any]]]) -> Iterator[Tensors]:
    """The same answers with their outputs numbered: engines name them differently."""
    for one in answers:
        yield {str(at): values for at, values in enumerate(one.values())}
