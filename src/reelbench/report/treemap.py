"""A treemap of two levels: rectangles whose areas are in proportion to sizes, as near to squares as can be.

Method: Bruls, Huizing and van Wijk, 'Squarified treemaps', 2000. Across, positions are per cent of the width, so that a map fits a
phone; downwards they are pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 1000.0
"""The width for which the rectangles are laid out; on another one they keep their areas and change their shape."""
HEADER = 20.0


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a rectangle stands for. ``kind`` is its colour."""

    label: str
    size: int
    kind: str
    tip: str


@dataclass(frozen=True, slots=True)
class Box:
    """``x`` and ``width`` in per cent of the map, ``y`` and ``height`` in pixels. ``roomy``: its label fits."""

    leaf: Leaf
    x: float
    y: float
    width: float
    height: float
    roomy: bool


@dataclass(frozen=True, slots=True)
class Group:
    """A cache: its frame, and the boxes in it. ``headed``: there is room for its name above them."""

    box: Box
    boxes: tuple[Box, ...]
    headed: bool


def treemap(groups: Sequence[tuple[Leaf, Sequence[Leaf]]], height: float) -> list[Group]:
    """Lay out groups by the sum of their leaves. Nothing that has no size is drawn."""
    sized = [(head, [leaf for leaf in leaves if leaf.size > 0]) for head, leaves in groups]
    sized = sorted(((head, leaves) for head, leaves in sized if leaves), key=lambda one: -_sum(one[1]))
    frames = squarify([float(_sum(leaves)) for _, leaves in sized], (0.0, 0.0, WIDTH, height))
    return [_group(head, leaves, frame) for (head, leaves), frame in zip(sized, frames, strict=True)]


Rect = tuple[float, float, float, float]
"""x, y, width, height."""


def squarify(sizes: Sequence[float], rect: Rect) -> list[Rect]:
    """A rectangle for each size (positive, largest first), together filling ``rect``."""
    x, y, width, height = rect
    total = sum(sizes)
    scale = width * height / total if total else 0.0
    areas, placed = [size * scale for size in sizes], list[Rect]()
    start = 0
    while start < len(areas):
        side, end = min(width, height), start + 1
        while end < len(areas) and _worst(areas[start : end + 1], side) <= _worst(areas[start:end], side):
            end += 1
        row = areas[start:end]
        thick = sum(row) / side if side else 0.0
        at = 0.0
        for area in row:
            long = area / thick if thick else 0.0
            placed.append((x, y + at, thick, long) if width >= height else (x + at, y, long, thick))
            at += long
        if width >= height:
            x, width = x + thick, max(0.0, width - thick)
        else:
            y, height = y + thick, max(0.0, height - thick)
        start = end
    return placed


def _worst(row: Sequence[float], side: float) -> float:
    """The largest ratio of the sides of a row's rectangles."""
    total = sum(row)
    return (
        max(side * side * max(row) / (total * total), total * total / (side * side * min(row)))
        if total and side
        else 0.0
    )


def _group(head: Leaf, leaves: Sequence[Leaf], frame: Rect) -> Group:
    x, y, width, height = frame
    headed = width > 46 and height > 2 * HEADER
    top = HEADER if headed else 0.0
    inner = (x, y + top, width, height - top)
    ordered = sorted(leaves, key=lambda leaf: -leaf.size)
    boxes = [
        _box(leaf, place)
        for leaf, place in zip(ordered, squarify([float(leaf.size) for leaf in ordered], inner), strict=True)
    ]
    return Group(_box(head, frame), tuple(boxes), headed)


def _box(leaf: Leaf, rect: Rect) -> Box:
    x, y, width, height = rect
    return Box(leaf, 100 * x / WIDTH, y, 100 * width / WIDTH, height, roomy=width > 70 and height > 17)


def _sum(leaves: Sequence[Leaf]) -> int:
    return sum(leaf.size for leaf in leaves)
