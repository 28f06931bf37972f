"""Draws the frames of a script and knows what is in them. Frame ``n`` depends on the script and ``n`` alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from reelbench.corpus import people, truths
from reelbench.corpus.boxes import area, carry, clip, covered, rounded
from reelbench.corpus.camera import Camera
from reelbench.corpus.clip import Truth, TruthFace, TruthFaces, TruthMask, TruthObject
from reelbench.corpus.content import content
from reelbench.corpus.degrade import Degrader
from reelbench.corpus.effects import Effects
from reelbench.corpus.lettering import Lettering, letter
from reelbench.corpus.materials import PhotographObject
from reelbench.corpus.painting import Noise, Painter
from reelbench.corpus.script import Script
from reelbench.corpus.sound import Soundtrack, mix
from reelbench.corpus.timeline import Part, Timeline
from reelbench.media.types import Image

JUDGED_SHARE = 0.35
"""An object of which less than this share of its core (else its box) can be seen is present but not judged."""
FILLING_SHARE = 0.25
"""What covers this share of the frame can be named, however much of it lies beyond."""
SEEN_SHARE = 0.05
"""Below this share, or below ``SEEN_PIXELS`` on a side, it is left out."""
SEEN_PIXELS = 6.0
JUDGED_OPACITY = 0.7
SEEN_OPACITY = 0.1
"""The same for a shot that is fading, dissolving or hidden by a flash."""
TRUTH_EVERY = 6


@dataclass(frozen=True, slots=True)
class Seen:
    """An object of a photograph in one frame. ``number`` is that of the object in its photograph; ``clear``: enough of it is in view
    to be named, whether its box is judged or not."""

    photograph: str
    number: int
    known: PhotographObject
    truth: TruthObject
    clear: bool


class Scene:
    """``pictures`` are the photographs (H×W×3, RGB) and ``fonts`` the font files, by their names in the script."""

    def __init__(
        self, script: Script, pictures: Mapping[str, Image], fonts: Mapping[str, Path], name: str = ""
    ) -> None:
        self.script = script
        self.name = name
        self.timeline = Timeline(script)
        self.letterings = [
            letter(overlay, fonts[overlay.font], script.size, f"{name or 'script'}: overlays[{number}]")
            for number, overlay in enumerate(script.overlays)
        ]
        self.contents = [content(script, shot, pictures) for shot in script.shots]
        self.cameras = [
            Camera(shot, shown.size, script.size, f"{script.seed}/{index}")
            for index, (shot, shown) in enumerate(zip(script.shots, self.contents, strict=True))
        ]
        self.effects = Effects(script, self.timeline)
        self.degrader = Degrader(script, self.timeline)
        self._painters: dict[int, Painter] = {}
        self._noise = Noise(script.seed, script.size, script.noise)

    def frame(self, number: int) -> Image:
        """Frame ``number`` as H×W×3 RGB, the caller's own."""
        import cv2

        layers = self.timeline.layers(number)
        images = [(self._painted(part, number), opacity) for part, opacity in layers]
        image, opacity = images[0]
        if len(images) == 2:
            image = cv2.addWeighted(image, opacity, images[1][0], images[1][1], 0)
        elif opacity < 1:
            image = cv2.convertScaleAbs(image, alpha=opacity)
        if self.script.light < 1:
            image = cv2.convertScaleAbs(image, alpha=self.script.light)
        image = self.degrader.optics(image, number)
        image = self._noise.onto(image, self.effects.source(layers[-1][0], number))
        image = self.effects.apply(self.degrader.grain(image, number), number)
        for shown in self.timeline.shown(number):
            self.letterings[shown].lay_over(image)
        return self.degrader.squeeze(image, number)

    @cached_property
    def sound(self) -> Soundtrack | None:
        """What is heard, made when it is first asked for; None where the script says nothing of it."""
        if self.script.sound is None:
            return None
        return mix(self.script.sound, self.timeline.frames / self.script.fps, self.script.seed, self.name)

    def objects(self, number: int) -> tuple[TruthObject, ...]:
        """What can be seen in frame ``number``."""
        return tuple(seen.truth for seen in self.seen(number))

    def seen(self, number: int) -> Iterator[Seen]:
        """The objects of frame ``number`` with where they come from."""
        texts = self._texts(number)
        for part, opacity in self._visible(number):
            camera, shown = self.cameras[part.index], self.contents[part.index]
            matrix = camera.matrix(self.local(part, number))
            for index, item in enumerate(shown.objects):
                whole = carry(item.box, matrix)
                box = clip(whole, camera.window.box)
                if min(box[2] - box[0], box[3] - box[1]) < SEEN_PIXELS or area(box) < SEEN_SHARE * area(whole):
                    continue
                core = carry(item.core, matrix) if item.core else whole
                visible = clip(core, camera.window.box)
                share = (area(visible) - covered(visible, texts)) / area(core)
                shows = opacity >= JUDGED_OPACITY
                ignore = item.ignore or share < JUDGED_SHARE or not shows
                truth = TruthObject(label=item.label, box=rounded(box), ignore=ignore)
                fills = area(box) >= FILLING_SHARE * self.script.size[0] * self.script.size[1]
                yield Seen(str(shown.name), index, item, truth, shows and (share >= JUDGED_SHARE or fills))

    def faces(self, number: int) -> TruthFaces | None:
        """The faces of frame ``number``; None where they are not known, or where it is arguable whether one can be seen."""
        texts = self._texts(number)
        found: list[TruthFace] = []
        for part, opacity in self._visible(number):
            camera, known = self.cameras[part.index], self.contents[part.index].faces
            if known is None or (known and opacity < JUDGED_OPACITY):
                return None
            matrix, shut = camera.matrix(self.local(part, number)), self.shut(part, number)
            for who, face in enumerate(known):
                hidden = covered(clip(carry(face.box, matrix), camera.window.box), texts)
                shows = people.shows(face, matrix, camera.window.box, hidden)
                if shows == "arguable":
                    return None
                if shows == "whole":
                    found.append(people.face(face, matrix, camera.window.box, who not in shut))
        return TruthFaces(t_s=self.timeline.seconds(number), faces=tuple(found))

    def mask(self, number: int) -> TruthMask | None:
        """The outlines of the people in frame ``number``; None where they are not known, or while they fade."""
        found = []
        for part, opacity in self._visible(number):
            camera, known = self.cameras[part.index], self.contents[part.index].people
            if known is None or (known and opacity < JUDGED_OPACITY):
                return None
            matrix = camera.matrix(self.local(part, number))
            found += [people.outline(line, matrix, camera.window.box) for line in known]
        return TruthMask(t_s=self.timeline.seconds(number), polygons=tuple(polygon for polygon in found if polygon))

    def truth(self, every: int = TRUTH_EVERY) -> Truth:
        """The truth of the clip: objects, faces and masks of each ``every``-th frame, exact there (faces also of each frame of a
        blink); everything else for the whole clip."""
        return truths.truth(self, every)

    def shut(self, part: Part, number: int) -> frozenset[int]:
        """The faces of a shot whose eyes are shut in frame ``number``."""
        since = self.effects.source(part, number) - part.start
        known = range(len(self.contents[part.index].faces or ()))
        return frozenset(
            who
            for blink in self.script.shots[part.index].blinks
            if 0 <= since - round(blink.at * self.script.fps) < blink.frames
            for who in known
            if blink.who in (None, who)
        )

    def local(self, part: Part, number: int) -> float:
        """The seconds of the shot that frame ``number`` shows."""
        return (self.effects.source(part, number) - part.start) / self.script.fps

    def _visible(self, number: int) -> list[tuple[Part, float]]:
        """The shots that can be made out in a frame, with their opacities."""
        left = self.effects.visibility(number)
        return [
            (part, opacity * left) for part, opacity in self.timeline.layers(number) if opacity * left >= SEEN_OPACITY
        ]

    def _texts(self, number: int) -> list[Lettering]:
        return [self.letterings[shown] for shown in self.timeline.shown(number)]

    def _painted(self, part: Part, number: int) -> Image:
        if part.index not in self._painters:
            # Frames are mostly asked for in order: only a neighbour can still be needed.
            self._painters = {index: kept for index, kept in self._painters.items() if abs(index - part.index) == 1}
            self._painters[part.index] = Painter(self.cameras[part.index], self.contents[part.index], self.script.size)
        return self._painters[part.index].paint(self.local(part, number), self.shut(part, number))
