"""What a run gives to other programs, read back by their own parsers; hostile text; what is missing is never an empty success."""

from __future__ import annotations

import html
import io
import json
import math
from pathlib import Path
from typing import Any

import av
import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from reelbench.bench.manifest import unseal
from reelbench.cli import cli, main
from reelbench.errors import OutputError
from reelbench.system.folder import SystemFolder
from reelbench.system.outputs import WRITERS
from reelbench.system.outputs.cues import Cue, overlay_cues, shown_lines, speech_cues
from reelbench.system.outputs.reading import clip_output
from reelbench.system.outputs.records import ClipOutput, Done, NotDone, clip_json_schema
from reelbench.system.outputs.subtitles import subrip, webvtt, without_markup
from support.system_runs import event, make_system_run, usual, walk

ROOT = Path(__file__).parents[2]
HOSTILE = (
    "a --> b\n\n2\n00:00:01,000 --> 00:00:09,000\n<b>bold</b> {\\an8} & \x00\x1b[31m \u202eevil\u2028\ufeffשלום 👩‍👩‍👧"
)


@pytest.fixture
def run(tmp_path: Path) -> SystemFolder:
    """Two clips: one with some of everything, one on which only object detection finished, and found nothing."""
    second = {name: found if not isinstance(found, list) else [] for name, found in usual().items()}
    found = make_system_run(tmp_path, {"one": usual(), "two/b c": second})
    found.result_path(("two/b c", "speech_transcription")).unlink()
    found.result_path(("two/b c", "text_overlay")).write_text('{"half": ')
    unseal(found.path)  # as a folder that is older than manifests
    return found


def demuxed(content: str, kind: str) -> list[tuple[int, int, str]]:
    """(start, duration in milliseconds, text as it lies in the file) of every cue that FFmpeg finds."""
    if "-->" not in content:
        return []
    with av.open(io.BytesIO(content.encode()), format=kind) as file:
        (stream,) = file.streams.subtitles
        return [
            (round(p.pts * p.time_base * 1000), round(p.duration * p.time_base * 1000), bytes(p).decode())
            for p in file.demux(stream)
            if p.size and p.pts is not None
        ]


def test_json_of_a_clip_is_after_its_schema_and_tells_nothing_from_not_known(run: SystemFolder, tmp_path: Path) -> None:
    written = WRITERS["json"](run, tmp_path / "out").files
    schema = json.loads((ROOT / "docs" / "clip.schema.json").read_text())
    assert schema == json.loads(json.dumps(clip_json_schema()))
    one, two = (json.loads(path.read_text()) for path in written)
    for clip, path in zip((one, two), written, strict=True):
        assert ClipOutput.model_validate_json(path.read_bytes()).clip.name == clip["clip"]["name"]
        assert set(clip["analyzers"]) == set(usual()), "every analyzer of the run is there"
    assert one["analyzers"]["sound_effects"]["events"] == []
    ends = {
        name: two["analyzers"][name]
        for name in ("eye_tracking", "qwen2_vl_temporal", "speech_transcription", "text_overlay")
    }
    assert [end["status"] for end in ends.values()] == ["failed", "unavailable", "lost", "lost"]
    assert all("events" not in end and end["reason"] for end in ends.values())
    assert ends["qwen2_vl_temporal"]["mend"] == "pip install 'reelbench[vlm]'"
    track = one["analyzers"]["object_detection"]["events"][0]["track"]
    assert [key["t_s"] for key in track] == [0, 0.5, 1.5]


def test_json_schema_refuses_an_empty_success(run: SystemFolder) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    valid = json.loads(clip_output(run, run.record.clips[0]).model_dump_json())
    check = jsonschema.Draft202012Validator(clip_json_schema())
    check.validate(valid)
    for change in ({"events": []}, {"status": "done"}, {"reason": ""}):
        broken = json.loads(json.dumps(valid))
        broken["analyzers"]["eye_tracking"] |= change
        assert not check.is_valid(broken), change


