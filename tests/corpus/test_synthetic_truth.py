"""The truth of a synthetic clip, measured again in the decoded frames."""

from __future__ import annotations

import av
import numpy as np
import pytest

from reelbench.corpus.clip import read_truth
from reelbench.corpus.synthetic import make_scene, render, truth_path

RECTANGLE = (150, 120, 260, 230)


def red_box(image):
    reds = (image[:, :, 0] > 140) & (image[:, :, 1] < 80) & (image[:, :, 2] < 80)
    ys, xs = np.nonzero(reds)
    return (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)


@pytest.mark.parametrize(
    "shot",
    [
        {"camera": [{"at": 0, "x": 0.25}, {"at": 1, "x": 0.75}]},
        {"camera": [{"at": 0, "x": 0.4, "y": 0.1, "zoom": 1.3}, {"at": 1, "y": 0.9}], "ease": "linear"},
        {"camera": [{"at": 0, "x": 0.45, "y": 0.45, "zoom": 2.0}, {"at": 1, "zoom": 1.0}]},
        {"camera": [{"x": 0.5}], "shake": {"pixels": 12, "degrees": 3, "hertz": 3}},
        {"camera": [{"at": 0, "x": 0.1}, {"at": 1, "x": 0.9, "zoom": 1.2}], "layout": "letterbox", "aspect": 1.0},
    ],
    ids=["pan", "tilt", "zoom", "shake", "letterbox"],
)
def test_box_is_where_the_rectangle_is(studio, decode, shot):
    photographs = {"sign": studio.picture("sign", (400, 360), box=RECTANGLE)}
    job = studio.job([{"photograph": "sign", "seconds": 1, **shot}], photographs)
    scene = make_scene(job)
    clip = studio.folder / "clip.mp4"
    render(job, clip)
    places = set()
    for number, (_, image) in enumerate(decode(clip)):
        (item,) = scene.objects(number)
        assert item.label == "stop sign" and not item.ignore
        assert np.abs(np.subtract(item.box, red_box(image))).max() <= 2, f"frame {number}"
        places.add(item.box)
    assert len(places) > 5, "the camera did not move"


def test_photographs_larger_than_the_frame_are_exact_too(studio):
    photographs = {"sign": studio.picture("sign", (1600, 1440), box=(600, 480, 1040, 920))}
    scene = make_scene(studio.job([{"photograph": "sign", "seconds": 0.5}], photographs))
    (item,) = scene.objects(0)
    assert np.abs(np.subtract(item.box, red_box(scene.frame(0)))).max() <= 1


def test_truth_file_holds_every_sixth_frame_exactly(studio):
    photographs = {"sign": studio.picture("sign", (400, 360), box=RECTANGLE)}
    job = studio.job(
        [{"photograph": "sign", "seconds": 2, "camera": [{"at": 0, "x": 0.3}, {"at": 2, "x": 0.7}]}], photographs
    )
    clip, scene = studio.folder / "clip.mp4", make_scene(job)
    render(job, clip)
    truth = read_truth(truth_path(clip))
    assert [frame.t_s for frame in truth.objects] == [0.0, 0.6, 1.2, 1.8]
    assert truth.objects[2].objects == scene.objects(12)
    assert [(span.start_s, span.end_s, span.label) for span in truth.camera] == [(0.0, 2.0, "pan_right")]
    assert truth == scene.truth()


def test_cuts_fades_and_dissolves_happen_when_the_truth_says(studio, decode):
    photographs = {
        name: studio.picture(name, (90, 160), level) for name, level in zip("abcd", (60, 200, 90, 220), strict=True)
    }
    shots = [
        {"photograph": "a", "seconds": 0.7},
        {"photograph": "b", "seconds": 1.0},
        {"photograph": "c", "seconds": 1.2, "enter": {"kind": "dissolve", "seconds": 0.5}},
        {"photograph": "d", "seconds": 1.0, "enter": {"kind": "fade", "seconds": 0.8}},
    ]
    job = studio.job(shots, photographs)
    clip = studio.folder / "clip.mp4"
    render(job, clip)
    cuts = read_truth(truth_path(clip)).cuts
    assert [(cut.kind, cut.start_s, cut.end_s) for cut in cuts] == [
        ("cut", 0.7, 0.7),
        ("dissolve", 1.7, 2.2),
        ("fade", 2.5, 3.3),
    ]
    level = {round(t * 10): image.mean() for t, image in decode(clip)}

    def near(number, grey):
        return abs(level[number] - grey) < 4

    assert near(6, 60) and near(7, 200)
    assert near(16, 200) and near(22, 90)
    assert all(level[n] > level[n + 1] + 4 for n in range(16, 22)), (
        "the dissolve is not gradual, or not in its interval"
    )
    assert near(24, 90) and near(33, 220)
    assert all(level[n] > level[n + 1] for n in range(24, 28)) and level[28] < 40 and level[29] < 40
    assert all(level[n] < level[n + 1] for n in range(29, 33))


