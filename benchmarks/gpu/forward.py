"""One call of a network as an arm: in a type, a layout, eager, compiled or as a CUDA graph."""

from __future__ import annotations

import copy
import gc
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

import parity
import profiled
import torch
from networks import Named, Subject, leaves
from part import PartArm
from roofline import ceilings, matrix_flop_s
from timing import Way, compare_ms
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from reelbench.errors import UnavailableError

PROBE, OTHER, REST = 1, 2, 3
"""Seeds of the inputs: what parity is judged on, another one, and what fills a batch."""
Tensors = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Technique:
    """How a network runs. ``precision`` is that of weights and inputs; 'tf32' is FP32 multiplied in TF32."""

    precision: Literal["fp32", "tf32", "fp16"]
    run: Literal["eager", "compiled", "cuda graph", "compiled cuda graph"] = "eager"
    channels_last: bool = False

    def __str__(self) -> str:
        words = [self.precision, "channels-last" if self.channels_last else "", self.run]
        return " ".join(word for word in words if word and word != "eager")

    @contextmanager
    def arithmetic(self) -> Iterator[None]:
        """TF32 on where it is asked for, else off: PyTorch's own default allows it in convolutions."""
        cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        before = cuda.allow_tf32, cudnn.allow_tf32
        cuda.allow_tf32 = cudnn.allow_tf32 = self.precision == "tf32"
        try:
            yield
        finally:
            cuda.allow_tf32, cudnn.allow_tf32 = before

    def refuse(self, device: str) -> None:
        """UnavailableError where ``device`` cannot run this."""
        cuda = device.startswith("cuda")
        if "graph" in self.run and not cuda:
            raise UnavailableError("CUDA graphs need a CUDA device")
        if self.precision == "tf32" and not cuda:
            raise UnavailableError("TF32 is arithmetic of NVIDIA GPUs")
        if "compiled" in self.run and not cuda and not (shutil.which("g++") or shutil.which("clang++")):
            raise UnavailableError("torch.compile needs a C++ compiler on a CPU", "install g++")


PLAIN = Technique("fp32")


@dataclass(frozen=True)
class Shared:
    """What all arms of one network use: it in FP32 on the device, its answers on the CPU, its costs."""

    network: Named
    wanted: Tensors
    other: Tensors
    flop: float
    moved: int
    """Bytes of the inputs and answers of one item in FP32; integers count as they are."""


_held: dict[tuple[str, str, str], Shared] = {}


def free() -> None:
    """Let go of the networks that arms share."""
    _held.clear()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def arm(subject: Subject, technique: Technique, batch: int, value: int) -> PartArm:
    """The arm of one technique at one batch."""
    return PartArm(
        subject.part, f"{subject.prefix}{technique} batch {batch}", value, partial(measure, subject, technique, batch)
    )


def measure(subject: Subject, technique: Technique, batch: int, device: str, size: str, rounds: int) -> dict[str, Any]:
    """Time, memory, share of the roofline, parity and evidence of one technique."""
    technique.refuse(device)
    with torch.no_grad():
        shared = _shared(subject, device, size)
        plain = _inputs(subject, size, batch, device, PLAIN)
        baseline = Way(lambda: shared.network(*plain), PLAIN.arithmetic)
        if technique == PLAIN:
            return _figures(subject, technique, batch, device, size, rounds, shared, baseline)
        try:
            return _figures(subject, technique, batch, device, size, rounds, shared, baseline)
        finally:
            if "compiled" in technique.run:
                torch._dynamo.reset()


def _figures(
    subject: Subject,
    technique: Technique,
    batch: int,
    device: str,
    size: str,
    rounds: int,
    shared: Shared,
    baseline: Way,
) -> dict[str, Any]:
    """See `measure`."""
    cuda = device.startswith("cuda")
    network = copy.deepcopy(shared.network).to(profiled.TYPES[technique.precision])
    if technique.channels_last:
        network = network.to(memory_format=torch.channels_last)
    weights = profiled.held_bytes(network)
    if cuda:
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device) - weights
    inputs = _inputs(subject, size, batch, device, technique)
    with technique.arithmetic():
        run = _ready(network, inputs, technique)
        # The probe comes only now: a recorded graph that does not read its inputs is noticed.
        for given, probe in zip(inputs, subject.inputs(size, 1, PROBE, "cpu"), strict=True):
            given[:1].copy_(probe)
        first = [answer[:1].clone() for answer in leaves(run())]
        peak = (torch.cuda.max_memory_allocated(device) - before) / 2**20 if cuda else None
        agreed = parity.compare(first, shared.wanted, shared.other, technique.precision)
        seen = profiled.network(network) | profiled.calls(run, device)
    if "compiled" in technique.run:
        seen["compiled"] = profiled.compiled()
    ways = {"arm": Way(run, technique.arithmetic)} | ({} if technique == PLAIN else {"fp32": baseline})
    took = compare_ms(ways, device, rounds)
    base = took.get("fp32", took["arm"])
    return {
        "batch": batch,
        "ms": took["arm"],
        "fp32_ms": base,
        "times_faster": base["median"] / took["arm"]["median"],
        f"{subject.item}_s": 1e3 * batch / took["arm"]["median"],
        "weights_mib": weights / 2**20,
        "peak_mib": peak,
        "roofline": _roofline(shared, technique, batch, weights, device, took["arm"]["median"] / 1e3),
        "parity": agreed,
        "evidence": seen,
        "wrong": "; ".join(filter(None, [parity.wrong(agreed), _contradiction(technique, seen, device)])),
    }


