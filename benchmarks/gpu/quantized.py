"""bitsandbytes' INT8 and NF4 linear layers at the sizes of Qwen2-VL 7B, next to BF16 ones."""

from __future__ import annotations

import copy
import importlib.util
import logging
import warnings
from functools import cache, partial
from typing import Any

import parity
import profiled
import torch
from part import PartArm
from roofline import ceilings
from timing import Way, compare_ms

from reelbench.engines.transformers_vlm_evidence import linear_types
from reelbench.errors import UnavailableError

PART = "bitsandbytes"
WIDTHS = {"full": (3584, 18944), "tiny": (64, 128)}
"""Up and down again, as in the layers of Qwen2-VL 7B."""
PAIRS = 3
"""So many of them that even their four-bit weights are more than a GPU's cache holds."""
PROMPT = 1024


def arms(value: int) -> list[PartArm]:
    """INT8 and NF4 for one token and for a prompt."""
    return [
        PartArm(PART, f"{kind} {rows} rows", value + at, partial(measure, kind, rows))
        for at, (kind, rows) in enumerate((k, r) for r in (1, PROMPT) for k in ("int8", "nf4"))
    ]


def measure(kind: str, rows: int, device: str, size: str, rounds: int) -> dict[str, Any]:
    """Time next to BF16 layers, bytes of the weights, parity with FP32 on the CPU, and the types that are held."""
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UnavailableError("not installed: bitsandbytes", "benchmarks/gpu/bring.py collects it")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    cuda = device.startswith("cuda")
    base = torch.bfloat16 if cuda else torch.float32
    plain = _layers(size)
    narrow = WIDTHS[size][0]
    dice = torch.Generator().manual_seed(1)
    probe, other = (torch.randn(4, narrow, generator=dice) for _ in range(2))
    # The whole batch lies on the device; its first rows are compared.
    given = torch.randn(rows if size == "full" else min(rows, 8), narrow, generator=dice)
    few = min(len(probe), len(given))
    given[:few] = probe[:few]
    with torch.no_grad():
        wanted, unlike = plain(probe[:few]), plain(other[:few])
        same = copy.deepcopy(plain).to(device, base)
        held = _quantized(plain, kind, base).to(device)
        rows_here = given.to(device, base)
        with warnings.catch_warnings():
            # It says at each call that inputs are cast to FP16, which LLM.int8() is about.
            warnings.simplefilter("ignore")
            if cuda:
                torch.cuda.synchronize()
                torch.cuda.reset_peak_memory_stats(device)
                before = torch.cuda.memory_allocated(device)
            answer = held(rows_here)
            most = (torch.cuda.max_memory_allocated(device) - before) if cuda else 0
            agreed = parity.compare([answer[:few]], [wanted], [unlike], kind)
            seen = {"types": linear_types(held)} | profiled.calls(lambda: held(rows_here), device)
            seen["device"] = ", ".join(sorted({str(p.device) for p in held.parameters()}))
            ways = {"arm": Way(lambda: held(rows_here)), "base": Way(lambda: same(rows_here))}
            took = compare_ms(ways, device, rounds)
    weights = profiled.held_bytes(held)
    if kind == "nf4":
        # The scale of each block of 64 weights is no parameter.
        weights += sum(layer.weight.quant_state.absmax.nbytes for layer in held)
    best, call_s = ceilings(device), took["arm"]["median"] / 1e3
    numbers = sum(layer.in_features * layer.out_features for layer in held)
    wrong = "" if set(seen["types"]) == {kind} else f"asked for {kind}, the layers are {', '.join(seen['types'])}"
    return {
        "rows": len(given),
        "ms": took["arm"],
        "base": "bf16" if cuda else "fp32",
        "base_ms": took["base"],
        "times_faster": took["base"]["median"] / took["arm"]["median"],
        "weights_mib": weights / 2**20,
        "base_weights_mib": profiled.held_bytes(same) / 2**20,
        "peak_mib": (weights + most) / 2**20 if cuda else None,
        "roofline": {
            "flop": 2.0 * numbers * len(given),
            "bytes": weights,
            "matrix": 2.0 * numbers * len(given) / best["matmul_bf16_flop_s"] / call_s,
            "bandwidth": weights / best["copy_bytes_s"] / call_s,
        },
        "parity": agreed,
        "evidence": seen,
        "wrong": "; ".join(filter(None, [parity.wrong(agreed), wrong])),
    }


@cache
def _layers(size: str) -> torch.nn.Sequential:
    """Linear layers up and down, with seeded weights that keep the size of what goes through."""
    narrow, wide = WIDTHS[size]
    made = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for width, to in [(narrow, wide), (wide, narrow)] * PAIRS:
            layer = torch.nn.Linear(width, to, bias=False)
            torch.nn.init.normal_(layer.weight, std=width**-0.5)
            made.append(layer)
    return torch.nn.Sequential(*made).requires_grad_(False)


def _quantized(plain: torch.nn.Sequential, kind: str, base: torch.dtype) -> torch.nn.Sequential:
    """The same weights in bitsandbytes' layers, which pack them when they are moved to the device."""
    import bitsandbytes

    made = []
    for layer in plain:
        size = (layer.in_features, layer.out_features)
        if kind == "int8":
            # Threshold 6 is the library's own default in transformers: larger activations stay in 16 bits.
            held = bitsandbytes.nn.Linear8bitLt(*size, bias=False, has_fp16_weights=False, threshold=6.0)
            held.weight = bitsandbytes.nn.Int8Params(
                layer.weight.data.clone(), requires_grad=False, has_fp16_weights=False
            )
        else:
            held = bitsandbytes.nn.Linear4bit(*size, bias=False, compute_dtype=base, quant_type="nf4")
            held.weight = bitsandbytes.nn.Params4bit(layer.weight.data.to(base), requires_grad=False, quant_type="nf4")
        made.append(held)
    return torch.nn.Sequential(*made)
