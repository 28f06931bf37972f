"""Sampled frames: the boxes of their own instant, at the picture's own scale, and no harm from a bad clip."""

import io
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from reelbench.corpus.clip import Truth, TruthFrame, TruthObject
from reelbench.errors import AnalyzerError, MediaError
from reelbench.report.pictures import run_pictures
from reelbench.report.placement import font_size, labels
from reelbench.report.run_data import load_run
from reelbench.report.thumbnails import LabelledBox, SampledFrame, frames_at_apart, sampled_frames, sampled_frames_apart
from reelbench.results import AnalyzerResult, BoxAt, Event
from support.runs import make_run

SIZE = (800, 400)
FRAMES = 40
RATE = 10


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds in which a white square of 100 pixels moves right by 10 pixels a frame."""
    path = tmp_path_factory.mktemp("clip") / "square.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for index in range(FRAMES):
            image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
            image[100:200, 10 * index : 10 * index + 100] = 255
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        out.mux(stream.encode())
    return path


def _result(clip: Path) -> AnalyzerResult:
    last = (FRAMES - 1) / RATE
    track = (BoxAt(t_s=0, box=(0, 100, 100, 200), score=0.9), BoxAt(t_s=last, box=(390, 100, 490, 200), score=0.9))
    events = (
        Event(start_s=0, end_s=4, label="square", score=0.9, box=(0, 100, 100, 200), track=track),
        Event(start_s=1.3, end_s=1.3, label="flash", score=0.4, box=(0, 0, 8, 8)),
    )
    return AnalyzerResult(analyzer="a", clip=clip.stem, duration_s=4.0, events=events)


def test_boxes_lie_on_what_the_picture_shows(clip: Path) -> None:
    known = tuple(
        TruthFrame(t_s=i / RATE, objects=(TruthObject(label="s", box=(10 * i, 100, 10 * i + 100, 200)),))
        for i in range(FRAMES)
    )
    frames = sampled_frames(clip, _result(clip), 4, Truth(objects=known))
    assert len(frames) == 4
    assert [frame.t_s for frame in frames] == sorted({frame.t_s for frame in frames})
    for frame in frames:
        image = np.asarray(Image.open(io.BytesIO(frame.jpeg)).convert("L"))
        assert image.shape == (frame.height, frame.width) == (200, 400)
        seen = np.flatnonzero(image[75] > 128)
        x1, y1, x2, y2 = next(box for box in frame.found if box.label == "square").box
        assert abs(x1 - seen[0]) < 4
        assert abs(x2 - seen[-1]) < 4
        assert (y1, y2) == (50, 100)
        assert frame.truth is not None
        assert abs(frame.truth[0].box[0] - x1) < 3
    assert sum(box.label == "flash" for frame in frames for box in frame.found) == 1, "one instant, one frame"
    assert sum(len(frame.jpeg) for frame in frames) < 100_000


@given(st.lists(st.tuples(st.floats(-50, 400), st.floats(-50, 400), st.floats(0, 300), st.floats(0, 300)), max_size=12))
def test_labels_stay_in_the_picture_and_off_each_other(corners: list[tuple[float, float, float, float]]) -> None:
    boxes = tuple(LabelledBox((x, y, x + w, y + h), "person", 0.5) for x, y, w, h in corners)
    frame = SampledFrame(0.0, 400, 225, b"", boxes)
    size = font_size(frame)
    placed = labels(frame)
    assert len(placed) >= min(1, len(boxes)), "the surest is always labelled"
    assert all(0 <= label.x < 400 and size * 0.5 < label.y <= 225 for label in placed)
    for index, one in enumerate(placed):
        assert all(abs(one.y - other.y) >= size - 0.11 or abs(one.x - other.x) > 5 * size for other in placed[:index])


def test_a_clip_that_is_none_is_an_error_in_the_child_and_a_line_on_the_page(tmp_path: Path, clip: Path) -> None:
    broken = tmp_path / "text.mp4"
    broken.write_text("not a video")
    with pytest.raises(MediaError, match=r"text\.mp4"):
        sampled_frames_apart(broken, _result(clip))
    assert len(sampled_frames_apart(clip, _result(clip), 2)) == 2
    make_run(tmp_path / "run", video=broken)
    shown, problems = run_pictures(load_run(tmp_path / "run"))
    assert shown == {}
    assert [problem.split(":")[0] for problem in problems] == [
        "no sampled frames of bikes",
        "no sampled frames of two_rooms",
    ]


def test_whatever_goes_wrong_with_a_clip_is_one_line(clip: Path) -> None:
    with pytest.raises(AnalyzerError, match="no frames for the page"):
        frames_at_apart(clip, [0.0], [None])  # type: ignore[list-item]
