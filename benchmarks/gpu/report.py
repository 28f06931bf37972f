"""The report: gpu-<chip>.json with every sample, gpu-<chip>.md to read. A part measured before stays until it is measured again."""

from __future__ import annotations

import json
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = (
    "torch",
    "transformers",
    "triton",
    "onnxruntime",
    "numpy",
    "torchvision",
    "flash-attn",
    "bitsandbytes",
    "ultralytics",
)
HEADS = (
    "arm", "ms/segment", "times faster", "prefill ms", "tokens/s", "peak GiB", "prefill, share of matrix rate",
    "decoding, share of bandwidth", "baseline's tokens", "attention that ran",
)  # fmt: skip


def environment(device: str) -> dict[str, Any]:
    found: dict[str, Any] = {"python": platform.python_version(), "system": platform.platform(), "cpu": _cpu()}
    found["packages"] = {}
    for name in PACKAGES:
        try:
            found["packages"][name] = version(name)
        except PackageNotFoundError:
            found["packages"][name] = None
    if device.startswith("cuda"):
        about = torch.cuda.get_device_properties(device)
        found |= {"gpu": about.name, "gpu_gib": round(about.total_memory / 2**30, 1), "cuda": torch.version.cuda}
    return found


def write(folder: Path, device: str, parts: dict[str, Any]) -> Path:
    """Add ``parts`` to the report of this chip; the Markdown file's path."""
    gpu = device.startswith("cuda")
    name = "not-a-gpu"
    if gpu:
        name = "gpu-" + re.sub(r"[^a-z0-9]+", "-", torch.cuda.get_device_name(device).lower()).strip("-")
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / f"{name}.json"
    whole = (json.loads(data.read_text()) if data.is_file() else {}) | parts
    data.write_text(json.dumps(whole, indent=1) + "\n")
    title = torch.cuda.get_device_name(device) if gpu else "A CPU, not a GPU: only that the script runs"
    page = data.with_suffix(".md")
    page.write_text("\n".join([f"# {title}", "", *(line for key in sorted(whole) for line in _part(key, whole[key]))]))
    return page


def _part(key: str, part: dict[str, Any]) -> list[str]:
    lines = [f"## {key}", "", f"    {part['command']}", "", _told(part["environment"]), ""]
    if not key.startswith("qwen2_vl_temporal"):
        return [*lines, *_list(part["found"]), ""]
    lines += [
        f"Random weights; {part['windows']} windows, {part['tokens']} tokens each, {part['rounds']} rounds in shuffled order. The "
        "stand-in tokenizer makes about four times as many prompt tokens as the real one. Medians, smallest and largest in brackets. "
        "ms/segment is preprocessing and answer; the baseline's tokens: the share before the first that differs. –: could not be told.",
        "",
        "Measured here: " + ", ".join(f"{name} {value:.3g}" for name, value in part["ceilings"].items()) + ".",
        "",
        "| " + " | ".join(HEADS) + " |",
        "| --- |" + " ---: |" * (len(HEADS) - 2) + " --- |",
    ]
    found = {name: value for name, value in part["found"].items() if name != "equal_in_fp32"}
    lines += [_row(name, arm) for name, arm in found.items() if "refused" not in arm]
    lines += ["", *(f"- {name}: refused: {arm['refused']}" for name, arm in found.items() if "refused" in arm)]
    equal = part["found"].get("equal_in_fp32", {})
    lines += [
        "",
        "Tokens in FP32, against the baseline's: " + "; ".join(f"{n} {said}" for n, said in equal.items()) + ".",
        "",
    ]
    return lines


def _row(name: str, arm: dict[str, Any]) -> str:
    cells = [_spread(arm[key]) for key in ("ms_segment", "times_faster", "prefill_ms_segment")]
    peak, roof = arm["peak_gib"], arm["roofline"]
    kernels = ", ".join(arm["evidence"]["attention_kernels"]) or "none"
    wrong = f" **{arm['contradiction']}**" if arm["contradiction"] else ""
    cells += ["–" if value is None else f"{value:.3g}" for value in (arm["tokens_s"], peak)]
    cells += ["–" if value is None else f"{value:.0%}" for value in (roof["prefill"], roof["decode"])]
    return f"| {name} | " + " | ".join([*cells, f"{arm['same_tokens']:.0%}", kernels + wrong]) + " |"


def _spread(value: dict[str, float]) -> str:
    return f"{value['median']:.3g} ({value['least']:.3g}–{value['most']:.3g})"


def _list(found: dict[str, Any]) -> list[str]:
    return [
        f"- {name}: " + (f"{_spread(value['ms'])} ms" if isinstance(value, dict) and "ms" in value else _plain(value))
        for name, value in found.items()
    ]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "refused: " + str(value["refused"])
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _told(found: dict[str, Any]) -> str:
    chip = f"{found['gpu']} ({found['gpu_gib']} GiB, CUDA {found['cuda']})" if "gpu" in found else found["cpu"]
    there = ", ".join(f"{name} {number}" for name, number in found["packages"].items() if number)
    return f"{chip}, {found['system']}, Python {found['python']}, {there}."


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", info.read_text()) if info.is_file() else []
    return names[0] if names else platform.processor()
