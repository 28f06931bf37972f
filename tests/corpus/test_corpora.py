"""The shipped corpora, the command line and the documentation."""

from __future__ import annotations

import json
import re
from pathlib import Path

import av
import pytest
import yaml
from click.testing import CliRunner

from reelbench.cli.corpus import command
from reelbench.config import compose, instantiate
from reelbench.corpus.base import Joined
from reelbench.corpus.clip import Clip, Truth, read_truth
from reelbench.corpus.edit_script import Blink, Degradation, Effect, Patch, Section
from reelbench.corpus.materials import Photograph, library
from reelbench.corpus.script import Enter, Overlay, Script, Shot
from reelbench.corpus.sound_script import Event, Line, Music, Noise, Pause, SoundScript
from reelbench.corpus.synthetic import make_job, make_scene
from reelbench.errors import ConfigError, InputError
from reelbench.models.store import ModelStore
from reelbench.paths import conf_dir

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs/corpus.md").read_text(encoding="utf-8")


def corpus(name, **more):
    return instantiate(yaml.safe_load((conf_dir() / f"corpus/{name}.yaml").read_text()) | more)


@pytest.mark.parametrize("name", ["shipped", "synthetic", "demo", "system", "folder"])
def test_shipped_corpora_are_built_and_their_files_are_in_the_catalog(name):
    built = corpus(name)
    assert built.name == name
    assert set(built.artifacts()) <= set(ModelStore().catalog.artifacts)


def test_demo_holds_real_and_synthetic_clips_and_never_the_calibration_clip():
    artifacts = corpus("demo").artifacts()
    assert "footage/bikes.mp4" in artifacts and "photographs/bus.jpg" in artifacts
    assert not any("test.mp4" in artifact for name in ("shipped", "demo") for artifact in corpus(name).artifacts())


def test_the_systems_clips_have_every_kind_of_truth():
    pytest.importorskip("espeakng_loader", reason="speech needs the extra 'speech'")
    store, system = ModelStore(), corpus("system")
    store.ensure(system.artifacts())
    truths = [make_scene(make_job(path, store)).truth(every=30) for path in system.scripts]
    for part in Truth.model_fields:
        assert any(getattr(truth, part) for truth in truths), f"no clip has any {part}"
    labels = {span.label for truth in truths for span in truth.effects or ()}
    assert labels >= {"fade", "dissolve", "flash", "freeze", "blur", "slow_motion", "grayscale"}
    assert {step.kind for truth in truths for step in truth.degradations or ()} == {
        "blur",
        "noise",
        "blocks",
        "dark",
        "bright",
    }
    moves = {span.label for truth in truths for span in truth.camera}
    assert moves >= {"still", "pan_left", "pan_right", "tilt_up", "zoom_in", "zoom_out", "shake"}
    assert {face.open for truth in truths for instant in truth.faces or () for face in instant.faces} == {True, False}


def test_products_are_called_as_the_analyzer_calls_them():
    path = conf_dir() / "products.yaml"
    categories = yaml.safe_load(path.read_text(encoding="utf-8"))
    for photograph in library().photographs.values():
        for item in photograph.objects:
            assert item.product is None or item.label in categories[item.product]["coco"] or item.ignore, item


def test_joined_corpora_refuse_two_clips_of_one_name():
    class Part:
        name = "part"

        def artifacts(self):
            return ("a", "b")

        def clips(self, store, progress=None):
            return [Clip("one", Path("one.mp4"), "part", "")]

    assert Joined("both", [Part()]).clips(None)[0].corpus == "part"
    assert Joined("both", [Part(), Part()]).artifacts() == ("a", "b")
    with pytest.raises(ConfigError, match="two clips are named one"):
        Joined("both", [Part(), Part()]).clips(None)


