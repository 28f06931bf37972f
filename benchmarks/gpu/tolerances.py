"""Prints what rounding and a wrong weight do to `parity.compare`, for each network: what its tolerances rest on.

    python benchmarks/gpu/tolerances.py clip_vision yolo11n     # on the CPU, a minute or more each

'fp16' rounds the weights of each layer, what goes in and what comes out; 'wrong' exchanges the rows of one layer's weights.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "src"))


def main(names: list[str]) -> int:
    import networks
    import parity
    import torch
    from forward import OTHER, PROBE

    subjects = {s.name: s for s in vars(networks).values() if isinstance(s, networks.Subject)}
    for name in names or list(subjects):
        subject = subjects[name]
        with torch.no_grad():
            network = subject.build("full", "cpu").eval().requires_grad_(False)
            probe, other = (subject.inputs("full", 1, seed, "cpu") for seed in (PROBE, OTHER))
            wanted, unlike = ([t.clone() for t in networks.leaves(network(*given))] for given in (probe, other))
            for how, change in (("fp16", _rounded), ("wrong", _wrong)):
                answers = networks.leaves(change(copy.deepcopy(network))(*probe))
                found = parity.compare(answers, wanted, unlike, "fp16")
                print(f"{name} {how}: error {found['error']:.2g}, max_abs {found['max_abs']:.2g}", flush=True)
    return 0


def _rounded(network: Any) -> Any:
    """FP16 as a GPU computes in it, layer by layer: products are summed in FP32 and rounded when they are written."""

    def half(given: Any) -> Any:
        return given.half().float() if hasattr(given, "is_floating_point") and given.is_floating_point() else given

    for layer in network.modules():
        if list(layer.children()):
            continue
        for held in layer.parameters():
            held.copy_(half(held))
        layer.register_forward_pre_hook(lambda _, given: tuple(half(value) for value in given))
        layer.register_forward_hook(lambda _, __, answer: half(answer))
    return network


def _wrong(network: Any) -> Any:
    weights = [held for held in network.parameters() if held.dim() > 1]
    middle = weights[len(weights) // 2]
    middle.copy_(middle.roll(1, 0))
    return network


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
