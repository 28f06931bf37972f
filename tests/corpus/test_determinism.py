"""The same script and seed give the same frames, truth and file; another seed does not."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from reelbench.corpus.clip import Clip
from reelbench.corpus.scene import Scene
from reelbench.corpus.synthetic import SyntheticCorpus, make_scene, render, truth_path


@pytest.fixture
def busy(studio):
    """A script that uses everything random: noise and shake, and everything kept between frames."""

    def job(**more):
        photographs = {
            "sign": studio.picture("sign", (400, 360), box=(100, 100, 300, 250)),
            "blank": studio.picture("blank", (180, 320), 150),
        }
        shots = [
            {"photograph": "sign", "seconds": 0.5, "shake": {"pixels": 9, "degrees": 2}},
            {"photograph": "blank", "seconds": 0.5, "enter": {"kind": "dissolve", "seconds": 0.3}},
        ]
        return studio.job(shots, photographs, **({"noise": 3} | more))

    return job


def test_frames_do_not_depend_on_the_order_of_asking(busy):
    first, second = make_scene(busy()), make_scene(busy())
    forward = [first.frame(number) for number in range(10)]
    backward = [second.frame(number) for number in reversed(range(10))][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(forward, backward, strict=True))
    assert first.truth() == second.truth()


def test_files_are_equal_byte_for_byte(busy, tmp_path):
    for name in ("one", "two"):
        render(busy(), tmp_path / f"{name}.mp4")
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()
    assert truth_path(tmp_path / "one.mp4").read_bytes() == truth_path(tmp_path / "two.mp4").read_bytes()


def test_another_seed_gives_other_frames(busy):
    one, two = make_scene(busy()), make_scene(busy(seed=4))
    assert not np.array_equal(one.frame(0), two.frame(0))
    assert one.objects(3) != two.objects(3)


def test_frames_are_the_callers_own(busy):
    scene = make_scene(busy(noise=0))
    scene.frame(7)[:] = 0
    assert scene.frame(7).mean() > 20


class Derived:
    """A model store of which only ``derived`` is asked."""

    def __init__(self, root):
        self.root = root

    def derived(self, key):
        (self.root / key).mkdir(exist_ok=True, parents=True)
        return self.root / key

    def path(self, artifact):
        raise AssertionError(artifact)


def test_clips_are_rendered_once_and_anew_when_the_script_changes(studio, tmp_path):
    photographs = {"blank": studio.picture("blank", (180, 320))}
    script = studio.script([{"photograph": "blank", "seconds": 0.5}], photographs)
    store, said = Derived(tmp_path / "store"), []

    def clip() -> Clip:
        (only,) = SyntheticCorpus("synthetic", [str(script)]).clips(store, lambda *what: said.append(what))
        return only

    first, again = clip(), clip()
    assert said == [("rendered test", 1, 1)] and first == again
    assert first.sha256 == hashlib.sha256(first.path.read_bytes()).hexdigest()
    assert first.truth and first.truth.objects is not None
    truth_path(first.path).unlink()  # as after a crash between the clip and its truth
    assert clip() == first
    studio.script([{"photograph": "blank", "seconds": 0.6}], photographs)
    assert clip().path != first.path
    studio.picture("blank", (180, 320), ground=90)
    assert clip().path.name.startswith("test-")
    assert len({path.name for path in store.derived("synthetic").glob("*.mp4")}) == 3
    assert not list(store.derived("synthetic").glob(".*")), "a temporary file was left behind"


def test_several_clips_are_rendered_side_by_side_as_alone(studio, tmp_path):
    photographs = {"blank": studio.picture("blank", (180, 320))}
    paths = []
    for name in ("b", "a"):
        script = studio.script([{"photograph": "blank", "seconds": 0.4}], photographs, noise=2)
        paths.append(script.rename(studio.folder / f"{name}.yaml"))
    clips = SyntheticCorpus("synthetic", [str(path) for path in paths]).clips(Derived(tmp_path / "store"))
    assert [clip.name for clip in clips] == ["b", "a"], "the order is that of the scripts"
    alone = SyntheticCorpus("synthetic", [str(paths[0])]).clips(Derived(tmp_path / "other"))
    assert alone[0].sha256 == clips[0].sha256 == clips[1].sha256


def test_rendering_that_is_cut_off_leaves_nothing(busy, tmp_path, monkeypatch):
    drawn = Scene.frame

    def interrupted(scene, number):
        if number == 4:
            raise KeyboardInterrupt
        return drawn(scene, number)

    monkeypatch.setattr(Scene, "frame", interrupted)
    job = busy()
    with pytest.raises(KeyboardInterrupt):
        render(job, tmp_path / "out" / "clip.mp4")
    assert list((tmp_path / "out").iterdir()) == []
