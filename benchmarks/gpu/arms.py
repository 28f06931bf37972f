"""The techniques of qwen2_vl_temporal as arms: the product's own variants, read from conf/, and combinations of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # transformers needs it, so it is there

from reelbench.engines.base import Availability
from reelbench.engines.transformers_vlm import TransformersVLM
from reelbench.engines.transformers_vlm_available import available
from reelbench.engines.transformers_vlm_load import Form

EQUAL = ("sdpa", "batched", "compiled", "prefix_cache")
"""Arms that must write the baseline's tokens where arithmetic is FP32."""
# name: (the variant it builds on, what it changes, attention kernel of PyTorch that is forced)
_MORE: dict[str, tuple[str, dict[str, Any], str]] = {
    "fp16": ("baseline", {"engine": {"precision": "fp16"}}, ""),
    "sdpa_flash": ("sdpa", {}, "FLASH_ATTENTION"),
    "optimized_compiled": ("optimized", {"engine": {"compiled": True}}, ""),
    "all": ("optimized", {"engine": {"compiled": True, "prefix_cache": True}}, ""),
}


@dataclass(frozen=True)
class Arm:
    """``settings`` is the analyzer's node of the configuration; ``kernel`` a member of `torch.nn.attention.SDPBackend` or ''."""

    name: str
    settings: dict[str, Any]
    kernel: str = ""

    @property
    def batch(self) -> int:
        return int(self.settings["batch"])

    @property
    def form(self) -> Form:
        engine = self.settings["engine"]
        auto = "bf16" if engine["device"].startswith("cuda") else "fp32"
        precision = auto if engine["precision"] == "auto" else engine["precision"]
        return Form(engine["attention"], precision, engine["device"])

    def engine(self, precision: str | None = None) -> TransformersVLM:
        given = {name: value for name, value in self.settings["engine"].items() if not name.startswith("_")}
        return TransformersVLM(**(given | ({"precision": precision} if precision else {})))

    def available(self) -> Availability:
        return available(self.form, bool(self.settings["engine"]["compiled"]), frames=False)

    @contextmanager
    def kernels(self) -> Iterator[None]:
        """Where a kernel is forced, PyTorch must use it or raise RuntimeError."""
        from torch.nn.attention import SDPBackend, sdpa_kernel

        with sdpa_kernel(getattr(SDPBackend, self.kernel)) if self.kernel else nullcontext():
            yield


def arms(conf: Path, device: str, names: list[str] | None) -> list[Arm]:
    """All arms on one device, baseline first, or those that are named (baseline always). ValueError for an unknown name."""
    base = yaml.safe_load((conf / "analyzer" / "qwen2_vl_temporal.yaml").read_text())["analyzer"]
    variants = {}
    for path in sorted((conf / "tuning" / "qwen2_vl_temporal").glob("*.yaml")):
        changed = yaml.safe_load(path.read_text()).get("analyzer", {})
        if "weights" not in changed:  # another network is not a technique
            variants[path.stem] = _merged(base, changed)
    found = {"baseline": Arm("baseline", variants.pop("baseline"))}
    found |= {name: Arm(name, settings) for name, settings in variants.items()}
    for name, (variant, changed, kernel) in _MORE.items():
        found[name] = Arm(name, _merged(found[variant].settings, changed), kernel)
    for arm in found.values():
        arm.settings["engine"]["device"] = device
    if unknown := sorted(set(names or ()) - set(found)):
        raise ValueError(f"no arm {', '.join(unknown)}; there are {', '.join(found)}")
    return [arm for name, arm in found.items() if not names or name in names or name == "baseline"]


def _merged(base: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    whole = copy.deepcopy(base)
    for key, value in changed.items():
        whole[key] = (
            _merged(whole[key], value) if isinstance(value, dict) and isinstance(whole.get(key), dict) else value
        )
    return whole
