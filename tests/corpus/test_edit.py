"""Effects, degradations, patches and scenes: what the truth says of them can be measured in the frames."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from reelbench.corpus.script import Script
from reelbench.corpus.synthetic import Job, make_scene, render

BOX = (150, 120, 260, 230)
PAN = {"seconds": 4, "ease": "linear", "camera": [{"at": 0, "x": 0.1}, {"at": 4, "x": 0.9}]}


def labels(spans):
    return [(span.start_s, span.end_s, span.label) for span in spans]


@pytest.fixture
def scene(studio):
    """A clip of 4 s at 10 frames/s: the camera pans over a red rectangle on grey."""

    def make(shots=None, **more):
        photographs = {"sign": studio.picture("sign", (400, 360), ground=120, box=BOX)}
        shots = [{"photograph": "sign", **shot} for shot in shots or [PAN]]
        return make_scene(studio.job(shots, photographs, **({"noise": 2} | more)))

    return make


def places(scene):
    return [scene.objects(number)[0].box[0] for number in range(scene.timeline.frames)]


def test_a_freeze_repeats_one_frame_and_then_goes_on(scene):
    frozen, free = scene(effects=[{"kind": "freeze", "start": 1, "end": 2}]), scene()
    frames = [frozen.frame(number) for number in range(40)]
    assert all(np.array_equal(frames[number], frames[10]) for number in range(10, 20))
    assert not np.array_equal(frames[19], frames[20])
    assert all(np.array_equal(frames[number], free.frame(number - 9)) for number in (20, 39))
    assert places(frozen)[:11] + places(frozen)[20:] == places(free)[:31], "the truth moves with the picture"
    truth = frozen.truth()
    assert labels(truth.camera) == [(0, 1, "pan_right"), (1, 2, "still"), (2, 4, "pan_right")]
    assert labels(truth.effects) == [(1, 2, "freeze")]


def test_slow_motion_shows_each_frame_as_often_as_it_says(scene):
    slow, free = scene(effects=[{"kind": "slow_motion", "start": 1, "end": 2.2, "repeat": 3}]), scene()
    shown = [next(n for n in range(40) if np.array_equal(slow.frame(number), free.frame(n))) for number in range(24)]
    assert shown == [*range(10), *(n for n in range(10, 14) for _ in range(3)), 14, 15]
    assert labels(slow.truth().camera) == [(0, 4, "pan_right")]


def test_fades_and_flashes_change_the_light_and_hide_what_is_there(scene):
    effects = [
        {"kind": "fade", "direction": "in", "start": 0, "end": 1},
        {"kind": "flash", "start": 2, "end": 2.3},
        {"kind": "fade", "direction": "out", "start": 3.5, "end": 4},
    ]
    edited = scene(effects=effects, noise=0)
    light = [edited.frame(number)[300].mean() for number in range(40)]
    assert light[0] < 10 and light[39] < 15 and light[:10] == sorted(set(light[:10]))
    assert [number for number, value in enumerate(light) if value > 230] == [20, 21, 22]
    assert light[10] == pytest.approx(120, abs=1) and light[34] == pytest.approx(120, abs=1)
    state = [[item.ignore for item in edited.objects(number)] for number in (0, 3, 9, 19, 20, 23, 37)]
    assert state == [[], [True], [False], [False], [], [False], [True]]


def test_effects_of_the_script_stand_beside_its_transitions(scene):
    shots = [{"seconds": 2}, {"seconds": 2, "enter": {"kind": "dissolve", "seconds": 0.5}}]
    edited = scene(shots, effects=[{"kind": "sepia", "start": 0.5, "end": 1}])
    assert labels(edited.truth().effects) == [(0.5, 1, "sepia"), (2, 2.5, "dissolve")]
    assert scene(shots).truth().effects is None and scene().truth().effects is None
    assert scene(states=["effects"]).truth().effects == () and scene(shots, states=["effects"]).truth().effects


def test_filters_take_the_colour_and_blur_the_edges(scene):
    effects = [
        {"kind": "grayscale", "start": 0, "end": 1},
        {"kind": "sepia", "start": 1, "end": 2},
        {"kind": "blur", "start": 2, "end": 4, "sigma": 24},
    ]
    edited = scene(effects=effects, noise=0)
    gray, sepia = edited.frame(5).astype(int), edited.frame(15).astype(int)
    assert (gray.max(axis=2) == gray.min(axis=2)).all()
    assert (sepia[:, :, 0] >= sepia[:, :, 1]).all() and (sepia[:, :, 1] > sepia[:, :, 2]).all()

    def sharp(number):
        return cv2.Laplacian(cv2.cvtColor(edited.frame(number), cv2.COLOR_RGB2GRAY), cv2.CV_64F).var()

    assert sharp(20) > 3 * sharp(30) and sharp(39) > 3 * sharp(30)


@pytest.mark.parametrize(
    ("kind", "measure"),
    [
        ("blur", lambda image, plain: -cv2.Laplacian(image[:, :, 0], cv2.CV_64F).var()),
        ("noise", lambda image, plain: image[250:].astype(float).std()),
        ("blocks", lambda image, plain: np.abs(image.astype(float) - plain).mean()),
        ("dark", lambda image, plain: -image.mean()),
        ("bright", lambda image, plain: image.mean()),
    ],
)
def test_a_degradation_grows_with_its_level(scene, kind, measure):
    steps = [{"kind": kind, "level": level, "start": at, "end": at + 1} for at, level in ((1, 0.3), (2, 0.6), (3, 1.0))]
    still = [{"seconds": 4, "camera": [{"zoom": 1.2}]}]
    worse, plain = scene(still, degrade=steps), scene(still).frame(0).astype(float)
    found = [measure(worse.frame(number), plain) for number in (5, 15, 25, 35)]
    assert found == sorted(found) and len(set(found)) == 4, found
    truth = worse.truth().degradations
    assert [(step.start_s, step.end_s, step.kind, step.level) for step in truth] == [
        (step["start"], step["end"], kind, step["level"]) for step in steps
    ]
    assert scene().truth().degradations is None and scene(states=["degradations"]).truth().degradations == ()


def test_patches_cover_what_the_palette_says(studio, decode):
    colours = [("#e4572e", 0.5), ("#17bebb", 0.3), ("#ffc914", 0.2)]
    patches = [{"colour": colour, "share": share} for colour, share in colours]
    photographs = {"blank": studio.picture("blank", (180, 320))}
    shots = [
        {"patches": patches, "seconds": 1},
        {"photograph": "blank", "seconds": 1, "enter": {"kind": "dissolve", "seconds": 0.5}},
        {
            "patches": [*patches[:1], {"colour": "#000000", "share": 0.5}],
            "seconds": 1,
            "enter": {"kind": "fade", "seconds": 0.4},
        },
    ]
    job = studio.job(shots, photographs, crf=4)
    first, last = make_scene(job).truth().palettes
    assert (first.start_s, first.end_s, last.start_s, last.end_s) == (0, 1, 2.2, 3)
    assert [colour for colour, _ in first.colours] == [colour for colour, _ in colours]
    assert np.allclose([share for _, share in first.colours], [share for _, share in colours], atol=0.005)
    render(job, studio.folder / "clip.mp4")
    image = decode(studio.folder / "clip.mp4")[5][1].astype(int)
    for colour, share in first.colours:
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(image - wanted).max(axis=2) <= 12).mean() == pytest.approx(share, abs=0.02)


def test_shots_of_one_scene_are_one_span(scene):
    names = ["street", "street", "kitchen", "street"]
    shots = [{"seconds": 1, "scene": name} for name in names]
    shots[2]["enter"] = {"kind": "dissolve", "seconds": 0.4}
    truth = scene(shots).truth()
    assert labels(truth.scenes) == [(0, 2.2, "street"), (2.2, 3, "kitchen"), (3, 4, "street")]
    changes = [span.start_s for span in truth.scenes[1:]]
    assert all(any(cut.start_s <= change <= cut.end_s for cut in truth.cuts) for change in changes)
    assert scene().truth().scenes is None


def test_clips_from_before_there_was_editing_keep_their_place():
    """The key of a script that says nothing new, as it was then; each new key changes it."""
    plain = {
        "shots": [{"photograph": "people", "seconds": 2}],
        "overlays": [{"text": "a", "font": "sans", "size": 40, "end": 1}],
    }
    new = [
        {},
        {"effects": [{"kind": "sepia", "start": 0, "end": 1}]},
        {"degrade": [{"kind": "blur", "start": 0, "end": 1, "level": 0.5}]},
        {"structure": [{"part": "hook", "start": 0, "end": 1}]},
        {"states": ["calls"]},
        {"shots": [{"photograph": "people", "seconds": 2, "scene": "pitch"}]},
        {"overlays": [{"text": "a", "font": "sans", "size": 40, "end": 1, "call": "buy"}]},
    ]
    keys = [Job("test", Script.model_validate(plain | more), {}, {}).key for more in new]
    assert keys[0] == "ca0c4a5f00cf" and len(set(keys)) == len(new)
