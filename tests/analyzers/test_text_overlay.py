"""text_overlay: from lines on single frames to overlays with times, what is read and what need not be, real letters by PP-OCR."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from reelbench.analyzers.base import Material
from reelbench.analyzers.overlay.easyocr import EasyOCRReader
from reelbench.analyzers.overlay.rapidocr import RapidOCRReader
from reelbench.analyzers.overlay.reader import Region, Spelling
from reelbench.analyzers.overlay.spans import events
from reelbench.analyzers.overlay.tracks import Layout, Merging
from reelbench.analyzers.overlay.watch import Line, Sample
from reelbench.analyzers.text_overlay import TextOverlay
from reelbench.engines.base import Availability, Evidence
from reelbench.errors import AnalyzerError, ConfigError, WeightsError
from reelbench.media.types import ClipInfo, Colour, Frame, Image
from reelbench.models.store import ModelStore
from reelbench.results import AnalyzerResult

SIZE = (360, 640)
UP, DOWN = (40, 80), (40, 500)
Said = tuple[str, tuple[int, int]]
"""A text and the left end of its base line."""


def _box(said: Said) -> tuple[float, float, float, float]:
    (text, (x, y)) = said
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, 1.0, 2)
    return float(x), float(y - height), float(x + width), float(y + below)


def _region(said: Said) -> Region:
    x1, y1, x2, y2 = _box(said)
    return Region(np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float32))


@cache
def _landscape() -> Image:
    noise = np.random.default_rng(3).integers(60, 120, (40, 80, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (4 * SIZE[0], SIZE[1]), interpolation=cv2.INTER_CUBIC))


def _frame(index: int, *texts: Said, pan: int = 0) -> Image:
    """Soft structure that moves by ``pan`` pixels a frame, with texts on it; the first pixel says which frame it is."""
    image = _landscape()[:, pan * index : pan * index + SIZE[0]].copy()
    for text, place in texts:
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_DUPLEX, 1.0, (0, 0, 0), 7, cv2.LINE_AA)
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_DUPLEX, 1.0, (255, 255, 255), 2, cv2.LINE_AA)
    image[0, 0] = index
    return image


class Scripted:
    """A reader that knows what stands on each frame, and counts what it is asked."""

    colour: Colour = "rgb"

    def __init__(self, script: Callable[[int], Sequence[Said]], score: float = 0.95) -> None:
        self._script, self._score = script, score
        self.batches: list[int] = []
        self.found: list[int] = []
        self.spelled: list[str] = []

    def available(self) -> Availability:
        return Availability(True)

    def load(self, files: Mapping[str, Path]) -> None: ...

    def prepare(self, image: Image) -> int:
        if int(image[0, 0, 0]) == 200:
            raise AnalyzerError("a broken frame")
        return int(image[0, 0, 0])

    def find(self, images: Sequence[Image], prepared: Sequence[Any]) -> list[list[Region]]:
        self.batches.append(len(images))
        self.found += prepared
        return [[_region(said) for said in self._script(index)] for index in prepared]

    def spell(self, image: Image, prepared: Any, regions: Sequence[Region]) -> list[Spelling]:
        texts = {_box(said): said[0] for said in self._script(prepared)}
        self.spelled += [texts[region.box] for region in regions]
        return [Spelling(texts[region.box], self._score) for region in regions]

    def evidence(self) -> Evidence:
        return Evidence("scripted", "CPU", "fp32", "1")

    def close(self) -> None: ...


def _analyze(reader: Scripted, frames: int, fps: float, pan: int = 0, **options: Any) -> AnalyzerResult:
    analyzer = TextOverlay(reader, {"detector": "a/b", "recogniser": "a/c"}, {"rate": fps}, **options)
    images = (Frame(_frame(i, *reader._script(i), pan=pan), i / fps, i) for i in range(frames))
    info = ClipInfo(Path("clip.mp4"), *SIZE, frames / fps, 30.0, "h264", "yuv420p")
    return analyzer.analyze(Material("clip", info, lambda phase, items=1: nullcontext(), images))


def _told(result: AnalyzerResult) -> list[tuple[str | None, float, float]]:
    return [(event.text, round(event.start_s, 3), round(event.end_s, 3)) for event in result.events]


def _changing(index: int) -> list[Said]:
    """Ten looks a second: a title throughout, one caption from 1.3 to 2.9 s, another from 2.9 s on."""
    caption = [] if index < 13 else [("first one", DOWN)] if index < 29 else [("second", DOWN)]
    return [("The title", UP), *caption]


EXPECTED = [("The title", 0.0, 5.0), ("first one", 1.3, 2.9), ("second", 2.9, 5.0)]


def test_lines_become_overlays_with_their_words_rows_and_times() -> None:
    def script(index: int) -> list[Said]:
        return [("two rows", (60, 200)), ("of text", (70, 235))] if 2 <= index < 5 else []

    result = _analyze(Scripted(script), 7, 1.0)
    assert _told(result) == [("two rows\nof text", 2.0, 5.0)]
    assert result.events[0].label == "overlay" and result.events[0].score == 0.95
    first, second = _box(("two rows", (60, 200))), _box(("of text", (70, 235)))
    assert result.events[0].box == (60, first[1], max(first[2], second[2]), second[3])
    assert (result.frames_sampled, result.frames_inferred) == (7, 7)


@pytest.mark.parametrize("pan", [0, 3])
def test_readings_that_follow_change_find_the_same_times_with_fewer_frames(pan: int) -> None:
    every, few = Scripted(_changing), Scripted(_changing)
    assert _told(_analyze(every, 50, 10.0, pan)) == EXPECTED
    result = _analyze(few, 50, 10.0, pan, adaptive={"shortest_s": 0.5, "longest_s": 2.0})
    assert _told(result) == EXPECTED
    assert result.frames_inferred == len(few.found) <= (5 if pan == 0 else 11)
    assert result.frames_sampled == 50


def test_a_frame_is_not_read_again_until_a_text_on_it_changes() -> None:
    reader = Scripted(_changing)
    result = _analyze(reader, 50, 10.0, deduplicate={"threshold": 2.0, "similarity": 0.6})
    assert _told(result) == EXPECTED
    assert reader.found == [0, 13, 29]
    assert result.frames_inferred == 3


def test_a_text_that_changes_a_little_is_read_again() -> None:
    """A counter: the picture as a whole stays the same, only its own region tells."""
    reader = Scripted(lambda index: [(f"{3 - index // 10} seconds left", DOWN)])
    _analyze(reader, 30, 10.0, deduplicate={"threshold": 50.0, "similarity": 0.98})
    assert reader.found == [0, 10, 20]


def test_a_line_that_looks_the_same_is_spelled_once() -> None:
    reader = Scripted(_changing)
    assert _told(_analyze(reader, 50, 10.0, reuse=0.9)) == EXPECTED
    assert reader.spelled == ["The title", "first one", "second"]
    assert len(reader.found) == 50


def test_batches_and_threads_change_nothing_but_the_work() -> None:
    reader = Scripted(_changing)
    assert _told(_analyze(reader, 50, 10.0, batch=8, threads=2)) == EXPECTED
    assert reader.batches == [8, 8, 8, 8, 8, 8, 2]


def test_an_error_in_a_preprocessing_thread_is_the_analyzer_s() -> None:
    frames = iter([Frame(np.full((64, 64, 3), 200, np.uint8), 0.0, 0)])
    analyzer = TextOverlay(Scripted(_changing), {"detector": "a/b", "recogniser": "a/c"}, {"rate": 1}, threads=2)
    info = ClipInfo(Path("clip.mp4"), 64, 64, 1.0, 30.0, "h264", "yuv420p")
    with pytest.raises(AnalyzerError, match="a broken frame"):
        analyzer.analyze(Material("clip", info, lambda phase, items=1: nullcontext(), frames))


def _events(lines: Callable[[int], Sequence[Line]], layout: Layout | None = None) -> list[Any]:
    samples = [Sample(index / 5, list(lines(index))) for index in range(20)]
    return events(samples, 4.0, (720, 1280), Merging(), layout or Layout())


def test_what_belongs_to_the_scene_is_no_overlay() -> None:
    def scene(index: int) -> list[Line]:
        moving, jumping = 100 + 8 * index, 100 + 150 * (index % 4)
        return [
            Line("stays", (100, 100, 300, 140), 0.9),
            Line("moves", (moving, 300, moving + 200, 340), 0.9),
            Line("is never there for long", (jumping, 400, jumping + 100, 440), 0.9),
            Line("is tilted", (100, 500, 300, 560), 0.9, angle=-7.0),
            Line("is cut off", (500, 600, 719, 640), 0.9),
            Line("0", (50, 650, 600, 1270), 0.9),
            Line("but", (100, 1000, 160, 1040), 0.9),
            Line("belongs to this", (170, 1005, 450, 1045), 0.9, angle=4.0),
        ]

    assert [event.text for event in _events(scene)] == ["stays"]


def test_two_captions_in_a_row_are_two_and_a_wavering_reader_makes_one() -> None:
    def captions(index: int) -> list[Line]:
        if index >= 10:
            return [Line("the next one", (100, 100, 400, 140), 0.9)]
        return [
            Line(
                "AYEAR IN" if index % 3 else "A YEAR IN", (100 - index % 2 * 9, 100, 300, 140), 0.99 - 0.1 * (index % 3)
            )
        ]

    assert [(event.text, event.start_s, event.end_s) for event in _events(captions)] == [
        ("AYEAR IN", 0.0, 2.0),
        ("the next one", 2.0, 4.0),
    ]


def test_a_list_that_grows_line_by_line_is_not_one_overlay() -> None:
    """Each line stands with the next for most of its time; they did not come together."""

    def rows(index: int) -> list[Line]:
        later = [(4, "and one more"), (8, "and the last")]
        late = [Line(text, (100, 150 + 10 * at, 300, 190 + 10 * at), 0.9) for at, text in later if index >= at]
        return [Line("a title", (100, 100, 300, 140), 0.9), Line("in two rows", (100, 145, 300, 185), 0.9), *late]

    assert [event.text for event in _events(rows)] == ["a title\nin two rows", "and one more", "and the last"]


@pytest.mark.parametrize(("y", "expected"), [(0, ["so much", "for that", "and this"]), (200, ["for that"])])
def test_brief_captions_count_where_they_follow_others_at_one_place(y: int, expected: list[str]) -> None:
    """Two of the three last 0.6 s; at a place of their own they are taken for the scene's."""

    def captions(index: int) -> list[Line]:
        spans = [(2, 5, "so much", y), (5, 11, "for that", 0), (12, 15, "and this", y)]
        return [Line(text, (100, 100 + dy, 400, 140 + dy), 0.9) for a, b, text, dy in spans if a <= index < b]

    assert [event.text for event in _events(captions)] == expected


