"""Check in the parent what a worker reports about its execution: engine, device and precision.

Each of three statements ends up 'checked' or 'self-reported':

    library    the named engine's library is mapped into the worker's memory (/proc/<pid>/maps)
    device     this machine has the named device, and the worker opened its driver
    precision  the engine's own graph, read by the harness (`reelbench.bench.executed`), executes in it

What is found to be otherwise becomes the evidence's ``contradiction``. ``verified_on_hardware`` is true only where a stored proof of
``reelbench doctor`` covers engine, device, precision and version on this machine; where such a proof failed, the evidence contradicts.
Networks in less than FP32 bring the record of their comparison with FP32 (``parity``); where none was compared, ``uncompared`` says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reelbench.engines import nvidia
from reelbench.engines.proofs import Proof, proof_of

CHECKED, SELF_REPORTED = "checked", "self-reported"
_LIBRARIES = {
    "openvino": ("libopenvino",),
    "onnx_runtime": ("onnxruntime_pybind11_state", "libonnxruntime"),
    "onnx_runtime_tensorrt": ("libonnxruntime_providers_tensorrt",),
    "onnx_runtime_cuda": ("libonnxruntime_providers_cuda",),
    "opencv_dnn": ("/cv2/", "libopencv"),
    "opencv": ("/cv2/", "libopencv"),
    "ctranslate2": ("libctranslate2",),
    "tensorrt": ("libnvinfer",),
    "torch": ("libtorch",),
    "numpy": ("_multiarray_umath",),
}
"""Parts of the file names of each engine's native code. Others are looked for by their own name."""
_SAME = {"onnxruntime": "onnx_runtime", "ultralytics": "torch", "easyocr": "torch", "transformers": "torch"}
"""Engines that execute in another library."""
LOWERED = ("fp16", "bf16", "int8", "nf4", "int4")
"""Precisions below FP32 in which networks are computed."""
_NO_NETWORKS = ("opencv", "numpy")
"""Libraries that run no networks here: there is nothing that `reelbench doctor` could prove of them."""


def checked_evidence(evidence: Mapping[str, Any], pid: int) -> dict[str, Any]:
    """The worker's evidence with ``checks``, ``verified_on_hardware``, ``verified``, and what contradicts it.

    ``pid`` is the live worker's. What the harness in it found lies under ``executed``; a worker of an older version has none.
    """
    found = dict(evidence)
    executed, placed = found.pop("executed", None) or {}, found.pop("placed", None) or {}
    engines = engine_names(str(found.get("engine", "")))
    device, precision = str(found.get("device", "")), str(found.get("precision", ""))
    mapped = mapped_files(pid)
    answers = {
        "library": _library([*engines, *_providers(engines, device)], mapped),
        "device": _device(device, mapped),
        "precision": _precision(precision, engines, executed),
    }
    found["checks"] = {name: CHECKED if sure else SELF_REPORTED for name, (sure, _) in answers.items()}
    wrong = [text for _, text in answers.values() if text]
    wrong += [_elsewhere(device, engines, placed), *_parity(precision, found)]
    found["contradiction"] = "; ".join(dict.fromkeys(filter(None, [str(found.get("contradiction") or ""), *wrong])))
    found.pop("verified_on_hardware", None)  # workers of older versions say it of themselves
    networks = [one for one in engines if one in _LIBRARIES and one not in _NO_NETWORKS]
    if networks or not device.upper().startswith("CPU"):
        verified, failed = _verified(networks or engines, device, precision, found)
        found |= verified
        found["contradiction"] = "; ".join(filter(None, [found["contradiction"], failed]))
    return found


def engine_names(engine: str) -> list[str]:
    """The libraries that an engine's name stands for: 'rapidocr/openvino' executes in openvino, 'a + b' in both."""
    names = [part.strip().split("/")[-1].lower() for part in engine.split("+")]
    return [_SAME.get(name, name) for name in names if name]


def mapped_files(pid: int) -> Sequence[str] | None:
    """The files that a process has mapped into its memory, lower case; None where the system does not say."""
    try:
        text = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = {line.split(maxsplit=5)[5].lower() for line in text.splitlines() if line.count("/")}
    return sorted(found)


def _library(engines: Sequence[str], mapped: Sequence[str] | None) -> tuple[bool, str]:
    if mapped is None or not engines:
        return False, ""
    missing = [one for one in engines if not any(part in path for part in _parts(one) for path in mapped)]
    if not missing:
        return True, ""
    known = [one for one in missing if one in _LIBRARIES]
    if not known:
        # A package without native code leaves no trace in the memory maps.
        return False, ""
    return False, f"the evidence names {', '.join(known)}, but the worker has not loaded that library"


def _providers(engines: Sequence[str], device: str) -> list[str]:
    """Libraries of their own that ONNX Runtime computes in on a GPU."""
    return ["onnx_runtime_cuda"] if "onnx_runtime" in engines and device.upper().startswith("CUDA") else []


