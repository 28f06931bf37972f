"""A clip's frames and sound, decoded once and laid on the disk for every analyzer that asks for them.

    frames-<n>.raw   the images of one size and colour, one after the other, as they stand in memory
    sound-<rate>.raw mono float32
    spool.json       which frames of which file each request gets, and when they are shown

Reading takes one frame at a time into fresh memory: a long clip costs a reader no more memory than a short one, and the page cache
keeps what was just written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reelbench.bench.decoded import decoded_facts
from reelbench.errors import MediaError
from reelbench.media.decoder import Decoder
from reelbench.media.sampling import Sampler
from reelbench.media.types import AudioRequest, ClipInfo, DecodeOptions, Frame, FrameRequest, Limits, Sampling

INDEX = "spool.json"


def request_key(request: FrameRequest) -> str:
    return json.dumps(asdict(request), sort_keys=True)


def request_of(fields: dict[str, Any]) -> FrameRequest:
    size = fields["size"]
    return FrameRequest(Sampling(**fields["sampling"]), tuple(size) if size else None, fields["colour"])


def write_frames(
    folder: Path,
    path: Path,
    requests: Sequence[FrameRequest],
    decode: DecodeOptions,
    limits: Limits,
    most_bytes: int,
    origins_s: Sequence[float] = (),
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Decode ``path`` once and keep what any of ``requests`` wants.

    Returns frames_decoded, decode_s, convert_s and bytes, and what `reelbench.bench.decoded.decoded_facts` says of the clip, with
    ``spooled``: how many frames each request has.

    Raises MediaError as the decoder does and where more than ``most_bytes`` would be written, OSError where the disk is full.
    """
    samplers = [Sampler(request.sampling) for request in requests]
    kinds = list(dict.fromkeys((request.size, request.colour) for request in requests))
    kind_of = [kinds.index((request.size, request.colour)) for request in requests]
    chosen: list[list[tuple[int, float]]] = [[] for _ in requests]
    shapes: list[tuple[int, ...]] = [() for _ in kinds]
    written = [0] * len(kinds)
    convert_s, size = 0.0, 0
    with Decoder(path, decode, limits, origins_s) as decoder, ExitStack() as files:
        targets = [files.enter_context((folder / f"frames-{n}.raw").open("wb", buffering=0)) for n in range(len(kinds))]
        for picture, pts_s in decoder:
            wanted = [at for at, sampler in enumerate(samplers) if sampler.wants(pts_s)]
            began = perf_counter()
            for kind in {kind_of[at] for at in wanted}:
                first = next(at for at in wanted if kind_of[at] == kind)
                image = picture.image(requests[first])
                shapes[kind] = image.shape
                size += image.nbytes
                _check_size(path, f"frames up to {pts_s:.1f} s", size, most_bytes)
                _write_all(targets[kind].fileno(), image)
            for at in wanted:
                chosen[at].append((written[kind_of[at]], pts_s))
            for kind in {kind_of[at] for at in wanted}:
                written[kind] += 1
            convert_s += perf_counter() - began
        facts = {"frames_decoded": decoder.frames, "decode_s": decoder.busy_s}
        found = decoded_facts(decoder, {}, decode)
    index = {
        request_key(request): {"file": f"frames-{kind}.raw", "shape": shapes[kind], "frames": frames}
        for request, kind, frames in zip(requests, kind_of, chosen, strict=True)
    }
    (folder / INDEX).write_text(json.dumps(index))
    found["spooled"] = {asked: len(entry["frames"]) for asked, entry in index.items()}
    return {**facts, "convert_s": convert_s, "bytes": size}, found


def _check_size(path: Path, what: str, size: int, most_bytes: int) -> None:
    """Raise MediaError beyond the cap: a few bytes of video can hold any number of frames, which are laid down as large as they are
    asked for."""
    if size > most_bytes:
        raise MediaError(
            f"{path}: decoded for all analyzers, its {what} take more than {most_bytes / 1e6:.0f} MB of disk (system.spool_mb)",
            "allow more with system.spool_mb=N, or let each analyzer decode for itself with plan.decode=each",
        )


def _write_all(handle: int, values: NDArray[Any]) -> None:
    left = np.ascontiguousarray(values).data.cast("B")
    while left:
        left = left[os.write(handle, left) :]


class SpooledFrames:
    """The frames of one request, in display order; iterated once. A context manager."""

    def __init__(self, folder: Path, request: FrameRequest) -> None:
        entry = json.loads((folder / INDEX).read_text())[request_key(request)]
        self._shape, self._frames = tuple(entry["shape"]), entry["frames"]
        self._file = (folder / entry["file"]).open("rb", buffering=0)
        self.busy_s = 0.0

    def __enter__(self) -> SpooledFrames:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Frame]:
        for index, (number, pts_s) in enumerate(self._frames):
            began = perf_counter()
            image = np.empty(self._shape, np.uint8)
            _read_all(self._file.fileno(), image, number * image.nbytes)
            self.busy_s += perf_counter() - began
            yield Frame(image, pts_s, index)


def _read_all(handle: int, image: NDArray[np.uint8], offset: int) -> None:
    left = image.data.cast("B")
    while left:
        got = os.preadv(handle, [left], offset)
        if not got:
            raise EOFError("the spool ends before its index says so")
        left, offset = left[got:], offset + got


def write_sound(
    folder: Path, path: Path, rates: Sequence[int], limits: Limits, most_bytes: int, origins_s: Sequence[float] = ()
) -> dict[str, Any]:
    """Write the sound of ``path`` at each rate; what `reelbench.bench.decoded.decoded_facts` says of it.

    Raises MediaError where it cannot be decoded or takes more than ``most_bytes``, OSError where the disk is full."""
    from reelbench.media.audio import SoundStream

    size, damage = 0, dict[str, Any]()
    for rate in rates:
        stream = SoundStream(path, AudioRequest(rate), limits, origins_s)
        with (folder / f"sound-{rate}.raw").open("wb", buffering=0) as file:
            for piece in stream:
                size += piece.nbytes
                _check_size(path, "sound", size, most_bytes)
                _write_all(file.fileno(), piece)
        damage = stream.damage
    return decoded_facts(None, damage)


def read_sound(folder: Path, rate: int) -> NDArray[np.float32]:
    return np.fromfile(folder / f"sound-{rate}.raw", np.float32)


def expected_bytes(info: ClipInfo, requests: Sequence[FrameRequest], rates: Sequence[int]) -> int:
    """About how many bytes the spool of a clip takes."""
    total = sum(4 * rate for rate in set(rates)) * info.duration_s if info.has_audio else 0.0
    most: dict[tuple[Any, str], float] = {}
    for request in requests:
        kind = (request.size, request.colour)
        sampling = request.sampling
        rate = min(info.fps, sampling.rate) if sampling.rate is not None else info.fps / (sampling.every or 1)
        most[kind] = min(info.fps, most.get(kind, 0.0) + rate)
    for (size, colour), rate in most.items():
        width, height = size or (info.width, info.height)
        total += rate * info.duration_s * width * height * (1 if colour == "gray" else 3)
    return int(total)
