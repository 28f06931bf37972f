"""Which shots and overlays a frame shows. Everything starts and ends on a whole frame."""

from __future__ import annotations

from dataclasses import dataclass

from reelbench.corpus.clip import Cut
from reelbench.corpus.script import Script


@dataclass(frozen=True, slots=True)
class Part:
    """Shot ``index`` covers frames ``start`` … ``end`` − 1; ``enter`` frames of its transition lie after ``start``, and for a fade
    as many before it."""

    index: int
    start: int
    end: int
    kind: str
    enter: int


class Timeline:
    def __init__(self, script: Script) -> None:
        self.fps = script.fps
        self.parts = _parts(script)
        self.frames = self.parts[-1].end
        self.overlays = [
            (at, max(at + 1, min(self.frames, round(item.end * self.fps))))
            for item in script.overlays
            for at in [round(item.start * self.fps)]
        ]

    def layers(self, frame: int) -> list[tuple[Part, float]]:
        """The shots of a frame with their opacities, lowest first; what is missing to 1 is black."""
        part = next(part for part in self.parts if part.start <= frame < part.end)
        since, left = frame - part.start, part.end - frame
        if part.kind == "dissolve" and since < part.enter:
            share = (since + 1) / (part.enter + 1)
            return [(self.parts[part.index - 1], 1 - share), (part, share)]
        if part.kind == "fade" and since < part.enter:
            return [(part, (since + 0.5) / part.enter)]
        after = self.parts[part.index + 1] if part.index + 1 < len(self.parts) else None
        if after and after.kind == "fade" and left <= after.enter:
            return [(part, (left - 0.5) / after.enter)]
        return [(part, 1.0)]

    def shown(self, frame: int) -> list[int]:
        """The overlays of a frame, by number."""
        return [number for number, (start, end) in enumerate(self.overlays) if start <= frame < end]

    def frame(self, seconds: float) -> int:
        """The frame that is nearest to a time, at most the clip's end."""
        return min(self.frames, round(seconds * self.fps))

    def seconds(self, frame: int) -> float:
        return round(frame / self.fps, 6)

    def cuts(self) -> tuple[Cut, ...]:
        """Every change of shot: a cut is the time of the new shot's first frame."""
        cuts = []
        for part in self.parts[1:]:
            before = part.enter if part.kind == "fade" else 0
            start, end = self.seconds(part.start - before), self.seconds(part.start + part.enter)
            cuts.append(Cut(start_s=start, end_s=end, kind=part.kind))
        return tuple(cuts)


def _parts(script: Script) -> list[Part]:
    parts, t = [], 0.0
    for index, shot in enumerate(script.shots):
        start, end = round(t * script.fps), max(round(t * script.fps) + 1, round((t + shot.seconds) * script.fps))
        length = shot.enter.seconds / 2 if shot.enter.kind == "fade" else shot.enter.seconds
        enter = max(1, round(length * script.fps)) if shot.enter.kind != "cut" else 0
        parts.append(Part(index, start, end, shot.enter.kind, enter))
        t += shot.seconds
    return parts
