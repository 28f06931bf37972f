"""Any folder of videos: what is found, under which name, with which truth; what is wrong is one line."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from reelbench.corpus.folder import EXTENSIONS, FolderCorpus
from reelbench.encoding import path_of, path_text
from reelbench.errors import ConfigError, InputError, MediaError
from reelbench.media import FrameStream, probe, probe_safely, read_audio
from reelbench.media.types import AudioRequest, FrameRequest, Limits, Sampling
from support.clips import make_clip
from support.mutations import KINDS, make_kind

TRUTH = '{"objects": [{"t_s": 0.5, "objects": [{"label": "cat", "box": [1, 2, 3, 4]}]}], "cuts": []}'


def clips(path):
    return FolderCorpus("folder", path).clips(None)


def test_videos_are_found_below_by_their_ending_in_a_stable_order(tmp_path):
    for name in ("b.mp4", "a/c.MOV", "a/d e.webm", "a/notes.txt", ".hidden.mp4", ".cache/x.mp4", "b.mp4.part"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    found = clips(tmp_path)
    assert [clip.name for clip in found] == ["a/c.MOV", "a/d e.webm", "b.mp4"]
    assert found[2].sha256 == hashlib.sha256(b"b.mp4").hexdigest() and found[2].path == tmp_path / "b.mp4"
    assert found[0].corpus == "folder" and found[0].truth is None


def test_links_are_followed_but_never_in_circles(tmp_path):
    (tmp_path / "in/deep").mkdir(parents=True)
    (tmp_path / "in/deep/a.mp4").write_bytes(b"a")
    (tmp_path / "in/deep/up").symlink_to(tmp_path / "in")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/b.mp4").write_bytes(b"b")
    (tmp_path / "in/linked").symlink_to(tmp_path / "elsewhere")
    assert [clip.name for clip in clips(tmp_path / "in")] == ["deep/a.mp4", "linked/b.mp4"]


def test_clips_that_cannot_be_read_are_listed_for_the_runner_to_refuse(tmp_path):
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "gone")
    (tmp_path / "text.mp4").write_text("not a video")
    assert {clip.name: bool(clip.sha256) for clip in clips(tmp_path)} == {
        "dangling.mp4": False,
        "empty.mp4": True,
        "text.mp4": True,
    }


def test_truth_lies_beside_its_clip(tmp_path):
    for name in ("a.mp4", "b.mp4", "b.mov", "c.mp4"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "a.truth.json").write_text(TRUTH)
    (tmp_path / "b.mov.truth.json").write_text('{"overlays": []}')
    (tmp_path / "b.truth.json").write_text(TRUTH)
    truths = {clip.name: clip.truth for clip in clips(tmp_path)}
    assert truths["a.mp4"].objects[0].objects[0].label == "cat"
    assert truths["a.mp4"].overlays is None and truths["a.mp4"].cuts == ()
    assert truths["b.mov"].overlays == () and truths["b.mp4"] == truths["a.mp4"]
    assert truths["c.mp4"] is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{", "the file: "),
        ('{"objekts": []}', "objekts: "),
        ('{"version": 2}', "version: "),
        ('{"objects": [{"t_s": -1}]}', "objects.0.t_s: "),
        ('{"objects": [{"t_s": 0, "objects": [{"label": "cat", "box": [3, 2, 1, 4]}]}]}', "objects.0.objects.0: box"),
        ('{"overlays": [{"start_s": 2, "end_s": 1, "label": "overlay"}]}', "overlays.0: end_s 1.0 lies before"),
    ],
)
def test_wrong_truth_is_one_line(tmp_path, text, line):
    (tmp_path / "a.mp4").write_bytes(b"")
    (tmp_path / "a.truth.json").write_text(text)
    with pytest.raises(InputError) as caught:
        clips(tmp_path)
    assert caught.value.message.startswith(f"a.truth.json: {line}") and "\n" not in str(caught.value)


def test_missing_empty_or_no_folder_is_refused(tmp_path):
    (tmp_path / "file.mp4").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/readme.txt").write_text("nothing here")
    for path, line in (("gone", "no such folder"), ("file.mp4", "not a folder"), ("empty", "no video in this folder")):
        with pytest.raises(InputError, match=line):
            clips(tmp_path / path)
    with pytest.raises(ConfigError, match="wants a folder"):
        clips("")


@pytest.mark.parametrize("ending", sorted(EXTENSIONS))
def test_every_ending_that_is_listed_can_be_opened(ending, tmp_path):
    """One table says which formats may be opened and which endings are taken for them."""
    kind = {".asf": "wmv", ".m2ts": "ts", ".mts": "ts", ".mpeg": "mpg"}.get(ending, ending[1:])
    made = make_kind(tmp_path / f"made.{kind if kind in KINDS else 'mp4'}", frames=12)
    made.rename(tmp_path / f"clip{ending}")
    (clip,) = clips(tmp_path)
    assert probe(clip.path).has_audio
    with FrameStream(clip.path, FrameRequest(Sampling(every=1))) as stream:
        assert len(list(stream)) == 12
    assert len(read_audio(clip.path, AudioRequest(16000))) > 4000


def test_a_name_that_is_not_utf8_is_written_with_escapes(tmp_path):
    made = make_clip(tmp_path / "made.mp4", frames=4)
    made.rename(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    (clip,) = clips(tmp_path)
    assert clip.name == "caf\\udce9.mp4" and probe_safely([clip.path])[clip.path].width == 160
    assert path_of(path_text(clip.path)) == clip.path and path_text(clip.path).encode()
    with pytest.raises(MediaError) as raised:
        probe(clip.path, Limits(max_pixels=10))
    assert "caf\\udce9.mp4" in str(raised.value) and str(raised.value).encode()


def test_two_names_that_read_alike_are_not_taken_for_one(tmp_path):
    for name in (b"caf\xe9.mp4", b"caf\\udce9.mp4"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(name)
    with pytest.raises(InputError, match="two clips are named"):
        clips(tmp_path)


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path):
    (tmp_path / ("x" * 251 + ".mp4")).write_bytes(b"x")
    assert [clip.truth for clip in clips(tmp_path)] == [None]