def _ready(network: Named, inputs: Tensors, technique: Technique) -> Callable[[], Any]:
    """One call of the network on ``inputs``, which may be overwritten between calls."""
    called: Callable[..., Any] = network
    if "compiled" in technique.run:
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        called = torch.compile(network, dynamic=False)
    run = lambda: called(*inputs)  # noqa: E731  the calls differ in what they close over
    run()
    return recorded(run) if "graph" in technique.run else run


def recorded(run: Callable[[], Any]) -> Callable[[], Any]:
    """The kernels of ``run`` recorded once and replayed at each call, into the same answers."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        answers = run()

    def replay() -> Any:
        graph.replay()
        return answers

    return replay


def _shared(subject: Subject, device: str, size: str) -> Shared:
    """Built once for all arms of a network; the network of another one is let go."""
    key = (subject.name, device, size)
    if key not in _held:
        free()
        network = subject.build(size, device).eval().requires_grad_(False)
        host = copy.deepcopy(network).to("cpu") if device.startswith("cuda") else network
        probe, unlike = (subject.inputs(size, 1, seed, "cpu") for seed in (PROBE, OTHER))
        wanted, other = (tuple(t.clone() for t in leaves(host(*given))) for given in (probe, unlike))
        network = network.to(device)
        # PyTorch counts matrix products, and attention as these where it is not one kernel.
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            network(*(tensor.to(device) for tensor in probe))
        moved = sum(tensor.numel() * tensor.element_size() for tensor in (*probe, *wanted))
        _held[key] = Shared(network, wanted, other, float(counter.get_total_flops()), moved)
    return _held[key]


def _inputs(subject: Subject, size: str, batch: int, device: str, technique: Technique) -> Tensors:
    """A batch of seeded inputs, as the technique holds them."""
    kind = profiled.TYPES[technique.precision]
    made = []
    for tensor in subject.inputs(size, batch, REST, device):
        held = tensor.to(kind) if tensor.is_floating_point() else tensor
        if technique.channels_last and held.dim() == 4:
            held = held.contiguous(memory_format=torch.channels_last)
        made.append(held)
    return tuple(made)


@cache
def _ceilings(device: str) -> dict[str, float]:
    found = dict(ceilings(device))
    if device.startswith("cuda"):
        with Technique("tf32").arithmetic():
            found["matmul_tf32_flop_s"] = matrix_flop_s(torch.float32, device)
    return found


def _roofline(
    shared: Shared, technique: Technique, batch: int, weights: int, device: str, call_s: float
) -> dict[str, float]:
    """The least time that a call's operations and bytes take at the measured rates, and its share.

    The bytes are weights, inputs and answers, each moved once; what layers hand on to each other is
    not in it.
    """
    best = _ceilings(device)
    wide = torch.finfo(profiled.TYPES[technique.precision]).bits / 32
    flop, moved = shared.flop * batch, weights + batch * shared.moved * wide
    matrix_s = flop / best[f"matmul_{technique.precision}_flop_s"]
    copy_s = moved / best["copy_bytes_s"]
    return {
        "flop": flop,
        "bytes": moved,
        "matrix": matrix_s / call_s,
        "bandwidth": copy_s / call_s,
        "floor_ms": 1e3 * max(matrix_s, copy_s),
        "share": max(matrix_s, copy_s) / call_s,
    }


def _contradiction(technique: Technique, seen: dict[str, Any], device: str) -> str:
    """What ran was not what was asked for; '' where it was."""
    held = {"tf32": "fp32"}.get(technique.precision, technique.precision)
    cuda = device.startswith("cuda")
    if set(seen["types"]) != {held}:
        return f"asked for {held}, the parameters are {', '.join(seen['types'])}"
    if not seen["device"].startswith(device.split(":")[0]):
        return f"asked for {device}, the parameters lie on {seen['device']}"
    last, _, wide = seen["channels_last"].removesuffix(" convolutions").partition(" of ")
    if technique.channels_last and last != wide:
        return f"asked for channels-last, only {seen['channels_last']} are"
    if "graph" in technique.run and not seen["graph_replays"]:
        return "asked for a CUDA graph, none was launched"
    if "compiled" in technique.run and not seen["compiled"]["graphs"]:
        return "asked for torch.compile, it made no graph"
    if technique.run == "compiled" and cuda and not seen["compiled_kernels"]:
        return "asked for torch.compile, none of its kernels ran"
    return ""