def _parts(engine: str) -> Sequence[str]:
    return _LIBRARIES.get(engine, (re.sub(r"[^a-z0-9]+", "_", engine),))


def _device(device: str, mapped: Sequence[str] | None) -> tuple[bool, str]:
    sure, wrong = bool(device), []
    for one in filter(None, (part.strip() for part in re.split(r"[,+]", device))):
        known, text = _one_device(one.upper(), mapped)
        sure = sure and known
        wrong += [text] if text else []
    return sure and not wrong, "; ".join(wrong)


def _one_device(device: str, mapped: Sequence[str] | None) -> tuple[bool, str]:
    kind, _, index = device.partition(":")
    if kind == "CPU":
        # A worker that has a GPU's memory mapped may well compute there.
        return mapped is not None and not any("/dev/nvidia" in path for path in mapped), ""
    if kind == "CUDA":
        count = nvidia.count()
        if (int(index) if index.isdigit() else 0) >= count:
            return False, f"the evidence names {device}, but this machine has {count or 'no'} usable NVIDIA GPU"
        if mapped is not None and not any("libcuda" in path for path in mapped):
            return False, f"the evidence names {device}, but the worker has not loaded the CUDA driver"
        return mapped is not None, ""
    if kind.split(".")[0] in ("GPU", "NPU", "XPU", "MPS", "ROCM") and (mapped is None or _has_device_files(mapped)):
        return False, ""
    return False, f"the evidence names the device {device}, which is not found on this machine"


def _elsewhere(device: str, engines: Sequence[str], placed: Mapping[str, Any]) -> str:
    """What contradicts where the live networks of all the engines lie on other devices; empty where the harness did not see them."""
    there = {_indexed(place) for engine in engines for place in placed.get(engine, {})}
    said = {_indexed(part) for part in re.split(r"[,+]", device) if part.strip()}
    if not said or not there or not said.isdisjoint(there) or any(engine not in placed for engine in engines):
        return ""
    return (
        f"the evidence names {device}, but the live networks of {', '.join(engines)} lie on {', '.join(sorted(there))}"
    )


def _indexed(device: str) -> str:
    name = device.strip().upper()
    return name if name == "CPU" or ":" in name else f"{name}:0"


def _parity(precision: str, found: dict[str, Any]) -> list[str]:
    """Return what contradicts the evidence in the stored comparisons with FP32.

    ``found`` keeps the records that exist under 'parity', or says under 'uncompared' why there is none.
    """
    records: list[dict[str, Any]] = found.pop("parity", None) or []
    if records:
        found["parity"] = records
    own = [one for one in records if one.get("precision") == precision]
    if precision in LOWERED and not any(one.get("ok") for one in own):
        reasons = [str(one["reason"]) for one in own if one.get("reason")]
        found["uncompared"] = "; ".join(reasons) or "nothing compared this network with FP32 on this machine"
    return [
        f"{one.get('network')} failed its comparison with FP32 on this machine"
        for one in records
        if one.get("ok") is False
    ]


def _has_device_files(mapped: Sequence[str]) -> bool:
    return any(part in path for path in mapped for part in ("/dev/dri", "/dev/accel", "/dev/kfd"))


def _precision(precision: str, engines: Sequence[str], executed: Mapping[str, Any]) -> tuple[bool, str]:
    """Checked where at least half of what the engines execute is in it; contradicted where nothing is."""
    counts: dict[str, int] = {}
    for engine in engines:
        for kind, count in executed.get(engine, {}).items():
            counts[kind] = counts.get(kind, 0) + int(count)
    total = sum(counts.values())
    if not total or not precision:
        return False, ""
    if counts.get(precision, 0) * 2 >= total:
        return True, ""
    if precision in counts or precision not in ("fp32", *LOWERED):
        return False, ""
    ran = ", ".join(f"{count} × {kind}" for kind, count in sorted(counts.items()))
    return False, f"the evidence names {precision}, but the engine's graph has {ran}"


def _verified(
    engines: Sequence[str], device: str, precision: str, evidence: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    """What the stored proofs say, and what speaks against using the engine here."""
    details = evidence.get("details") or {}
    proofs: list[Proof] = []
    for engine in engines:
        version = str(details.get(engine) or evidence.get("version") or "")
        proof = proof_of(engine, device, precision, version)
        if proof is None or not proof.ok:
            failed = "" if proof is None else f"{engine} {version} in {precision} on {device} {proof}"
            return {"verified_on_hardware": False, "verified": "" if proof is None else str(proof)}, failed
        proofs.append(proof)
    if not proofs:
        return {"verified_on_hardware": False, "verified": ""}, ""
    return {"verified_on_hardware": True, "verified": str(max(proofs, key=lambda proof: proof.relative))}, ""