def test_what_cannot_be_read_is_said() -> None:
    def lines(index: int) -> list[Line]:
        return [Line(", !", (100, 100, 600, 160), 0.96, read=False, found=0.8)]

    (event,) = _events(lines)
    assert (event.label, event.text, event.attributes["guess"]) == ("unreadable", None, ", !")
    assert "another script" in event.attributes["reason"]
    assert _events(lines, Layout(unreadable=None)) == []


@pytest.mark.parametrize("given", [{"text": "ab", "score": 0.99}, {"text": "abcdefgh", "score": 0.4}])
def test_few_characters_for_a_long_line_and_unsure_ones_are_not_taken_for_text(given: dict[str, Any]) -> None:
    reader = Scripted(lambda index: [("abcdefghijklmno", UP)])
    reader.spell = lambda image, prepared, regions: [Spelling(**given) for _ in regions]  # type: ignore[method-assign]
    assert [event.label for event in _analyze(reader, 3, 1.0).events] == ["unreadable"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"batch": 0}, "batch"),
        ({"threshold": 1.5}, "threshold"),
        ({"adaptive": {"shortest_s": 3, "longest_s": 1}}, "adaptive"),
        ({"deduplicate": {"similarity": 2}}, "deduplicate"),
        ({"merging": {"colour": 1}}, "merging"),
        ({"layout": {"tilt": -1}}, "layout"),
        ({"weights": {"model": "a/b"}}, "weights"),
    ],
)
def test_a_wrong_setting_is_named(options: dict[str, Any], named: str) -> None:
    given = {"weights": {"detector": "a/b", "recogniser": "a/c"}, "sampling": {"rate": 1}, **options}
    with pytest.raises(ConfigError, match=named):
        TextOverlay(Scripted(_changing), **given)


