"""Draws the truth into the frames of a synthetic clip, so that an author sees at once what a script means."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from reelbench.corpus.clip import Truth
from reelbench.corpus.scene import Scene
from reelbench.media.types import Image
from reelbench.results import Box

JUDGED, IGNORED, TEXT, NOTE = (0, 230, 0), (255, 176, 0), (0, 220, 255), (255, 90, 255)
PEOPLE, FACE, SHUT = (255, 255, 0), (255, 255, 255), (255, 0, 0)
LINE_HEIGHT = 30
LINE_CHARACTERS = 52


def with_truth(scene: Scene) -> Iterator[Image]:
    """Every frame with its truth, see ``drawn``."""
    truth = scene.truth()
    for number in range(scene.timeline.frames):
        yield drawn(scene, truth, number)


def drawn(scene: Scene, truth: Truth, number: int) -> Image:
    """One frame with its objects (green; orange: not judged), overlay boxes (cyan), faces (white; red: eyes shut) and
    outlines of people (yellow) where the truth has them, and below what else is true of its time."""
    image = scene.frame(number)
    for item in scene.objects(number):
        _box(image, item.box, item.label, IGNORED if item.ignore else JUDGED)
    for shown in scene.timeline.shown(number):
        _box(image, scene.letterings[shown].box, "", TEXT)
    if truth.masks is not None:
        _outlines(image, scene, number)
    if truth.faces is not None:
        _faces(image, scene, number)
    _note(image, describe(truth, scene.timeline.seconds(number)))
    return image


def describe(truth: Truth, t_s: float) -> str:
    """The text below: the time, the camera's moves, a cut for half a second after it, and every other span that holds then."""
    moves = [span.label for span in truth.camera or () if span.start_s <= t_s < span.end_s]
    cuts = [cut.kind for cut in truth.cuts or () if cut.start_s <= t_s < max(cut.end_s, cut.start_s + 0.5)]
    parts = {
        "fx": truth.effects,
        "scene": truth.scenes,
        "product": truth.products,
        "call": truth.calls,
        "part": truth.structure,
        "voice": truth.prosody,
    }
    spans = [
        f"{name}:{span.label}"
        for name, part in parts.items()
        for span in part or ()
        if span.start_s <= t_s < span.end_s
    ]
    worse = [f"{step.kind} {step.level:g}" for step in truth.degradations or () if step.start_s <= t_s < step.end_s]
    colours = [
        " ".join(f"{colour} {share:.2f}" for colour, share in palette.colours)
        for palette in truth.palettes or ()
        if palette.start_s <= t_s < palette.end_s
    ]
    return "  ".join([f"{t_s:.2f} s", *moves, *(f"[{kind}]" for kind in cuts), *spans, *worse, *colours])


def _box(image: Image, box: Box, label: str, colour: tuple[int, int, int]) -> None:
    import cv2

    x1, y1, x2, y2 = (round(side) for side in box)
    cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), colour, 2)
    if label:
        cv2.putText(image, label, (x1 + 5, y1 + 22), cv2.FONT_HERSHEY_SIMPLEX, 0.7, colour, 2, cv2.LINE_AA)


def _outlines(image: Image, scene: Scene, number: int) -> None:
    import cv2

    mask = scene.mask(number)
    for polygon in mask.polygons if mask else ():
        cv2.polylines(image, [np.rint(polygon).astype(np.int32)], True, PEOPLE, 2, cv2.LINE_AA)


def _faces(image: Image, scene: Scene, number: int) -> None:
    import cv2

    faces = scene.faces(number)
    for face in faces.faces if faces else ():
        colour = FACE if face.open else SHUT
        said = ["looks" if face.looking else "looks away"] if face.looking is not None else []
        _box(image, face.box, " ".join([*said, *([f"{face.age:g} years"] if face.age is not None else [])]), colour)
        for x, y in face.eyes:
            cv2.drawMarker(image, (round(x), round(y)), colour, cv2.MARKER_CROSS, 12, 1, cv2.LINE_AA)


def _note(image: Image, text: str) -> None:
    import textwrap

    import cv2

    lines = textwrap.wrap(text, LINE_CHARACTERS)
    for index, line in enumerate(lines):
        place = (10, image.shape[0] - 14 - LINE_HEIGHT * (len(lines) - 1 - index))
        for colour, width in (((0, 0, 0), 5), (NOTE, 2)):
            cv2.putText(image, line, place, cv2.FONT_HERSHEY_SIMPLEX, 0.8, colour, width, cv2.LINE_AA)
