"""Scripts: the shipped ones hold together, and a wrong one is refused in one line that names file and key."""

from __future__ import annotations

import pytest
import yaml

from reelbench.corpus.materials import library
from reelbench.corpus.script import Script, load_script, shipped_scripts
from reelbench.corpus.synthetic import SyntheticCorpus, make_job, make_scene
from reelbench.errors import InputError
from reelbench.models.store import ModelStore

COCO = set(
    """person bicycle car motorcycle airplane bus train truck boat traffic_light fire_hydrant stop_sign parking_meter bench bird cat
    dog horse sheep cow elephant bear zebra giraffe backpack umbrella handbag tie suitcase frisbee skis snowboard sports_ball kite
    baseball_bat baseball_glove skateboard surfboard tennis_racket bottle wine_glass cup fork knife spoon bowl banana apple
    sandwich orange broccoli carrot hot_dog pizza donut cake chair couch potted_plant bed dining_table toilet tv laptop mouse
    remote keyboard cell_phone microwave oven toaster sink refrigerator book clock vase scissors teddy_bear hair_drier
    toothbrush""".replace("\n", " ").split()
)


@pytest.fixture(scope="module")
def store():
    store = ModelStore()
    store.ensure(SyntheticCorpus("synthetic").artifacts())
    return store


@pytest.mark.parametrize("name", shipped_scripts())
def test_shipped_script_looks_like_a_short_video(name, store):
    scene = make_scene(make_job(next(path for path in SyntheticCorpus("s").scripts if path.stem == name), store))
    script = scene.script
    assert script.title and script.fps == 30
    if not name.startswith("long_"):
        assert 5 <= script.seconds <= 20
    if script.sound and script.sound.speech:
        pytest.importorskip("espeakng_loader", reason="speech needs the extra 'speech'")
    truth = scene.truth(every=15)
    boxes = [item.box for frame in truth.objects for item in frame.objects] + [span.box for span in truth.overlays]
    width, height = script.size
    assert all(0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height for x1, y1, x2, y2 in boxes)
    assert any(not item.ignore for frame in truth.objects for item in frame.objects), "nothing is judged"
    assert scene.frame(0).shape == (height, width, 3)


def test_shipped_scripts_are_varied():
    scripts = [load_script(name) for name in shipped_scripts()]
    shots = [shot for script in scripts for shot in script.shots]
    assert len(scripts) >= 8
    assert {shot.photograph for shot in shots} - {None} == set(library().photographs)
    assert {overlay.font for script in scripts for overlay in script.overlays} == set(library().fonts)
    assert {shot.enter.kind for shot in shots} == {"cut", "fade", "dissolve"}
    assert {(720, 1280), (1280, 720), (1080, 1920)} == {script.size for script in scripts}
    assert {shot.layout for shot in shots} == {"cover", "letterbox"} and any(shot.shake for shot in shots)


def test_annotations_use_coco_names():
    labels = {item.label for photograph in library().photographs.values() for item in photograph.objects}
    assert {label.replace(" ", "_") for label in labels} <= COCO


GOOD = {
    "shots": [{"photograph": "bus", "seconds": 2}, {"photograph": "cat", "seconds": 2}],
    "overlays": [{"text": "hi", "font": "sans", "size": 40, "end": 2}],
}