def test_a_precision_that_the_engine_has_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="FP32"):
        RapidOCRReader(engine="onnxruntime", precision="bf16")


def test_what_easyocr_needs_is_said() -> None:
    state = EasyOCRReader().available()
    assert state.ok or ("easyocr" in state.reason and "reelbench[easyocr]" in state.mend)


def test_weights_that_are_not_the_pinned_ones_are_not_opened(tmp_path: Path) -> None:
    """EasyOCR's are pickles, and reading a pickle runs what it holds."""
    folder = tmp_path / "easyocr"
    folder.mkdir()
    (folder / "craft_mlt_25k.pth").write_bytes(b"cos\nsystem\n(S'touch harm'\ntR.")
    files = {"detector": "easyocr/craft_mlt_25k.pth", "recogniser": "easyocr/english_g2.pth"}
    with pytest.raises(WeightsError, match="damaged"):
        TextOverlay(EasyOCRReader(), files, {"rate": 1}).load(ModelStore(tmp_path))
    with pytest.raises(ConfigError, match="mine"):
        TextOverlay(EasyOCRReader(), {**files, "detector": "easyocr/mine.pth"}, {"rate": 1}).load(ModelStore(tmp_path))


# PP-OCR itself


@pytest.fixture(scope="module")
def reader() -> RapidOCRReader:
    made = RapidOCRReader(engine="openvino", side=640)
    if not made.available().ok:
        pytest.skip(made.available().reason)
    paths = ModelStore().ensure(["rapidocr/PP-OCRv6_det_small.onnx", "rapidocr/PP-OCRv6_rec_small.onnx"])
    made.load(dict(zip(("detector", "recogniser"), paths.values(), strict=True)))
    return made