def test_pending_and_refused_clips_have_a_reason(run: SystemFolder) -> None:
    clip = run.record.clips[0]
    del run.record.analyzers["sound_effects"].outcomes["one"]
    found = clip_output(run, clip).analyzers["sound_effects"]
    assert isinstance(found, NotDone) and found.status == "pending" and found.reason
    clip.status, clip.error = "refused", "not a video"
    found = clip_output(run, clip).analyzers["sound_effects"]
    assert isinstance(found, NotDone) and found.reason == "not a video"
    run.record.analyzers["sound_effects"].unavailable = "no weights"
    found = clip_output(run, clip).analyzers["sound_effects"]
    assert isinstance(found, NotDone) and (found.status, found.reason) == ("unavailable", "no weights")


def test_tables_hold_every_event_in_pandas_and_arrow_alike(tmp_path: Path) -> None:
    import pandas as pd
    import pyarrow.parquet as pq

    odd = event(0.5, 1.5, "odd", HOSTILE, attributes={"nan": math.nan, "deep": {"list": [1, "zwei"]}})
    run = make_system_run(tmp_path, {"one": {**usual(), "sound_effects": [odd]}, "two": {"sound_effects": []}})
    for name in ("jsonl", "parquet"):
        WRITERS[name](run, tmp_path)
    table = pq.read_table(tmp_path / "events.parquet")
    lines = pd.read_json(tmp_path / "events.jsonl", lines=True, precise_float=True)
    expected = [(n, e) for n, found in usual().items() if isinstance(found, list) for e in found]
    assert table.num_rows == len(lines) == len(expected) + 1
    assert table.column_names == list(lines.columns)
    last = next(row for row in table.to_pylist() if row["label"] == "odd")
    assert last["text"] == HOSTILE and last["x1"] is None
    assert json.loads(last["attributes"]) == {"nan": None, "deep": {"list": [1, "zwei"]}}
    assert lines["text"].dropna().tolist() == [text for text in table["text"].to_pylist() if text is not None]
    assert lines["start_s"].tolist() == table["start_s"].to_pylist()
    assert len((tmp_path / "events.jsonl").read_text().splitlines()) == len(lines), "no line break within a line"
    person = next(row for row in table.to_pylist() if row["label"] == "person")
    assert [person[key] for key in ("x1", "y1", "x2", "y2")] == list(walk().box or ())
    for status in (pd.read_json(tmp_path / "status.jsonl", lines=True), pd.read_parquet(tmp_path / "status.parquet")):
        counts = {(row.clip, row.analyzer): row.events for row in status.itertuples()}
        assert counts["two", "sound_effects"] == 0
        assert math.isnan(counts["one", "eye_tracking"]) and math.isnan(counts["two", "object_detection"])


def test_subtitles_are_read_by_ffmpeg(run: SystemFolder, tmp_path: Path) -> None:
    vtt, srt = (WRITERS[kind](run, tmp_path / "out") for kind in ("vtt", "srt"))
    names = [path.name for path in (*vtt.files, *srt.files)]
    assert names == ["one.transcript.vtt", "one.overlays.vtt", "one.transcript.srt", "one.overlays.srt"]
    assert len(vtt.notes) == 2 and "cannot be read" in vtt.notes[0], "no file for what is not known, and a reason"
    for path, kind in zip([*vtt.files, *srt.files], ("webvtt", "webvtt", "srt", "srt"), strict=True):
        cues = demuxed(path.read_text(), kind)
        if "transcript" in path.name:
            assert cues == [(100, 800, "Hello there, you."), (1200, 600, "Follow me!")]
        else:
            assert cues == [(200, 1700, "HALF PRICE\nonly today")]


def test_words_without_segments_become_readable_lines() -> None:
    spoken = ["Stop.", "Now", "we", "all", "go", "to", "the", "bus"]
    words = [event(n / 4, n / 4 + 0.2, "word", word) for n, word in enumerate(spoken)]
    late = event(9.0, 9.0, "word", "on")
    assert speech_cues([*words, late]) == [
        Cue(0, 200, "Stop."),
        Cue(250, 1950, "Now we all go to the bus"),
        Cue(9000, 9001, "on"),
    ]
    many = [event(n / 10, n / 10 + 0.1, "word", "syllable") for n in range(60)]
    assert all(len(cue.text) <= 84 and cue.end_ms - cue.start_ms <= 7000 for cue in speech_cues(many))
    assert overlay_cues([event(0, 1, "unreadable"), event(0, 1, "overlay", "\n\x00\n")]) == []


