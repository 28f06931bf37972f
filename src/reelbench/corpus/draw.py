"""Draws the truth into the frames of a synthetic clip, so that an author sees at once what a script means."""

from __future__ import annotations

from collections.abc import Iterator

from reelbench.corpus.clip import Truth
from reelbench.corpus.scene import Scene
from reelbench.media.types import Image
from reelbench.results import Box

JUDGED, IGNORED, TEXT, NOTE = (0, 230, 0), (255, 176, 0), (0, 220, 255), (255, 90, 255)


def with_truth(scene: Scene) -> Iterator[Image]:
    """Every frame with its objects (green; orange: not judged), overlay boxes (cyan), and time, camera moves and cuts below."""
    truth = scene.truth()
    for number in range(scene.timeline.frames):
        image = scene.frame(number)
        for item in scene.objects(number):
            _box(image, item.box, item.label, IGNORED if item.ignore else JUDGED)
        for shown in scene.timeline.shown(number):
            _box(image, scene.letterings[shown].box, "", TEXT)
        _note(image, describe(truth, scene.timeline.seconds(number)))
        yield image


def describe(truth: Truth, t_s: float) -> str:
    """The line of text below: the time, the camera's moves, and a cut for half a second after it."""
    moves = [span.label for span in truth.camera or () if span.start_s <= t_s < span.end_s]
    cuts = [cut.kind for cut in truth.cuts or () if cut.start_s <= t_s < max(cut.end_s, cut.start_s + 0.5)]
    return "  ".join([f"{t_s:.2f} s", *moves, *(f"[{kind}]" for kind in cuts)])


def _box(image: Image, box: Box, label: str, colour: tuple[int, int, int]) -> None:
    import cv2

    x1, y1, x2, y2 = (round(side) for side in box)
    cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), colour, 2)
    if label:
        cv2.putText(image, label, (x1 + 5, y1 + 22), cv2.FONT_HERSHEY_SIMPLEX, 0.7, colour, 2, cv2.LINE_AA)


def _note(image: Image, text: str) -> None:
    import cv2

    place = (10, image.shape[0] - 14)
    for colour, width in (((0, 0, 0), 5), (NOTE, 2)):
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.8, colour, width, cv2.LINE_AA)
