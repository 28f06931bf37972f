"""What the device could do at best, measured, and what a network asks of it: the share of the roofline.

Prefill is held against the rate of a large matrix product in the same type, decoding against the bandwidth of a large copy (Williams et
al., 'Roofline', doi 10.1145/1498765.1498785). The work is that of the network, counted from its layers; what an implementation does
beyond that (masked attention computed in full, say) counts as time and not as work.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from statistics import median
from typing import Any

import torch

ROUNDS = 10


@dataclass(frozen=True)
class Work:
    """What is asked of the device: ``prefill_flop`` operations for one segment, ``decode_bytes`` read for one token of the batch."""

    prefill_flop: float
    decode_bytes: float


def timed_s(run: Callable[[], Any], device: str) -> float:
    """Seconds of one call: by CUDA events on a GPU, else by the clock."""
    if not device.startswith("cuda"):
        before = time.perf_counter()
        run()
        return time.perf_counter() - before
    first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    first.record()
    run()
    last.record()
    torch.cuda.synchronize()
    return first.elapsed_time(last) / 1e3


@cache
def ceilings(device: str) -> dict[str, float]:
    """Measured: ``copy_bytes_s`` (read and written), and for each type the FLOP/s of a square matrix product."""
    gpu = device.startswith("cuda")
    words = 2**28 if gpu else 2**23
    source = torch.ones(words, device=device)
    target = torch.empty_like(source)
    found = {"copy_bytes_s": 2 * 4 * words / _best(lambda: target.copy_(source), device)}
    for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)):
        found[f"matmul_{name}_flop_s"] = matrix_flop_s(kind, device)
    return found


def matrix_flop_s(kind: torch.dtype, device: str) -> float:
    """FLOP/s of a large square matrix product in the type ``kind``, the best of a few."""
    side = 8192 if device.startswith("cuda") else 512
    # Random numbers: a GPU draws less power on constant ones, and runs faster than it would.
    left = torch.randn(side, side, device=device).to(kind)
    right = torch.randn(side, side, device=device).to(kind)
    return 2 * side**3 / _best(lambda: left @ right, device)


def _best(run: Callable[[], Any], device: str) -> float:
    for _ in range(3):
        run()
    return min(timed_s(run, device) for _ in range(ROUNDS))


def work(network: Any, inputs: Any, batch: int, tokens: int) -> Work:
    """The cost of the windows in ``inputs`` (as `TransformersVLM.encode` gives them) with ``tokens`` written for each.

    Prefill is that of one window. Each linear layer costs two operations a weight and row; attention 4·length²·width a layer, half of
    it where it is causal. A token's decoding reads all weights of the language part once (the embedding's rows aside), and the keys and
    values of every window at their mean length.
    """
    length = int(inputs["input_ids"].shape[1])
    times, down, across = (int(side) for side in inputs["video_grid_thw"][0])
    patches, seen = times * down * across, down * across
    text = network.config.get_text_config(decoder=True)
    vision = network.config.vision_config
    width = getattr(vision, "embed_dim", None) or vision.hidden_size
    heads = text.num_attention_heads
    head = getattr(text, "head_dim", None) or text.hidden_size // heads
    flop, weights = 0.0, 0.0
    for name, module in network.named_modules():
        if not isinstance(module, (torch.nn.Linear, torch.nn.Conv3d)):
            continue
        size = (
            module.in_features * module.out_features if isinstance(module, torch.nn.Linear) else module.weight.numel()
        )
        held = module.weight.numel() * module.weight.element_size()
        if "visual" in name:
            flop += 2 * size * (patches // 4 if "merger" in name else patches)
        elif "lm_head" in name:
            flop, weights = flop + 2 * size, weights + held
        else:
            flop, weights = flop + 2 * size * length, weights + held
    flop += 4 * seen**2 * width * times * vision.depth
    flop += 4 * length**2 * heads * head / 2 * text.num_hidden_layers
    kept = 2 * text.num_hidden_layers * text.num_key_value_heads * head * _bytes(network)
    return Work(flop, weights + batch * (length + tokens / 2) * kept)


def _bytes(network: Any) -> int:
    """Of one number in the keys and values: the type of what is not quantized."""
    return int(next(p for p in network.parameters() if p.is_floating_point()).element_size())


def share(done: Work, ceiling: dict[str, float], kind: str, prefill_s: float, step_s: float) -> dict[str, float | None]:
    """``prefill``: of the matrix rate in the type ``kind``; ``decode``: of the bandwidth. ``step_s``: one token of the batch;
    None where that could not be told."""
    rate = ceiling[f"matmul_{kind}_flop_s"]
    return {
        **asdict(done),
        "prefill": done.prefill_flop / rate / prefill_s,
        "decode": done.decode_bytes / ceiling["copy_bytes_s"] / step_s if step_s > 0 else None,
    }


def middle(values: list[float]) -> dict[str, float]:
    """Median, smallest and largest."""
    return {"median": median(values), "least": min(values), "most": max(values)}