TEXT = st.text(st.one_of(st.characters(), st.sampled_from("\n\r->&<{\\/:;0123,.א\u200d\ufe0f\u2028")), max_size=40)


@given(st.lists(st.tuples(st.integers(0, 400_000_000), st.integers(0, 10_000_000), TEXT), max_size=4))
@example([(0, 5, HOSTILE), (1, 0, "WEBVTT"), (2, 3, "NOTE a"), (3, 3, "17"), (4, 4, "STYLE\n00:01.000 --> 00:02.000")])
@example([(0, 0, "\r--\x00>\n&lt;"), (0, 0, "<\x00b>{\x00\\an8}")])
def test_subtitles_hold_any_text(parts: list[tuple[int, int, str]]) -> None:
    cues = overlay_cues([event(start / 1000, (start + long) / 1000, "overlay", text) for start, long, text in parts])
    assert len(cues) == len(
        {(start, max(1, long), shown_lines(text)) for start, long, text in parts if shown_lines(text)}
    )
    expected = [(cue.start_ms, cue.end_ms - cue.start_ms, cue.text) for cue in cues]
    read = [(start, long, html.unescape(text)) for start, long, text in demuxed(webvtt(cues), "webvtt")]
    assert read == expected
    assert demuxed(subrip(cues), "srt") == list(dict.fromkeys((s, long, without_markup(t)) for s, long, t in expected))


def test_boxes_are_read_by_coco_tools(run: SystemFolder, tmp_path: Path) -> None:
    from faster_coco_eval import COCO

    run.record.analyzers["object_detection"].outcomes["two/b c"].status = "failed"
    done = WRITERS["coco"](run, tmp_path)
    coco: Any = COCO(str(done.files[0]), print_function=lambda *_: None)
    names = [image["file_name"] for image in coco.loadImgs(coco.getImgIds())]
    assert names == ["one@0.000", "one@0.500", "one@1.000", "one@1.500"]
    assert len(done.notes) == 1 and "two/b c" in done.notes[0], "a clip that is not known has no empty images"
    assert coco.getCatIds(catNms=["person"]) == [1] and coco.getCatIds(catNms=["toothbrush"]) == [90]
    assert coco.getCatIds(catNms=["bus stop"]) == [1001]
    people = coco.loadAnns(coco.getAnnIds(catIds=[1]))
    between = walk().box_at(1.0)
    assert between is not None and [one["key"] for one in people] == [1, 1, 0, 1]
    x1, y1, x2, y2 = between.box
    assert people[2]["bbox"] == pytest.approx([x1, y1, x2 - x1, y2 - y1]) and people[2]["score"] == between.score
    assert len(coco.getAnnIds(catIds=[1001])) == 1


def test_command_writes_all_formats_of_the_latest_run(run: SystemFolder, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        cli, ["export", "latest", "--runs-dir", str(tmp_path), "--out", str(tmp_path / "out"), "--json"]
    )
    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)
    files = {name: [Path(file).name for file in one["files"]] for name, one in shown.items()}
    assert files["page"][0] == "one.html" and files["json"][0] == "one.json" and files["coco"] == ["coco.json"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(n for names in files.values() for n in names)
    only = ["export", run.record.id, "--runs-dir", str(tmp_path), "--format", "srt", "--format", "vtt"]
    assert "srt: 2 files" in CliRunner().invoke(cli, only).output
    assert len(list((run.path / "export").iterdir())) == 4


def test_errors_are_one_line(run: SystemFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["export", "nowhere", "--runs-dir", str(tmp_path)])
    assert ended.value.code == 2 and "'nowhere' is no system run" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    for name, write in WRITERS.items():
        with pytest.raises(OutputError):
            write(run, tmp_path / "file" / name)


def test_done_is_what_the_result_says(run: SystemFolder) -> None:
    found = clip_output(run, run.record.clips[0]).done("object_detection")
    assert isinstance(found, Done) and found.events[0] == walk() and found.sampled_s == (0, 0.5, 1, 1.5)
