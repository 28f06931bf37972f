"""A network of lowered precision is compared with FP32 where it runs: once a machine, network and version of OpenVINO.

Beside the network in the model store lie the inputs (some of those that it was calibrated on) and what came out:

    parity_inputs.npz
    parity-<precision>-<machine>.json    ``machine`` is `reelbench.machine.arithmetic`

Where the answers are not those of FP32 the network is refused. Before that, convolutions of rarer kinds, for which libraries may
have faulty code on some processors, are given back to FP32 (`REMEDIES`), as long as most of the network stays as it was asked for.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reelbench.engines.base import Tensors
from reelbench.engines.fingerprint import fingerprint
from reelbench.engines.openvino_quantize import convolutions
from reelbench.engines.parity import Parity, ParityError, compare
from reelbench.errors import AnalyzerError
from reelbench.machine import arithmetic
from reelbench.paths import atomic_path, write_text

Feed = Mapping[str, NDArray[Any]]
"""One inference's inputs by name, in the order of the network's own."""
SCHEMA_VERSION = 1
INPUTS = "parity_inputs.npz"
MOST = 8
MEND = "use a variant in FP32 on this machine; 'reelbench doctor' shows what else it computes wrongly"
_HINTS = {"int8": "f32", "bf16": "bf16", "fp32": "f32"}


def _dilated(node: Any) -> bool:
    return any(step != 1 for step in node.get_attributes().get("dilations", ()))


def _three_dimensional(node: Any) -> bool:
    return len(node.get_output_partial_shape(0)) == 5


REMEDIES: Mapping[str, Callable[[Any], bool]] = {
    "dilated convolutions in FP32": _dilated,
    "three-dimensional convolutions in FP32": _three_dimensional,
}
"""Tried in this order before a network is refused."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is compared. ``reference`` gives the network in FP32, ``inputs`` what it was calibrated on; both are asked only where
    nothing is stored. ``requantize`` makes the network again with the named nodes left in FP32; None where that cannot be done."""

    folder: Path
    precision: str
    reference: Callable[[], Any]
    inputs: Callable[[], Iterable[Feed]]
    requantize: Callable[[Sequence[str]], Any] | None = None

    @property
    def network(self) -> Path:
        return self.folder / "network.xml"


def prove(subject: Subject) -> dict[str, Any]:
    """The stored record of the comparison, or that of a new one. Raises ParityError where the network is refused."""
    record = stored(subject.folder, subject.precision)
    if record is None:
        record = _compared(subject)
        if os.access(subject.folder, os.W_OK):
            write_text(_file(subject.folder, subject.precision), json.dumps(record, indent=1))
    if not record["ok"]:
        raise ParityError(refusal(record), MEND)
    return record


def stored(folder: Path, precision: str) -> dict[str, Any] | None:
    """The record that was made on this machine of this very network with this version of OpenVINO; None where there is none."""
    try:
        record: dict[str, Any] = json.loads(_file(folder, precision).read_text(encoding="utf-8"))
        same = record["schema_version"] == SCHEMA_VERSION and record["runtime"] == _runtime()
        return record if same and record["network"] == fingerprint(folder / "network.bin") else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def refusal(record: Mapping[str, Any]) -> str:
    """Why a network is refused, with both figures."""
    parity = Parity(record["precision"], record["relative"], record["cosine"], record["output"])
    tried = f"; {' and '.join(record['tried'])} did not help" if record["tried"] else ""
    return f"in {record['precision']} this network does not compute here what it does in FP32: {parity}{tried}"


def refused_networks(derived: Path) -> list[str]:
    """Folders whose network failed its comparison on this machine."""
    names = [(path.parent, path.name.split("-")[1]) for path in derived.glob(f"*/parity-*-{arithmetic()}.json")]
    return [folder.name for folder, precision in names if (found := stored(folder, precision)) and not found["ok"]]


def _compared(subject: Subject) -> dict[str, Any]:
    import openvino as ov

    feeds = _inputs(subject)
    reference = subject.reference()
    expected = list(answers(reference, "fp32", feeds))
    network = ov.Core().read_model(subject.network)
    parity = compare(subject.precision, expected, answers(network, subject.precision, feeds))
    tried: list[str] = []
    remedy = ""
    if not parity.ok and subject.requantize and subject.precision == "int8":
        for name, kept in _remedies(reference):
            made = subject.requantize(kept)
            again = compare(subject.precision, expected, answers(made, subject.precision, feeds))
            tried.append(name)
            if again.ok:
                save(made, subject.network)
                parity, remedy = again, name
                break
    return {
        "schema_version": SCHEMA_VERSION,
        "precision": subject.precision,
        "ok": parity.ok,
        "relative": parity.relative,
        "cosine": parity.cosine,
        "output": parity.output,
        "remedy": remedy,
        "tried": [] if remedy else tried,
        "inputs": len(feeds),
        "network": fingerprint(subject.folder / "network.bin"),
        "runtime": _runtime(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def save(model: Any, target: Path) -> None:
    """Write both files of a network. The last to be put in place is what tells another process that all is there: the .xml."""
    import openvino as ov

    with atomic_path(target) as xml_part, atomic_path(target.with_suffix(".bin")) as bin_part:
        ov.serialize(model, str(xml_part), str(bin_part))


def answers(model: Any, precision: str, feeds: Sequence[Feed]) -> Iterator[Tensors]:
    """What a network that was not compiled yet answers, compiled for this precision; outputs are numbered."""
    import openvino as ov

    model.reshape({model.input(name): list(values.shape) for name, values in feeds[0].items()})
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": _HINTS[precision]})
    for feed in feeds:
        found = compiled(dict(feed))
        yield {str(at): np.array(found[output]) for at, output in enumerate(compiled.outputs)}


def _remedies(reference: Any) -> Iterator[tuple[str, list[str]]]:
    """Each with the names of the convolutions that it leaves in FP32; only those that leave more than half as they were."""
    there = convolutions(reference)
    for name, is_kept in REMEDIES.items():
        kept = [node.get_friendly_name() for node in there if is_kept(node)]
        if kept and len(kept) * 2 < len(there):
            yield name, kept


def _inputs(subject: Subject) -> list[Feed]:
    """The stored ones, or some of those that the network was calibrated on, spread over them; these are then stored."""
    kept = subject.folder / INPUTS
    if kept.is_file():
        try:
            with np.load(kept) as archive:
                names = sorted(archive.files, key=lambda one: int(one.partition(":")[0]))
                whole: dict[int, dict[str, NDArray[Any]]] = {}
                for name in names:
                    at, _, tensor = name.partition(":")
                    whole.setdefault(int(at), {})[tensor] = archive[name]
                return list(whole.values())
        except (OSError, ValueError) as error:
            raise AnalyzerError(f"{kept} cannot be read: {error}", "delete it") from error
    given = list(subject.inputs())
    if not given:
        raise AnalyzerError("there is no input to compare the network on", "give analyzer.calibration some images")
    taken = [given[at] for at in dict.fromkeys(np.linspace(0, len(given) - 1, MOST).round().astype(int).tolist())]
    if os.access(subject.folder, os.W_OK):
        with atomic_path(kept) as temporary, temporary.open("wb") as file:
            named = {f"{at}:{name}": values for at, feed in enumerate(taken) for name, values in feed.items()}
            np.savez_compressed(file, **named)
    return taken


def _file(folder: Path, precision: str) -> Path:
    return folder / f"parity-{precision}-{arithmetic()}.json"


def _runtime() -> str:
    return f"openvino {importlib.metadata.version('openvino')}"
