"""Decoding a stream packet by packet, over damaged packets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reelbench.media.tracks import check_packet

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet

MOST_DAMAGED = 1000
"""So many packets may be damaged before the rest of a stream is given up: it then costs seconds at most."""

_MOST_UNREAD = 100
_PLACES = 20
_LOOK_EVERY = 16


class Damage:
    """The packets of a stream that could not be decoded: how many, and where the first of them are (seconds by the container's clock).

    ``gave_up``: there were so many, or the file broke off, that the rest was not read.
    """

    def __init__(self) -> None:
        self.packets = 0
        self.gave_up = False
        self._times: list[float] = []

    def add(self, packet: Packet[Any] | None, count: int = 1) -> None:
        self.packets += count
        stamp = None if packet is None else packet.pts if packet.pts is not None else packet.dts
        if packet is not None and stamp is not None and packet.time_base and len(self._times) < _PLACES:
            self._times.append(float(stamp * packet.time_base))

    def facts(self, origin_s: float) -> dict[str, Any]:
        """For the record: ``packets`` and, in seconds of the clip, where the first `_PLACES` are; empty where there are none."""
        if not self.packets:
            return {}
        return {"packets": self.packets, "at_s": [round(time - origin_s, 3) for time in self._times]}


def decoded(path: Path, container: InputContainer, stream: Any, damage: Damage) -> Iterator[Any]:
    """The frames of ``stream``. A packet that cannot be decoded is left out and noted in ``damage``.

    Before the first frame only a key frame that fails is damage: the others belong to pictures that begin before the file does.
    Raises MediaError for encrypted packets.
    """
    import av

    begun, decode = False, stream.decode
    for count, packet in enumerate(_packets(container, stream, damage)):
        # A file may begin in the clear; to look at every packet would cost a measurable part of decoding sound.
        if count % _LOOK_EVERY == 0:
            check_packet(packet, path)
        try:
            frames = decode(packet)
        except av.FFmpegError:
            check_packet(packet, path)
            if begun or packet.is_keyframe:
                damage.add(packet)
            if damage.packets >= MOST_DAMAGED:
                damage.gave_up = True
                return
            continue
        if frames:
            begun = True
            yield from frames
    if damage.gave_up:  # no end was read, which would have made the decoder hand out what it still holds
        with suppress(av.FFmpegError):
            yield from stream.decode(None)


def _packets(container: InputContainer, stream: Any, damage: Damage) -> Iterator[Packet[Any]]:
    """The packets of ``stream``; where reading fails it is tried further on, and what was missed is damage if anything follows."""
    import av

    failed = 0
    while failed < _MOST_UNREAD:
        try:
            for packet in container.demux(stream):
                if failed and packet.size:
                    damage.add(packet, failed)
                    failed = 0
                yield packet
            break
        except av.FFmpegError:
            failed += 1
    damage.gave_up = damage.gave_up or failed > 0
