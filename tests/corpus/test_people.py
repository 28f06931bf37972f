"""Faces, outlines, products, and what is asked of the viewer: carried to where they are seen, left out where nobody can say."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from reelbench.corpus.synthetic import make_scene

SKIN, EYE = (200, 150, 120), (20, 20, 20)
FACE = {"box": [140, 100, 260, 250], "eyes": [[170, 160], [230, 160]], "opening": [24, 12], "looking": True, "age": 30}
OUTLINE = [[150, 90], [250, 90], [300, 350], [100, 350]]


@pytest.fixture
def portrait(studio):
    """A photograph of 400×360 with a face of skin, two dark eyes, and a body below it."""
    image = np.full((360, 400, 3), 90, np.uint8)
    cv2.fillPoly(image, [np.array(OUTLINE)], (60, 60, 200))
    image[100:250, 140:260] = SKIN
    for x, y in FACE["eyes"]:
        cv2.ellipse(image, (int(x), int(y)), (11, 5), 0, 0, 360, EYE, -1)
    cv2.imwrite(str(studio.folder / "face.png"), image[:, :, ::-1])
    body = {"label": "tie", "box": [180, 250, 220, 350], "product": "clothing", "ignore": True}
    return {"file": "face.png", "size": [400, 360], "objects": [body], "faces": [FACE], "people": [OUTLINE]}


@pytest.fixture
def scene(studio, portrait):
    def make(shots, annotated=True, **more):
        known = portrait if annotated else {k: v for k, v in portrait.items() if k not in ("faces", "people")}
        photographs = {"face": known, "blank": studio.picture("blank", (180, 320)) | {"faces": [], "people": []}}
        more = {"states": ["faces", "masks", "products"]} | more
        return make_scene(studio.job([{"photograph": "face", **shot} for shot in shots], photographs, **more))

    return make


def darkest(image, box):
    """The centre of what is darkest within a box."""
    x1, y1, x2, y2 = (round(side) for side in box)
    ys, xs = np.nonzero(image[y1:y2, x1:x2].max(axis=2) < 60)
    return x1 + xs.mean() + 0.5, y1 + ys.mean() + 0.5


def test_eyes_and_outline_are_where_the_picture_shows_them(scene):
    moved = scene(
        [{"seconds": 1, "camera": [{"at": 0, "x": 0.42, "zoom": 1.2}, {"at": 1, "x": 0.55}], "shake": {"degrees": 3}}]
    )
    for number in range(0, 10, 3):
        image = moved.frame(number)
        (face,) = moved.faces(number).faces
        middle = (face.eyes[0][0] + face.eyes[1][0]) / 2
        for eye, box in zip(
            face.eyes, ((0, face.box[1], middle, face.box[3]), (middle, face.box[1], 180, face.box[3])), strict=True
        ):
            assert np.hypot(*np.subtract(darkest(image, box), eye)) < 1.5
        assert (face.open, face.looking, face.age) == (True, True, 30)
        painted = np.zeros(image.shape[:2], np.uint8)
        for polygon in moved.mask(number).polygons:
            assert all(0 <= x <= 180 and 0 <= y <= 320 for x, y in polygon), "it leaves the frame"
            cv2.fillPoly(painted, [np.rint(polygon).astype(np.int32)], 1)
        person = np.abs(image.astype(int) - 90).max(axis=2) > 40
        assert (painted.astype(bool) & person).sum() / (painted.astype(bool) | person).sum() > 0.93


def test_a_blink_shuts_the_eyes_for_its_frames_and_no_others(scene):
    blinking = scene([{"seconds": 2, "blinks": [{"at": 0.7, "frames": 3}]}])
    truth = {instant.t_s: instant.faces[0].open for instant in blinking.truth().faces}
    assert truth == {0: True, 0.6: True, 0.7: False, 0.8: False, 0.9: False, 1.0: True, 1.2: True, 1.8: True}
    (face,) = blinking.faces(7).faces
    x1, y1, x2, y2 = (round(side) for side in face.box)
    dark = [(blinking.frame(number)[y1:y2, x1:x2].max(axis=2) < 60).sum() for number in (6, 7, 9, 10)]
    assert dark[0] == dark[3] > 5 * max(dark[1], dark[2], 1)


def test_where_a_face_is_arguable_the_instant_is_left_out(scene):
    pan = {"seconds": 2, "ease": "linear", "camera": [{"at": 0, "x": 0.5, "zoom": 1.2}, {"at": 2, "x": 1.0}]}
    away = scene([pan])
    counts = [None if away.faces(number) is None else len(away.faces(number).faces) for number in range(20)]
    assert counts[0] == 1 and None in counts and counts == sorted(counts, key=[1, None, 0].index)
    shots = [{"seconds": 1}, {"photograph": "blank", "seconds": 1, "enter": {"kind": "dissolve", "seconds": 0.5}}]
    mixed = scene(shots)
    found = [mixed.faces(number) for number in (5, 12, 16)]
    assert len(found[0].faces) == 1 and found[1] is None and found[2].faces == ()
    assert [mixed.mask(number) and len(mixed.mask(number).polygons) for number in (5, 12, 16)] == [1, None, 0]


def test_nothing_is_said_of_what_was_not_annotated_or_not_asked_for(scene):
    unknown = scene([{"seconds": 1}], annotated=False).truth()
    assert unknown.faces == () and unknown.masks == (), "no instant is known"
    silent = scene([{"seconds": 1}], states=[]).truth()
    assert silent.faces is silent.masks is silent.products is silent.calls is None
    assert scene([{"seconds": 1}], states=["calls"]).truth().calls == ()


def test_products_are_there_while_they_are_seen(scene):
    shots = [{"seconds": 1}, {"photograph": "blank", "seconds": 1}, {"seconds": 1}]
    flash = [{"kind": "flash", "start": 0.4, "end": 0.6}]
    spans = scene(shots, effects=flash).truth().products
    assert [(span.start_s, span.end_s, span.label) for span in spans] == [(0, 1, "clothing"), (2, 3, "clothing")]


def test_calls_and_structure_come_from_the_script(scene):
    overlays = [
        {"text": "follow\nme", "font": "fredoka", "size": 20, "start": 0.5, "end": 1, "call": "follow"},
        {"text": "hello", "font": "fredoka", "size": 20, "end": 0.4},
    ]
    structure = [{"part": "hook", "start": 0, "end": 0.5}, {"part": "call_to_action", "start": 0.5, "end": 1}]
    truth = scene([{"seconds": 1}], overlays=overlays, structure=structure).truth()
    assert [(call.start_s, call.end_s, call.label, call.text) for call in truth.calls] == [
        (0.5, 1, "follow", "follow me")
    ]
    assert [(part.start_s, part.end_s, part.label) for part in truth.structure] == [
        (0, 0.5, "hook"),
        (0.5, 1, "call_to_action"),
    ]