def test_shipped_clips_are_real_videos():
    store, shipped = ModelStore(), corpus("shipped")
    store.ensure(shipped.artifacts())
    clips = shipped.clips(store)
    assert [clip.name for clip in clips] == ["bikes", "bigbuckbunny", "carphone_pristine"]
    for clip in clips:
        assert clip.sha256 == store.catalog[f"footage/{clip.name}.mp4"].sha256 and clip.truth is None
        with av.open(str(clip.path)) as container:
            assert container.streams.video


def test_render_draws_the_truth_and_writes_a_clean_clip_beside_its_truth(studio, tmp_path, decode):
    photographs = {"sign": studio.picture("sign", (400, 360), box=(100, 100, 300, 250))}
    script = studio.script([{"photograph": "sign", "seconds": 0.5}], photographs)
    drawn, clean = tmp_path / "drawn.mp4", tmp_path / "clean.mp4"
    done = CliRunner().invoke(command, ["render", str(script), "-o", str(drawn), "--clean", str(clean), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["frames"] == 5
    (x1, y1, x2, _), *_ = (item.box for item in read_truth(tmp_path / "clean.truth.json").objects[0].objects)
    with_box, without = decode(drawn)[0][1], decode(clean)[0][1]
    edge = (round(y1), round(x1 + x2) // 2)
    assert with_box[edge][1] > 150 > 100 > without[edge][1], "no green line along the top of the box"


def test_render_of_a_wrong_script_or_name_writes_nothing(studio, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = studio.script([{"photograph": "tram", "seconds": 1}], {})
    for arguments, error in ((["render", str(script)], InputError), (["render", "street", "-o", "x.avi"], ConfigError)):
        done = CliRunner().invoke(command, arguments)
        assert isinstance(done.exception, error), done.output
    assert {path.suffix for path in tmp_path.iterdir()} == {".yaml"}


def test_list_shows_corpora_and_clips(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"")
    assert set(json.loads(CliRunner().invoke(command, ["list", "--json"]).stdout)) >= {"demo", "folder", "synthetic"}
    done = CliRunner().invoke(command, ["list", "--path", str(tmp_path), "--json"])
    assert [clip["name"] for clip in json.loads(done.stdout)] == ["a.mp4"]
    for arguments in (["list", "nope"], ["list", "shipped", "--path", "."], ["list", "folder"]):
        assert isinstance(CliRunner().invoke(command, arguments).exception, ConfigError)


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL)


def test_documented_truth_and_script_are_valid(tmp_path):
    (truth,), scripts, (photographs,) = blocks("json truth"), blocks("yaml script"), blocks("yaml")
    (tmp_path / "a.truth.json").write_text(truth)
    parsed = read_truth(tmp_path / "a.truth.json")
    assert all(getattr(parsed, part) for part in Truth.model_fields)
    assert len(scripts) == 2
    for script in scripts:
        Script.model_validate(yaml.safe_load(script))
    for entry in yaml.safe_load(photographs)["photographs"].values():
        Photograph.model_validate(entry)


SCRIPTED = [
    Script,
    Shot,
    Overlay,
    Enter,
    SoundScript,
    Line,
    Noise,
    Music,
    Event,
    Pause,
    Effect,
    Degradation,
    Patch,
    Blink,
    Section,
]


@pytest.mark.parametrize("model", SCRIPTED)
def test_every_key_of_a_script_is_documented(model):
    missing = [name for name in model.model_fields if f"`{name}`" not in DOCS]
    assert not missing


def test_documented_overrides_reach_the_corpus(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"")
    folder = instantiate(compose(["corpus=folder", f"corpus.path={tmp_path}"]).corpus)
    assert [clip.name for clip in folder.clips(None)] == ["a.mp4"]
    script = tmp_path / "launch.yaml"
    script.write_text(blocks("yaml script")[0])
    chosen = instantiate(compose(["corpus=synthetic", f"corpus.scripts=[street,{script}]"]).corpus)
    assert [path.stem for path in chosen.scripts] == ["street", "launch"]
    assert "photographs/coffee.png" in chosen.artifacts()