@pytest.mark.parametrize(
    ("where", "value", "line"),
    [
        (["shots"], [], "shots: "),
        (["shots", 0, "photograph"], "tram", "shots[0].photograph: no photograph 'tram'"),
        (["shots", 0, "seconds"], -1, "shots[0].seconds: "),
        (["shots", 0, "zoom"], 2, "shots[0].zoom: unknown key"),
        (["shots", 0, "photograph"], None, "shots[0]: give either photograph or patches"),
        (["shots", 0, "patches"], [{"colour": "#ff0000", "share": 1}], "shots[0]: give either photograph or patches"),
        (
            ["shots", 0],
            {"seconds": 2, "patches": [{"colour": "#ff0000", "share": 0.5}]},
            "the shares of patches must add up to 1",
        ),
        (
            ["shots", 0],
            {"seconds": 2, "patches": [{"colour": "#ff0000", "share": 1}]},
            "shots[0]: patches take no overlay, effect, degradation or light",
        ),
        (["shots", 0, "scene"], "street", "either all of them name a scene, or none"),
        (["shots", 0, "blinks"], [{"at": 2}], "shots[0]: a blink lies beyond the shot's 2.0 s"),
        (["effects"], [{"kind": "blur", "start": 3, "end": 5}], "effects[0].end: 5.0 lies beyond the clip's 4 s"),
        (["effects"], [{"kind": "fade", "start": 0, "end": 1}], "effects[0]: direction (in or out) is for a fade"),
        (
            ["effects"],
            [{"kind": "fade", "start": 1, "end": 1.5, "direction": "in"}],
            "effects[0]: a fade in begins where a shot does",
        ),
        (["effects"], [{"kind": "flash", "start": 1, "end": 1.5}], "effects[0]: a flash lasts 2 to 4 frames, not 15"),
        (["effects"], [{"kind": "freeze", "start": 1, "end": 3}], "effects[0]: freeze lies within one shot"),
        (
            ["effects"],
            [{"kind": "freeze", "start": 1, "end": 1.5}, {"kind": "slow_motion", "start": 1.4, "end": 2}],
            "effects: freeze until 1.5 and slow_motion from 1.4 on overlap",
        ),
        (["degrade"], [{"kind": "blur", "start": 1, "end": 2, "level": 0}], "degrade[0].level: "),
        (
            ["structure"],
            [{"part": "hook", "start": 0, "end": 2}, {"part": "body", "start": 1, "end": 3}],
            "structure: the parts must follow one another",
        ),
        (["shots", 0, "aspect"], 1.0, "shots[0]: aspect is for layout: letterbox"),
        (["shots", 0, "enter"], {"kind": "fade", "seconds": 1}, "shots[0].enter: the first shot follows nothing"),
        (["shots", 1, "enter"], {"kind": "dissolve", "seconds": 3}, "shots[1].enter: longer than the shots"),
        (["shots", 1, "enter"], {"kind": "cut", "seconds": 1}, "shots[1].enter: a cut takes no seconds"),
        (["shots", 1, "camera"], [{"at": 1}, {"at": 1}], "shots[1]: the keys of camera must ascend"),
        (["shots", 1, "camera"], [{"at": 0}, {"at": 5}], "shots[1]: a camera key at 5.0 s lies beyond"),
        (["shots", 1, "camera"], [{"x": 1.5}], "shots[1].camera[0].x: "),
        (["overlays", 0, "font"], "comic", "overlays[0].font: no font 'comic'"),
        (["overlays", 0, "end"], 9, "overlays[0].end: 9.0 lies beyond the clip's 4 s"),
        (["overlays", 0, "start"], 3, "overlays[0]: end 2.0 does not lie after start 3.0"),
        (["overlays", 0, "colour"], "red", "overlays[0].colour: "),
        (["size"], [721, 1280], "size [721, 1280]: both sides must be even"),
        (["voices"], {}, "voices: unknown key"),
        (["fps"], "fast", "fps: "),
        (["photographs"], {"a": {"file": "a.png", "size": [10, 10]}}, "photographs.a.file: no such file"),
        (
            ["photographs"],
            {"a": {"file": "a.png", "size": [10, 10], "objects": [{"label": "cup", "box": [0, 0, 11, 5]}]}},
            "photographs.a: box [0.0, 0.0, 11.0, 5.0] of 'cup' does not lie within [10, 10]",
        ),
    ],
)
def test_wrong_script_is_one_line(tmp_path, where, value, line):
    content = yaml.safe_load(yaml.safe_dump(GOOD))
    Script.model_validate(content)
    node = content
    for step in where[:-1]:
        node = node[step]
    node[where[-1]] = value
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError) as caught:
        load_script(path)
    assert caught.value.message.startswith(f"{path}: ") and line in caught.value.message
    assert caught.value.hint or "no such file" in line


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"shots: [", "line 1"), (b"\xff\xfe\x00", "not a text file"), (b"", "the file: "), (b"a: b: c", "line 1")],
)
def test_not_yaml_is_one_line(tmp_path, content, line):
    path = tmp_path / "wrong.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_script(path)
    assert line in caught.value.message and "\n" not in str(caught.value)


def test_unknown_name_lists_the_shipped_scripts():
    with pytest.raises(InputError, match=r"nope: no such script \(shipped ones: .*street"):
        load_script("nope")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"text": "hi \N{GRINNING FACE}"}, "overlays[0]: font 'fredoka' has no glyph for '\N{GRINNING FACE}'"),
        ({"size": 200, "text": "enormous"}, "overlays[0]: the text leaves the frame"),
    ],
)
def test_text_that_cannot_be_shown_is_one_line(studio, change, line):
    overlay = {"text": "hi", "font": "fredoka", "size": 30, "end": 0.5} | change
    photographs = {"blank": studio.picture("blank", (180, 320))}
    job = studio.job([{"photograph": "blank", "seconds": 1}], photographs, overlays=[overlay])
    with pytest.raises(InputError) as caught:
        make_scene(job)
    assert line in caught.value.message


def test_picture_of_another_size_or_kind_is_refused(studio):
    entry = studio.picture("blank", (180, 320))
    job = studio.job([{"photograph": "blank", "seconds": 1}], {"blank": entry | {"size": [181, 320]}})
    with pytest.raises(InputError, match="180×320 pixels, but annotated for 181×320"):
        make_scene(job)
    (studio.folder / "blank.png").write_text("no picture")
    with pytest.raises(InputError, match="not a picture that can be read"):
        make_scene(job)


def test_long_texts_wrap_evenly(studio):
    photographs = {"blank": studio.picture("blank", (180, 320))}
    overlay = {"text": "one two three four five six seven", "font": "fredoka", "size": 20, "end": 1}
    (lettering,) = make_scene(
        studio.job([{"photograph": "blank", "seconds": 1}], photographs, overlays=[overlay])
    ).letterings
    lines = lettering.text.split("\n")
    assert len(lines) > 1 and " ".join(lines) == overlay["text"]
    assert min(map(len, lines)) >= max(map(len, lines)) / 2, lines
