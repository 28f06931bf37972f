"""A Whisper network whose weights CTranslate2 lowers to INT8 or FP16 is compared with FP32 where it runs, once.

Compared is what the encoder makes of half a minute of noise: the weights are rounded when they are loaded, so that there is no
calibration set. The record is made again for another machine, network, device or version of CTranslate2.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reelbench.engines.fingerprint import fingerprint
from reelbench.engines.parity import Parity, ParityError, compare
from reelbench.machine import arithmetic
from reelbench.paths import write_text

SCHEMA_VERSION = 1
MEND = "use compute: float32 on this machine; 'reelbench doctor' shows what else it computes wrongly"


def key(model: Path) -> str:
    """Names the folder of the store that keeps the records of a network."""
    return f"parity-ctranslate2-{fingerprint(model)}"


def prove(folder: Path, model: Path, device: str, compute: str, precision: str) -> dict[str, Any]:
    """The stored record, or that of a new comparison. ``model`` is the .bin file. Raises ParityError where it is refused."""
    path = _file(folder, device, compute)
    record = _stored(path)
    if record is None:
        noise = np.random.default_rng(5).standard_normal((1, _bands(model), 3000), np.float32)
        expected = [{"0": encode(model.parent, "cpu", "float32", noise)}]
        parity = compare(precision, expected, [{"0": encode(model.parent, device, compute, noise)}])
        record = {
            "schema_version": SCHEMA_VERSION,
            **asdict(parity),
            "runtime": _runtime(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        if os.access(folder, os.W_OK):
            write_text(path, json.dumps(record, indent=1))
    found = Parity(record["precision"], record["relative"], record["cosine"], record["output"])
    if not found.ok:
        raise ParityError(f"in {compute} this network does not compute here what it does in FP32: {found}", MEND)
    return record


def encode(folder: Path, device: str, compute: str, sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the encoder of the network in ``folder`` makes of a spectrogram, 1×bands×3000."""
    import ctranslate2

    model = ctranslate2.models.Whisper(str(folder), device=device, compute_type=compute)
    return np.asarray(model.encode(ctranslate2.StorageView.from_array(sound), to_cpu=True), np.float32)


def _bands(model: Path) -> int:
    import ctranslate2

    return int(ctranslate2.models.Whisper(str(model.parent), compute_type="float32").n_mels)


def _stored(path: Path) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return record if record["schema_version"] == SCHEMA_VERSION and record["runtime"] == _runtime() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _file(folder: Path, device: str, compute: str) -> Path:
    return folder / f"parity-{compute}-{device}-{arithmetic()}.json"


def _runtime() -> str:
    return f"ctranslate2 {importlib.metadata.version('ctranslate2')}"