def _read(reader: RapidOCRReader, image: Image) -> list[tuple[Spelling, Region]]:
    (regions,) = reader.find([image], [reader.prepare(image)])
    return list(zip(reader.spell(image, None, regions), regions, strict=True))


@pytest.mark.parametrize(("turns", "scale"), [(0, 1), (1, 1), (3, 1), (0, 6)], ids=["level", "up", "down", "4K"])
def test_a_caption_is_read_with_its_spaces_in_any_size_and_upright_either_way(
    reader: RapidOCRReader, turns: int, scale: int
) -> None:
    image = np.ascontiguousarray(np.rot90(_frame(0, ("read me well", (60, 300))), turns))
    image = cv2.resize(image, None, fx=scale, fy=scale)
    ((spelling, region),) = [pair for pair in _read(reader, image) if len(pair[0].text) > 3]
    assert spelling.text == "read me well" and spelling.score > 0.9
    assert abs(abs(region.angle) - (90 if turns else 0)) < 3
    left, _, right, _ = _box(("read me well", (60, 300)))
    x1, y1, x2, y2 = region.box
    assert abs(max(x2 - x1, y2 - y1) - scale * (right - left)) < 30 * scale


@pytest.mark.parametrize(
    ("text", "turn", "label"),
    [
        ("Caffè à gogo", 0, "overlay"),
        ("Привет, как дела?", 0, "unreadable"),
        ("Καλημέρα σας φίλοι", 0, "unreadable"),
        ("Cảm ơn các bạn", 0, "unreadable"),
        ("follow for more", 180, "unreadable"),
    ],
    ids=["Italian", "Russian", "Greek", "Vietnamese", "upside down"],
)
def test_letters_that_the_recogniser_does_not_know_are_said_and_not_garbled(
    reader: RapidOCRReader, text: str, turn: int, label: str
) -> None:
    from PIL import Image as Pictures
    from PIL import ImageDraw, ImageFont

    artifact = "fonts/SourceSansPro-Bold.ttf"
    font = ImageFont.truetype(str(ModelStore().ensure([artifact])[artifact]), 56)
    picture = Pictures.new("RGB", (720, 640), (60, 70, 80))
    ImageDraw.Draw(picture).text((360, 320), text, font=font, anchor="mm", stroke_width=4, stroke_fill=(0, 0, 0))
    image = np.ascontiguousarray(np.asarray(picture.rotate(turn)))
    analyzer = TextOverlay(reader, {"detector": "a/b", "recogniser": "a/c"}, {"rate": 1})
    info = ClipInfo(Path("clip.mp4"), 720, 640, 2.0, 30.0, "h264", "yuv420p")
    frames = iter([Frame(image, float(index), index) for index in range(2)])
    (event,) = analyzer.analyze(Material("clip", info, lambda phase, items=1: nullcontext(), frames)).events
    assert (event.label, event.text) == (label, text if label == "overlay" else None)


def test_an_empty_picture_and_one_of_a_few_pixels_hold_no_text(reader: RapidOCRReader) -> None:
    assert _read(reader, np.zeros((640, 360, 3), np.uint8)) == []
    assert _read(reader, np.zeros((8, 3, 3), np.uint8)) == []


def test_the_evidence_is_what_ran(reader: RapidOCRReader) -> None:
    _read(reader, np.zeros((64, 64, 3), np.uint8))
    evidence = reader.evidence()
    assert (evidence.device, evidence.precision, evidence.contradiction) == ("CPU", "fp32", "")
    assert evidence.details["executed"]["fp32"] > 50


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_broken_weights_are_one_line(reader: RapidOCRReader, engine: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    with pytest.raises(AnalyzerError, match="cannot load its networks"):
        RapidOCRReader(engine=engine).load(
            {"detector": tmp_path / "broken.onnx", "recogniser": tmp_path / "broken.onnx"}
        )