def test_objects_are_not_judged_while_dissolved_out_of_view_or_covered(studio):
    photographs = {
        "sign": studio.picture("sign", (180, 320), box=(40, 100, 140, 200)),
        "edge": studio.picture("edge", (400, 360), box=(0, 100, 100, 260)),
        "blank": studio.picture("blank", (180, 320)),
    }
    shots = [
        {"photograph": "sign", "seconds": 2},
        {"photograph": "blank", "seconds": 1, "enter": {"kind": "dissolve", "seconds": 1}},
        {"photograph": "edge", "seconds": 2, "ease": "linear", "camera": [{"at": 0, "x": 0}, {"at": 2, "x": 1}]},
    ]
    panel = {"text": "MMMM MMMM", "font": "fredoka", "size": 40, "y": 0.47, "start": 1, "end": 1.5, "background": {}}
    scene = make_scene(studio.job(shots, photographs, overlays=[panel]))

    def state(number):
        return [item.ignore for item in scene.objects(number)]

    assert state(5) == [False]
    assert state(12) == [True], "a panel covers it"
    assert state(15) == [False], "the panel is gone"
    assert [state(n) for n in (20, 24, 29)] == [[False], [True], []], "dissolving"
    assert state(30) == [False]
    shares = [state(n) for n in range(30, 50)]
    assert [True] in shares and shares[-1] == [], "leaving the frame"
    assert shares == sorted(shares, key=[[False], [True], []].index)


def test_core_decides_whether_an_object_is_judged(studio):
    photograph = studio.picture("arm", (540, 320), box=(0, 100, 540, 200))
    photograph["objects"][0]["core"] = [0, 100, 200, 200]
    shots = [
        {"photograph": "arm", "seconds": 1, "camera": [{"x": 0}]},
        {"photograph": "arm", "seconds": 1, "camera": [{"x": 0.9}]},
    ]
    scene = make_scene(studio.job(shots, {"arm": photograph}))
    assert [item.ignore for item in scene.objects(0)] == [False]
    assert [item.ignore for item in scene.objects(10)] == [True]


def test_overlay_is_there_exactly_in_its_interval_and_box(studio, decode):
    photographs = {"blank": studio.picture("blank", (180, 320))}
    overlay = {"text": "hello", "font": "fredoka", "size": 40, "y": 0.3, "start": 0.5, "end": 1.2}
    job = studio.job([{"photograph": "blank", "seconds": 2}], photographs, overlays=[overlay])
    clip = studio.folder / "clip.mp4"
    render(job, clip)
    (span,) = read_truth(truth_path(clip)).overlays
    assert (span.start_s, span.end_s, span.text) == (0.5, 1.2, "hello")
    for number, (t, image) in enumerate(decode(clip)):
        bright = image.min(axis=2) > 150
        assert bright.any() == (span.start_s <= t < span.end_s), f"frame {number}"
        if bright.any():
            ys, xs = np.nonzero(bright)
            assert np.abs(np.subtract(span.box, (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1))).max() <= 2


def test_camera_moves_are_named_after_what_moves(studio):
    photographs = {"wide": studio.picture("wide", (400, 320)), "tall": studio.picture("tall", (180, 320))}
    shots = [
        {
            "photograph": "wide",
            "seconds": 4,
            "camera": [{"at": 1, "x": 0.8}, {"at": 2, "x": 0.1}, {"at": 3, "zoom": 1.5}],
        },
        {"photograph": "tall", "seconds": 1, "camera": [{"at": 0, "x": 0}, {"at": 1, "x": 1}]},
        {"photograph": "wide", "seconds": 1, "shake": {"pixels": 4}},
    ]
    truth = make_scene(studio.job(shots, photographs)).truth()
    assert [(span.start_s, span.end_s, span.label) for span in truth.camera] == [
        (0, 1, "still"),
        (1, 2, "pan_left"),
        (2, 3, "zoom_in"),
        (3, 4, "still"),
        (4, 5, "still"),  # nothing is free to pan over
        (5, 6, "shake"),
    ]


def test_file_is_what_phones_and_platforms_produce(studio):
    photographs = {"sign": studio.picture("sign", (400, 360), box=RECTANGLE)}
    job = studio.job(
        [{"photograph": "sign", "seconds": 1.5, "camera": [{"at": 0, "x": 0}, {"at": 1, "x": 1}]}], photographs, fps=30
    )
    clip = studio.folder / "clip.mp4"
    render(job, clip)
    with av.open(str(clip)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert (video.width, video.height, video.average_rate, video.pix_fmt) == (180, 320, 30, "yuv420p")
        assert float(audio.duration * audio.time_base) == pytest.approx(1.5, abs=0.05)
        frames = list(container.decode(video=0))
    assert [round(frame.time * 30, 6) for frame in frames] == list(range(45))
    assert av.video.frame.PictureType.B in {frame.pict_type for frame in frames}


def test_shake_moves_both_ways_within_what_it_allows(studio):
    photographs = {"sign": studio.picture("sign", (400, 360), box=RECTANGLE)}
    shots = [{"photograph": "sign", "seconds": 4, "shake": {"pixels": 10}}]
    scene = make_scene(studio.job(shots, photographs))
    corners = np.array([scene.objects(number)[0].box[:2] for number in range(40)])
    spread = corners.max(axis=0) - corners.min(axis=0)
    assert (spread > 6).all() and (spread <= 20).all(), spread
