"""What a call really ran, as PyTorch's profiler, its compiler's counters and the parameters show it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

MOST_KERNELS = 6
TYPES = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16}
_SHORT = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}


def calls(run: Callable[[], Any], device: str) -> dict[str, Any]:
    """The kernels of one call (on a CPU: the operators), those that took longest first.

    ``busy_ms`` is their time in sum; ``launches`` how many ran; ``graph_replays`` how often a CUDA
    graph was launched; ``copies`` the copies between host and device, by name.
    """
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    cuda = device.startswith("cuda")
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=kinds, acc_events=True) as record:
        run()
        if cuda:
            torch.cuda.synchronize()
    events = record.key_averages()
    place = DeviceType.CUDA if cuda else DeviceType.CPU
    # An annotation spans kernels that are listed themselves.
    kept = [event for event in events if event.device_type == place and not event.is_user_annotation]
    took = {event.key: _self_us(event, cuda) for event in kept}
    count = {event.key: int(event.count) for event in kept}
    total = sum(took.values())
    longest = sorted(took, key=lambda name: -took[name])[:MOST_KERNELS]
    return {
        "kernels": {name: {"calls": count[name], "share": took[name] / total if total else 0.0} for name in longest},
        "compiled_kernels": sum(number for name, number in count.items() if name.startswith("triton_")),
        "launches": sum(count.values()),
        "busy_ms": total / 1e3,
        "graph_replays": sum(int(e.count) for e in events if e.key.startswith("cudaGraphLaunch")),
        "copies": {name: number for name, number in count.items() if name.startswith("Memcpy")},
    }


def network(held: torch.nn.Module) -> dict[str, Any]:
    """Device and types of the parameters, by how many numbers each type holds, and how the weights of convolutions lie."""
    types: dict[str, int] = {}
    for parameter in held.parameters():
        kind = str(parameter.dtype).removeprefix("torch.")
        types[_SHORT.get(kind, kind)] = types.get(_SHORT.get(kind, kind), 0) + parameter.numel()
    wide = [p for p in held.parameters() if p.dim() == 4 and p.shape[1] > 1 and p.shape[-1] > 1]
    last = sum(p.is_contiguous(memory_format=torch.channels_last) for p in wide)
    return {
        "device": ", ".join(sorted({str(p.device) for p in held.parameters()})),
        "types": types,
        "channels_last": f"{last} of {len(wide)} convolutions",
    }


def compiled() -> dict[str, int]:
    """Graphs that torch.compile made since its counters were last cleared, and breaks between them."""
    counters = torch._dynamo.utils.counters
    return {
        "graphs": int(counters["stats"]["unique_graphs"]),
        "breaks": int(sum(counters["graph_break"].values())),
    }


def held_bytes(held: torch.nn.Module) -> int:
    """Bytes of all parameters and buffers; what two names share counts once."""
    tensors = {t.data_ptr(): t.numel() * t.element_size() for t in (*held.parameters(), *held.buffers())}
    return sum(tensors.values())


def _self_us(event: Any, cuda: bool) -> float:
    return float(event.self_device_time_total if cuda else event.self_cpu_time_total)
