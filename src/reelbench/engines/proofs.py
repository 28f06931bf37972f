"""What ``reelbench doctor`` proved of the engines on this machine, kept for later commands.

    <user state folder>/reelbench/doctor/<machine>.json

``machine`` is `reelbench.machine.arithmetic`. A proof counts for the version of the engine's library with which it was made. What was
never checked is neither verified nor refused; what failed is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from reelbench.engines.base import Availability
from reelbench.machine import arithmetic
from reelbench.paths import write_text

SCHEMA_VERSION = 1
_disregarded = False
MEND = "after a change of driver, library or machine run 'reelbench doctor' again"


@dataclass(frozen=True, slots=True)
class Proof:
    """One engine on one device in one precision, against FP32. ``date`` is ISO 8601; ``reason`` says what was wrong."""

    engine: str
    device: str
    precision: str
    version: str
    ok: bool
    date: str
    relative: float = 0.0
    cosine: float = 1.0
    networks: tuple[str, ...] = ()
    reason: str = ""

    def __str__(self) -> str:
        if self.ok:
            return f"parity {self.relative:.0e} on this machine, {self.date[:10]}"
        return f"failed parity on this machine, {self.date[:10]}: {self.reason}"


def proofs_file() -> Path:
    """Where the proofs of this machine lie."""
    import platformdirs

    return Path(platformdirs.user_state_dir("reelbench")) / "doctor" / f"{_machine()}.json"


def keep(found: Iterable[Proof], machine: str) -> Path:
    """Store what was proved now; other engines keep their earlier proofs. ``machine`` is the fingerprint of runs, kept beside it."""
    path = proofs_file()
    known = {_key(proof): proof for proof in stored()} | {_key(proof): proof for proof in found}
    document = {
        "schema_version": SCHEMA_VERSION,
        "fingerprint": machine,
        "arithmetic": _machine(),
        "proofs": [asdict(proof) for proof in known.values()],
    }
    write_text(path, json.dumps(document, indent=1))
    return path


def disregard() -> None:
    """Nothing is refused by this process for what failed before: it is about to look again."""
    global _disregarded
    _disregarded = True


def stored() -> list[Proof]:
    """The proofs of this machine. A file that cannot be read proves nothing."""
    try:
        document = json.loads(proofs_file().read_text(encoding="utf-8"))
        if document["schema_version"] != SCHEMA_VERSION or document["arithmetic"] != _machine():
            return []
        return [Proof(**{**one, "networks": tuple(one["networks"])}) for one in document["proofs"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def proof_of(engine: str, device: str, precision: str, version: str) -> Proof | None:
    """The proof of exactly this, if it was ever checked here. Every CUDA device of a machine counts as the first."""
    wanted = (engine, _kind(device), precision)
    for proof in stored():
        same = (proof.engine, _kind(proof.device), proof.precision) == wanted
        if same and same_version(proof.version, version):
            return proof
    return None


def refused(engine: str, device: str, precision: str, version: str) -> Availability | None:
    """Why this must not be used here; None where nothing speaks against it."""
    proof = proof_of(engine, device, precision, version)
    if proof is None or proof.ok or _disregarded:
        return None
    return Availability(False, f"{engine} {version} in {precision} on {device} {proof}", MEND)


def proven(state: Availability, engine: str, device: str, precision: str, *packages: str) -> Availability:
    """``state``, unless it is well and what is asked for failed its proof with the installed version. ``packages`` are the
    distributions that may bring the engine's library (onnxruntime, onnxruntime-gpu)."""
    installed = installed_version(*packages) if state.ok else ""
    return (refused(engine, device, precision, installed) if installed else None) or state


def installed_version(*packages: str) -> str:
    """That of the first of these distributions that is installed; empty where none is."""
    from importlib.metadata import PackageNotFoundError, version

    for package in packages:
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return ""


def same_version(one: str, other: str) -> bool:
    """Whether both name the same version of a library. A module may leave out the wheel's own number (OpenCV: 5.0.0 of 5.0.0.93), its
    distribution the build (PyTorch: 2.11.0 of 2.11.0+cu130); two builds, or two wheels, are two versions."""
    shorter, longer = sorted((one, other), key=len)
    wheel = shorter.count(".") >= 2 and longer.startswith(f"{shorter}.")
    return bool(shorter) and (longer == shorter or wheel or longer.startswith(f"{shorter}+"))


def _key(proof: Proof) -> tuple[Any, ...]:
    return proof.engine, proof.device, proof.precision


def _kind(device: str) -> str:
    return "CUDA" if device.upper().startswith("CUDA") else device


@cache
def _machine() -> str:
    return arithmetic()
