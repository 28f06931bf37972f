"""Tracks of lines to overlays: the lines of one overlay come and go together, and two overlays that happen to stand close do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reelbench.analyzers.overlay.tracks import Kind, Layout, Merging, Track, follow, kind_of
from reelbench.analyzers.overlay.watch import Sample
from reelbench.results import Box, Event

_SAID_FROM_DEGREES = 5.0
_PAUSE_S = 0.5
_UNSURE = "the recogniser is not sure of these characters: another script, or too small, blurred or distorted"


def events(
    samples: Sequence[Sample], duration_s: float, size: tuple[int, int], merging: Merging, layout: Layout
) -> list[Event]:
    """The overlays of a clip of ``size`` (width, height), and what stands like one and cannot be read, in the order of appearance."""
    tracks = follow(samples, duration_s, merging)
    kinds = {id(track): kind_of(track, duration_s, size, layout) for track in tracks}
    _admit_series(tracks, kinds)
    groups = _groups([track for track in tracks if track.best.read], merging)
    found = [_overlay(group, size) for group in groups if _laid_over(group, [kinds[id(track)] for track in group])]
    found += [_unreadable(track, size) for track in tracks if kinds[id(track)] is Kind.UNREADABLE]
    return sorted(found, key=lambda event: (event.start_s, event.box or (), event.text or ""))


def _admit_series(tracks: Sequence[Track], kinds: dict[int, Kind]) -> None:
    """What is too brief to be an overlay by itself is one where it follows an overlay, or precedes one, at its very place: captions
    that keep pace with speech are as short as its words."""
    overlays = [track for track in tracks if kinds[id(track)] is Kind.OVERLAY]
    while overlays:
        known = overlays.pop()
        for track in tracks:
            if kinds[id(track)] is Kind.BRIEF and _in_turn(track, known):
                kinds[id(track)] = Kind.OVERLAY
                overlays.append(track)


def _in_turn(a: Track, b: Track) -> bool:
    """Whether one takes the other's place: about as high, around the same point, and soon after the other is gone."""
    pause = max(a.start_s, b.start_s) - min(a.end_s, b.end_s)
    one, two = a.best.box, b.best.box
    low, high = sorted((one[3] - one[1], two[3] - two[1]))
    across, down = (abs(one[i] + one[i + 2] - two[i] - two[i + 2]) / 2 for i in (0, 1))
    return 0 <= pause <= _PAUSE_S and low >= 0.6 * high and across <= high and down <= 0.5 * high


def _laid_over(group: Sequence[Track], kinds: Sequence[Kind]) -> bool:
    """Whether most of what the group says stands like an overlay: a short word is told from the scene by the words around it."""
    lengths = [len(track.text) for track in group]
    return 2 * sum(n for n, kind in zip(lengths, kinds, strict=True) if kind is Kind.OVERLAY) > sum(lengths)


def _groups(tracks: Sequence[Track], merging: Merging) -> list[list[Track]]:
    """Tracks that belong together, found from neighbour to neighbour."""
    groups: list[list[Track]] = []
    for track in tracks:
        near = [group for group in groups if any(_neighbours(track, other, merging) for other in group)]
        groups = [group for group in groups if group not in near]
        groups.append([track, *(one for group in near for one in group)])
    return groups


def _neighbours(a: Track, b: Track, merging: Merging) -> bool:
    """Lines of one overlay: they come and go together, are of about one height, and stand next to or below each other.

    Together means in the same frame. What may part two such lines is a reader that misses one of them, in as many samples as a track
    may miss; so the lines of a list that grows line by line are overlays of their own, however long they then stand together.
    """
    if max(abs(a.first - b.first), abs(a.last - b.last)) > merging.gap + 1:
        return False
    shared = min(a.end_s, b.end_s) - max(a.start_s, b.start_s)
    whole = max(a.end_s, b.end_s) - min(a.start_s, b.start_s)
    if shared < merging.together * whole:
        return False
    one, two = a.best.box, b.best.box
    low, high = sorted((one[3] - one[1], two[3] - two[1]))
    if low < 0.6 * high:
        return False
    across, down = _shared(one[0], one[2], two[0], two[2]), _shared(one[1], one[3], two[1], two[3])
    beside = down >= 0.6 * low and across >= -1.0 * high
    below = across >= 0.3 * min(one[2] - one[0], two[2] - two[0]) and down >= -0.8 * low
    return beside or below


def _shared(a1: float, a2: float, b1: float, b2: float) -> float:
    """The length that two intervals share; below 0 it is the gap between them."""
    return min(a2, b2) - max(a1, b1)


def _overlay(group: Sequence[Track], size: tuple[int, int]) -> Event:
    boxes = [track.best.box for track in group]
    best = max(group, key=lambda track: track.best.score).best
    around = min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)
    return Event(
        start_s=min(track.start_s for track in group),
        end_s=max(track.end_s for track in group),
        label=Kind.OVERLAY.value,
        # That of its weakest line: an overlay is as sure as that.
        score=min(track.best.score for track in group),
        box=_clipped(around, size),
        text=_text(group),
        attributes=_angle(best.angle),
    )


def _unreadable(track: Track, size: tuple[int, int]) -> Event:
    return Event(
        start_s=track.start_s,
        end_s=track.end_s,
        label=Kind.UNREADABLE.value,
        score=track.best.score,
        box=_clipped(track.best.box, size),
        attributes={"guess": track.text, "reason": _UNSURE, **_angle(track.best.angle)},
    )


def _angle(degrees: float) -> dict[str, Any]:
    return {"angle_degrees": round(degrees, 1)} if abs(degrees) >= _SAID_FROM_DEGREES else {}


def _text(group: Sequence[Track]) -> str:
    """Rows from top to bottom, joined by line breaks; within a row from left to right, joined by spaces."""
    rows: list[list[Track]] = []
    for track in sorted(group, key=lambda one: (one.best.box[1] + one.best.box[3], one.best.box[0])):
        middle = (track.best.box[1] + track.best.box[3]) / 2
        above = rows[-1][0].best.box if rows else None
        if above is not None and above[1] < middle < above[3] and not _below(rows[-1], track):
            rows[-1].append(track)
        else:
            rows.append([track])
    return "\n".join(" ".join(t.text for t in sorted(row, key=lambda one: one.best.box[0])) for row in rows)


def _below(row: Sequence[Track], track: Track) -> bool:
    """Whether ``track`` lies under a part of ``row`` instead of beside it."""
    box = track.best.box
    return any(_shared(one.best.box[0], one.best.box[2], box[0], box[2]) > 0.3 * (box[2] - box[0]) for one in row)


def _clipped(box: Box, size: tuple[int, int]) -> Box:
    width, height = size
    x1, y1 = min(max(box[0], 0.0), width), min(max(box[1], 0.0), height)
    return x1, y1, min(max(box[2], x1), width), min(max(box[3], y1), height)
