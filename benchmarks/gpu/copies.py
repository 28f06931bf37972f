"""What it costs to copy frames of 720×1280 to the device and to prepare them, there or on the CPU."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import profiled
import torch
from numpy.typing import NDArray
from part import PartArm
from roofline import timed_s
from timing import Way, compare_ms
from torch.nn.functional import interpolate, pad

from reelbench.errors import UnavailableError

PART = "copies"
FRAME = (720, 1280)
TINY = (72, 128)
SIDE = {"full": 640, "tiny": 64}
GREY = 114
CLOSE = {"fp32": 1e-5, "fp16": 2e-3}
"""The largest difference that a prepared picture may show, of a range of 0 to 1."""


def arms(value: int) -> list[PartArm]:
    """Copies; preparation on the device and on the CPU; decoding, for comparison."""
    made = [
        (f"copy {kind} batch {batch}", partial(copy_frames, kind, batch))
        for batch in (16, 1)
        for kind in ("pageable", "pinned", "staged")
    ]
    made += [
        (f"prepare {kind} batch {batch}", partial(prepare, kind, batch))
        for batch in (16, 1)
        for kind in ("fp16", "fp32")
    ]
    made.append(("decode by OpenCV batch 16", partial(decode, 16)))
    return [PartArm(PART, name, value + at, run) for at, (name, run) in enumerate(made)]


def copy_frames(kind: str, batch: int, device: str, size: str, rounds: int) -> dict[str, Any]:
    """Copy a batch of frames to the device from pageable memory, from pinned memory, or 'staged': into
    pinned memory first, as it must be done with the frames of a decoder."""
    _need_pinned(kind, device)
    frames = torch.from_numpy(_frames(size, batch))
    held = torch.empty_like(frames, device=device)
    pinned = frames if kind == "pageable" else frames.pin_memory()

    def run() -> None:
        if kind == "staged":
            # The last copy must be over before its source is written again.
            _finished(device)
            pinned.copy_(frames)
        held.copy_(pinned, non_blocking=True)

    held.zero_()
    run()
    _finished(device)
    same = bool(torch.equal(held.cpu(), frames))
    seen = profiled.calls(run, device)
    took = compare_ms({"arm": Way(run)}, device, rounds)["arm"]
    return {
        "batch": batch,
        "bytes": frames.nbytes,
        "ms": took,
        "gb_s": frames.nbytes / took["median"] / 1e6,
        "roofline": {"bandwidth": frames.nbytes / _link_bytes_s(device) / (took["median"] / 1e3)},
        "evidence": {
            "device": str(held.device),
            "pinned": pinned.is_pinned(),
            "copies": seen["copies"],
            "kernels": seen["kernels"],
        },
        "wrong": "" if same else "what arrived is not what was sent",
    }


def prepare(kind: str, batch: int, device: str, size: str, rounds: int) -> dict[str, Any]:
    """Make a network's input of frames in host memory: resized, padded to a square, scaled to 0…1.

    The device does it, and bytes are copied; next to it the CPU does it, and numbers are copied. Both
    copy from pinned memory where there is a GPU.
    """
    frames = _frames(size, batch)
    side, number = SIDE[size], profiled.TYPES[kind]
    raw = torch.from_numpy(frames)
    ready = torch.empty(batch, 3, side, side)
    if device.startswith("cuda"):
        raw, ready = raw.pin_memory(), ready.pin_memory()
    on_cpu, by = _cpu_way(frames, side)

    def there() -> torch.Tensor:
        return letterbox(raw.to(device, non_blocking=True), side, number)

    def here() -> torch.Tensor:
        _finished(device)
        ready.copy_(on_cpu())
        return ready.to(device, number, non_blocking=True)

    wanted = letterbox(torch.from_numpy(frames), side, torch.float32)
    apart = (there().float().cpu() - wanted).abs().max().item()
    apart_cpu = (here().float().cpu() - wanted).abs().max().item()
    seen = profiled.calls(there, device)
    took = compare_ms({"arm": Way(there), "cpu": Way(here)}, device, rounds)
    close = apart <= CLOSE[kind]
    return {
        "batch": batch,
        "ms": took["arm"],
        "cpu_ms": took["cpu"],
        "cpu_by": by,
        "times_faster": took["cpu"]["median"] / took["arm"]["median"],
        "frames_s": 1e3 * batch / took["arm"]["median"],
        "parity": {"max_abs": apart, "tolerance": CLOSE[kind], "ok": close, "cpu_max_abs": apart_cpu},
        "evidence": seen | {"device": device, "types": kind},
        "wrong": "" if close else f"differs from PyTorch on the CPU by {apart:.2g}, more than {CLOSE[kind]:g}",
    }


def decode(batch: int, device: str, size: str, rounds: int) -> dict[str, Any]:
    """Decode so many frames by OpenCV on the CPU, to see beside the copies. The clip is written here."""
    if importlib.util.find_spec("cv2") is None:
        raise UnavailableError("not installed: opencv-python-headless")
    import cv2

    frames = _frames(size, batch, soft=True)
    with tempfile.TemporaryDirectory() as folder:
        clip = str(Path(folder) / "clip.mp4")
        writer = cv2.VideoWriter(clip, cv2.VideoWriter_fourcc(*"mp4v"), 25, frames.shape[2:0:-1])
        for frame in frames:
            writer.write(frame)
        writer.release()
        decoded = _decoded(clip)
        if decoded != batch:
            raise UnavailableError(f"OpenCV decodes {decoded} of {batch} frames that it has written")
        took = compare_ms({"arm": Way(partial(_decoded, clip))}, "cpu", rounds)["arm"]
    return {
        "batch": batch,
        "ms": took,
        "frames_s": 1e3 * batch / took["median"],
        "evidence": {"device": "cpu", "codec": "MPEG-4 part 2", "threads": cv2.getNumThreads()},
        "wrong": "",
    }


def letterbox(frames: torch.Tensor, side: int, kind: torch.dtype) -> torch.Tensor:
    """Frames (n, height, width, 3) of bytes as (n, 3, side, side) numbers of 0…1, with grey around."""
    height, width = frames.shape[1:3]
    inside = (round(height * side / max(height, width)), round(width * side / max(height, width)))
    scaled = interpolate(frames.permute(0, 3, 1, 2).to(kind) / 255, size=inside, mode="bilinear", align_corners=False)
    above, left = (side - inside[0]) // 2, (side - inside[1]) // 2
    around = (left, side - inside[1] - left, above, side - inside[0] - above)
    return pad(scaled, around, value=GREY / 255)


def _cpu_way(frames: NDArray[np.uint8], side: int) -> tuple[Callable[[], torch.Tensor], str]:
    """How the CPU prepares: by OpenCV, as most do, or else by PyTorch; and what it is called."""
    if importlib.util.find_spec("cv2") is None:
        raw = torch.from_numpy(frames)
        return lambda: letterbox(raw, side, torch.float32), "torch"
    import cv2

    height, width = frames.shape[1:3]
    inside = (round(height * side / max(height, width)), round(width * side / max(height, width)))
    above, left = (side - inside[0]) // 2, (side - inside[1]) // 2
    canvas = np.full((len(frames), side, side, 3), GREY, np.uint8)

    def run() -> torch.Tensor:
        for frame, square in zip(frames, canvas, strict=True):
            square[above : above + inside[0], left : left + inside[1]] = cv2.resize(frame, inside[::-1])
        return torch.from_numpy(canvas).permute(0, 3, 1, 2).float() / 255

    return run, f"OpenCV {cv2.__version__}"


def _frames(size: str, batch: int, soft: bool = False) -> NDArray[np.uint8]:
    """Seeded noise; ``soft``: noise of an eighth of the size, enlarged, which an encoder can compress."""
    height, width = FRAME if size == "full" else TINY
    dice = np.random.default_rng(0)
    if not soft:
        return dice.integers(0, 256, (batch, height, width, 3), np.uint8)
    small = dice.integers(0, 256, (batch, height // 8, width // 8, 3), np.uint8)
    return small.repeat(8, axis=1).repeat(8, axis=2)


def _decoded(clip: str) -> int:
    import cv2

    capture = cv2.VideoCapture(clip)
    number = 0
    while capture.read()[0]:
        number += 1
    capture.release()
    return number


@cache
def _link_bytes_s(device: str) -> float:
    """Bytes a second of one large copy from the host, pinned where there is a GPU: the best of a few."""
    gpu = device.startswith("cuda")
    source = torch.ones(2**28 if gpu else 2**24, dtype=torch.uint8, pin_memory=gpu)
    target = torch.empty_like(source, device=device)
    target.copy_(source)
    return source.nbytes / min(timed_s(lambda: target.copy_(source, non_blocking=True), device) for _ in range(5))


def _need_pinned(kind: str, device: str) -> None:
    if kind != "pageable" and not device.startswith("cuda"):
        raise UnavailableError("pinned memory is for copies to a CUDA device")


def _finished(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
