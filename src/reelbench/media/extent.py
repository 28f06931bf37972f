"""When the frames of a clip are shown: its origin, its end and its frame rate, from the index or from packets."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from reelbench.media import source
from reelbench.media.sampling import JUMP_S
from reelbench.media.tracks import check_packet
from reelbench.media.types import Limits

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

LOOK_AT = 600
"""So many frames tell whether the frame rate varies, where not all packets need to be read."""

_PATIENCE = 6000
_BELIEVED_S = 0.5


@dataclass(slots=True)
class Extent:
    """``frame`` is the first one that is shown (None: not one can be decoded). ``origins_s``: see `ClipInfo.origins_s`.

    ``times_s`` are ascending times of the first frames in seconds of the clip; ``end_s`` is the end of the last one that is shown,
    by header, index or packets."""

    frame: VideoFrame | None = None
    origins_s: list[float] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    end_s: float = 0.0

    @property
    def fps(self) -> float:
        """Frames a second by the time stamps; 0 where there are too few of them."""
        times = self.times_s
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0


def find_extent(container: InputContainer, stream: VideoStream, path: Path, limits: Limits) -> Extent:
    """Decode the first frame of ``stream`` and find when all are shown; the codec must be configured, and nothing read before.

    Packets are read to the end only where neither header nor index tells when the picture ends. Raises MediaError for what is
    encrypted or goes on beyond ``limits``.
    """
    declared = source.declared_end(container, stream)
    index = stream.index_entries
    # An MP4 whose edit list hides frames has fewer entries than frames.
    enough = 2 if container.format.name.startswith("mov") else max(2, stream.frames)
    indexed = declared is not None and len(index) >= enough
    reader = _Reader(container, stream, path, limits)
    reader.read(0 if indexed else LOOK_AT if declared is not None else None)
    found = Extent(reader.frame)
    if reader.frame is None:
        return found
    origin = reader.origin_s()
    if indexed and index[0].is_discard:
        origin += _moved_s(path, limits, stream, reader.place)
    found.origins_s = [origin, *reader.later_origins(origin)]
    if indexed:
        found.times_s, length = _indexed(stream)
    else:
        found.times_s, length = reader.times(found.origins_s)[:LOOK_AT], 0.0
    found.end_s = declared - origin if declared is not None else reader.end(found.origins_s)
    if length > found.end_s + _BELIEVED_S:
        found.end_s = length  # the header lies: the index has more frames than that
    return found


def _indexed(stream: VideoStream) -> tuple[list[float], float]:
    """Times of the first entries that are shown (an edit list may hide some), and how long all that are shown last together."""
    index, tick = stream.index_entries, float(stream.time_base or 0)
    first = next((at for at in range(len(index)) if not index[at].is_discard), 0)
    last = next((at for at in range(len(index) - 1, first, -1) if not index[at].is_discard), first)
    times = [entry.timestamp * tick for entry in index[first : min(last + 1, first + LOOK_AT)]]
    gaps = [after - before for before, after in pairwise(times)]
    length = (index[last].timestamp - index[first].timestamp) * tick + (median(gaps) if gaps else 0.0)
    return [time - times[0] for time in times], length


def _moved_s(path: Path, limits: Limits, stream: VideoStream, place: int | None) -> float:
    """By how much FFmpeg moved the pictures: where an edit list begins in the middle of a frame, it leaves that frame out and shows the
    next one at once, but does not move the sound. ``place``: where in the file the first frame that is shown is."""
    with source.open_container(path, limits, advanced_editlist="0") as plain:
        for packet in plain.demux(plain.streams[stream.index]):
            if packet.pos is not None and packet.pos == place and packet.pts is not None:
                moved_s = packet.pts * float(stream.time_base or 0)
                return moved_s if 0 < moved_s < 2.0 / source.frame_rate(stream) else 0.0
    return 0.0


class _Reader:
    """Reads packets of a video stream, and decodes until its first frame.

    The container's clock may start anew (joined transport streams): each part has its frames as (start, end) by this clock."""

    def __init__(self, container: InputContainer, stream: VideoStream, path: Path, limits: Limits) -> None:
        self._container, self._stream, self._path, self._limits = container, stream, path, limits
        self._tick = float(stream.time_base or 0)
        self._avi = container.format.name == "avi"
        self._nominal = 1.0 / source.frame_rate(stream)
        self._parts: list[list[tuple[float, float]]] = [[]]
        self._latest = float("-inf")
        self._fed: dict[int, Packet[Any]] = {}
        self.frame: VideoFrame | None = None

    def read(self, packets: int | None) -> None:
        """Read until there is a frame, and at least so many packets; None: all. What breaks off was read up to there."""
        import av

        count = 0
        try:
            for packet in self._container.demux(self._stream):
                count += 1
                if packets != 0 and packet.size:
                    self._note(packet)
                    source.check_frames(self._path, count, self._limits)
                if self.frame is None:
                    self._decode(packet)
                if packets is not None and count >= packets and (self.frame is not None or count >= _PATIENCE):
                    break
        except av.FFmpegError:
            pass

    def _decode(self, packet: Packet[Any]) -> None:
        import av

        check_packet(packet, self._path)
        if packet.pts is not None and not packet.is_discard:
            self._fed[packet.pts] = packet
        try:
            self.frame = next(iter(self._stream.decode(packet)), None)
        except av.FFmpegError:
            return
        if self.frame is not None:
            self._parts = self._parts[-1:]  # a part without a frame that can be shown is no part of the clip

    def _note(self, packet: Packet[Any]) -> None:
        stamp = packet.dts if self._avi or packet.pts is None else packet.pts
        if stamp is None or packet.is_discard:
            return
        order = (stamp if packet.dts is None else packet.dts) * self._tick
        if order <= self._latest - JUMP_S:
            self._parts.append([])
            self._latest = order
        self._latest = max(self._latest, order)
        start = stamp * self._tick
        self._parts[-1].append((start, start + ((packet.duration or 0) * self._tick or self._nominal)))

    def origin_s(self) -> float:
        """When the first frame is shown, by the container's clock."""
        frame = self.frame
        assert frame is not None
        if self._avi:
            # AVI has no presentation times, only the order of its chunks: a frame is shown at the time of its own chunk, however
            # long a decoder holds it back.
            own = self._fed.get(frame.pts) if frame.pts is not None else None
            stamp = own.dts if own is not None else frame.dts
            return (stamp or 0) * self._tick
        return float(frame.time) if frame.time is not None else 0.0

    @property
    def place(self) -> int | None:
        """Where in the file the first frame that is shown begins."""
        assert self.frame is not None
        own = self._fed.get(self.frame.pts) if self.frame.pts is not None else None
        return own.pos if own is not None else None

    def later_origins(self, origin: float) -> list[float]:
        """What is subtracted from the clock of each later part: its first frame follows the last one of the part before."""
        found: list[float] = []
        for before, part in pairwise(self._parts):
            end_s = max(end for _, end in before) - origin
            origin = min(start for start, _ in part) - end_s
            found.append(origin)
        return found

    def times(self, origins_s: list[float]) -> list[float]:
        """Ascending times of the frames that are shown, in seconds of the clip."""
        found = (start - origin for part, origin in zip(self._parts, origins_s, strict=True) for start, _ in part)
        return sorted(time for time in found if time > -1e-6)

    def end(self, origins_s: list[float]) -> float:
        """When the last frame ends, in seconds of the clip."""
        return max((end - origins_s[-1] for _, end in self._parts[-1]), default=self._nominal)
