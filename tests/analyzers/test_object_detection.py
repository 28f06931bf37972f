"""object_detection: the head's arithmetic, the flow through the engine, the merging over time, real photographs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reelbench.analyzers.base import Material
from reelbench.analyzers.detection.agreement import agreement
from reelbench.analyzers.detection.calibration import LEAST_CONTRAST, CalibrationSet
from reelbench.analyzers.detection.coco import INDEX_BY_CATEGORY, NAMES
from reelbench.analyzers.detection.heads import Detections
from reelbench.analyzers.detection.ssd import SSDRawHead, anchors, select
from reelbench.analyzers.detection.tracks import Merging, associate, merge, overlaps
from reelbench.analyzers.object_detection import ObjectDetection
from reelbench.engines.base import Availability, Evidence, Tensors
from reelbench.errors import ConfigError
from reelbench.media.types import ClipInfo, Frame, FrameRequest, Image, Sampling
from reelbench.models.store import ModelStore
from reelbench.results import AnalyzerResult, Event
from support.clips import make_clip
from support.contract import ready

CAT, DOG = NAMES.index("cat"), NAMES.index("dog")
PHOTOGRAPHS = {
    "bus.jpg": "bus",
    "zidane.jpg": "person",
    "chelsea.png": "cat",
    "coffee.png": "cup",
    "motorcycle_left.png": "motorcycle",
}


def _info(duration_s: float = 2.0, width: int = 100, height: int = 200) -> ClipInfo:
    return ClipInfo(Path("clip.mp4"), width, height, duration_s, 30.0, "h264", "yuv420p")


def _phases(phase: str, items: int = 1) -> nullcontext[None]:
    return nullcontext()


def _seen(*things: tuple[int, float, Sequence[float]]) -> Detections:
    """Detections of (label, score, box)."""
    return Detections(
        np.array([box for _, _, box in things], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in things], np.float32),
        np.array([label for label, _, _ in things], np.int64),
    )


# The head


def test_the_anchors_are_those_of_the_published_network() -> None:
    boxes = anchors()
    assert boxes.shape == (1917, 4)
    # The .pbtxt gives the finest grid 30×30, 42.4×84.9 and 84.9×42.4 pixels (height × width) of 300.
    assert np.allclose(boxes[:3, 2:] * 300, [[30, 30], [42.426, 84.853], [84.853, 42.426]], atol=0.01)
    assert np.allclose(boxes[:3, :2] * 300, 300 / 19 / 2, atol=0.01)
    assert np.allclose(boxes[-6:, :2], 0.5)


def test_tensorflow_s_category_numbers_become_coco_s_names() -> None:
    named = {1: "person", 6: "bus", 13: "stop sign", 44: "bottle", 47: "cup", 67: "dining table", 90: "toothbrush"}
    assert {number: NAMES[INDEX_BY_CATEGORY[number]] for number in named} == named
    assert len(NAMES) == 80 and INDEX_BY_CATEGORY[0] == INDEX_BY_CATEGORY[12] == -1


def test_unnamed_categories_weak_scores_and_empty_boxes_are_left_out() -> None:
    boxes = np.array([[-0.5, 0.2, 0.5, 1.5], [0, 0, 1, 1], [0, 0, 1, 1], [1.1, 0, 1.5, 1]], np.float32)
    found = select(boxes, np.array([0.5, 0.9, 0.1, 0.9]), np.array([17, 12, 17, 17]), 0.2)
    assert found.labels.tolist() == [CAT]
    assert found.boxes == pytest.approx(np.array([[0, 0.2, 0.5, 1]]))


def test_raw_predictors_are_decoded_and_suppressed_within_each_category() -> None:
    encoded, logits = np.zeros((1, 1917, 1, 4), np.float32), np.full((1, 1917, 91), -9, np.float32)
    at = 19 * 19 * 3 + 6 * (10 * 5 + 5)  # the second grid's cell (5, 5), its first shape: scale 0.35, square
    encoded[0, at] = [10, 0, 5 * np.log(2), 0]  # one height down, twice as high
    encoded[0, at + 5] = [10, 0, 5 * np.log(2) - 0.8, -0.8]
    logits[0, at, [17, 18]] = [2, 1]
    logits[0, at + 5, 17] = 1.5
    (found,) = SSDRawHead().decode({"concat:0": encoded, "concat_1:0": logits}, 0.3)
    assert found.labels.tolist() == [CAT, DOG]
    assert found.scores == pytest.approx(1 / (1 + np.exp([-2.0, -1.0])), abs=1e-6)
    assert found.boxes[0] == pytest.approx([0.55 - 0.175, 0.55, 0.55 + 0.175, 1.0], abs=1e-5)


# What calibration goes by


def test_agreement_weighs_what_was_lost_invented_renamed_or_moved() -> None:
    cat, dog = (CAT, 0.8, (0.0, 0.0, 0.4, 0.4)), (DOG, 0.4, (0.5, 0.5, 1.0, 1.0))
    both = _seen(cat, dog)
    assert agreement(both, both) == pytest.approx(1.0) and agreement(Detections(), Detections()) == 1.0
    assert agreement(both, Detections()) == agreement(_seen(cat), _seen((DOG, *cat[1:]))) == 0.0
    assert agreement(both, _seen(cat)) == pytest.approx(2 * 0.8 / (1.2 + 0.8))
    assert agreement(_seen(cat), both) == pytest.approx(agreement(both, _seen(cat)))
    assert agreement(_seen(cat), _seen((CAT, 0.6, cat[2]))) == pytest.approx(2 * 0.6 / 1.4)
    shifted = agreement(_seen(cat), _seen((CAT, 0.8, (0.0, 0.0, 0.4, 0.3))))
    assert shifted == pytest.approx(0.75)


def test_each_thing_is_paired_once() -> None:
    near = (CAT, 0.5, (0.0, 0.0, 0.4, 0.36))
    one, two = _seen((CAT, 0.5, (0.0, 0.0, 0.4, 0.4))), _seen((CAT, 0.5, (0.0, 0.0, 0.4, 0.4)), near)
    assert agreement(one, two) == pytest.approx(2 / 3)
    assert agreement(two, two) == pytest.approx(1.0)


def _film(path: Path) -> Path:
    """Black for half a second, then six shots of half a second that stand still."""
    shots = [np.full((120, 160, 3), 40 + 20 * at, np.uint8) for at in range(6)]
    for shot in shots:
        shot[:60] += 80
    black = np.zeros((120, 160, 3), np.uint8)
    return make_clip(path, frames=105, size=(160, 120), picture=lambda at: black if at < 15 else shots[(at - 15) // 15])


def test_calibration_frames_are_spread_over_the_shots_without_fades_and_repetitions(tmp_path: Path) -> None:
    class Store:
        def path(self, artifact: str) -> Path:
            return tmp_path / artifact

    _film(tmp_path / "film.mp4")
    request = FrameRequest(Sampling(every=1), (64, 64))

    def images(**options: Any) -> list[Image]:
        return CalibrationSet(clips=["film.mp4"], every=3, crops=0, **options).images(Store(), request)  # type: ignore[arg-type]

    first, spread = images(frames=3), images(frames=3, distinct=4.0)
    assert len(first) == 3 and max(image.max() for image in first) < 20
    assert [round(float(image.mean())) for image in spread] == sorted({round(float(image.mean())) for image in spread})
    assert len(spread) == 3 and min(image.std() for image in spread) >= LEAST_CONTRAST
    assert len(images(frames=99, distinct=4.0)) == 6
    assert len(images(frames=99, distinct=4.0, span_s=[1.0, 2.4])) == 3


def test_what_names_a_set_of_pictures_holds_every_option() -> None:
    ways: list[dict[str, Any]] = [{}, {"distinct": 4.0}, {"span_s": [0, 2]}, {"seed": 1}, {"frames": 7}]
    assert len({str(CalibrationSet(clips=["a"], **way)) for way in ways}) == len(ways)
    with pytest.raises(ConfigError, match="span_s"):
        CalibrationSet(span_s=[3, 1])


# The flow: an engine that sees only grey levels


class GreyHead:
    """A frame becomes one number; one cat whose score is that number."""

    size = (8, 8)
    colour = "rgb"

    def batch(self, images: Sequence[Image]) -> NDArray[Any]:
        return np.array([[image.mean() / 255] for image in images])

    def decode(self, outputs: Tensors, threshold: float) -> list[Detections]:
        return [_seen((CAT, float(level), (0, 0, 1, 1))) for (level,) in outputs["grey"]]


class Echo:
    """Answers what it is given, at once."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def available(self) -> Availability:
        return Availability(True)

    def load(self, model: Path, **files: Path) -> None:
        pass

    def infer(self, batch: NDArray[Any]) -> Tensors:
        self.batches.append(len(batch))
        return {"grey": batch.copy()}

    def infer_many(self, batches: Iterable[NDArray[Any]]) -> Iterator[Tensors]:
        return map(self.infer, batches)

    def evidence(self) -> Evidence:
        return Evidence("echo", "CPU", "fp64", "1")

    def close(self) -> None:
        pass


class LateEcho(Echo):
    """Answers only when asked, and takes two batches at once."""

    depth = 2

    def __init__(self) -> None:
        super().__init__()
        self.in_flight: list[NDArray[Any]] = []

    def submit(self, batch: NDArray[Any]) -> None:
        assert len(self.in_flight) < self.depth
        self.in_flight.append(batch)

    def collect(self) -> Tensors:
        return self.infer(self.in_flight.pop(0))


def _frames(levels: Sequence[int]) -> Iterator[Frame]:
    for index, level in enumerate(levels):
        yield Frame(np.full((8, 8, 3), level, np.uint8), index / 10, index)


def _run(levels: Sequence[int], engine: Echo, **options: Any) -> AnalyzerResult:
    analyzer = ObjectDetection(engine, GreyHead(), {}, {"every": 1}, **options)  # type: ignore[arg-type]
    return analyzer.analyze(Material("clip", _info(len(levels) / 10), _phases, _frames(levels)))


@pytest.mark.parametrize("make", [Echo, LateEcho])
@pytest.mark.parametrize("batch", [1, 2, 3, 7, 20])
def test_every_frame_gets_its_own_answer_whatever_the_batch_and_the_engine(
    make: Callable[[], Echo], batch: int
) -> None:
    levels = [60, 70, 80, 90, 100, 110, 120]
    engine = make()
    result = _run(levels, engine, batch=batch)
    assert [event.score for event in result.events] == pytest.approx([level / 255 for level in levels])
    assert [event.start_s for event in result.events] == pytest.approx([index / 10 for index in range(7)])
    assert [event.end_s for event in result.events] == pytest.approx([(index + 1) / 10 for index in range(7)])
    assert sum(engine.batches) == 7 and max(engine.batches) == min(batch, 7)


@pytest.mark.parametrize("make", [Echo, LateEcho])
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_near_duplicates_carry_the_last_answer_and_never_reach_the_network(
    make: Callable[[], Echo], batch: int
) -> None:
    levels = [60, 60, 61, 120, 120, 60, 60]
    engine = make()
    result = _run(levels, engine, batch=batch, deduplicate={"threshold": 2.0})
    assert [event.score for event in result.events] == pytest.approx([x / 255 for x in (60, 60, 60, 120, 120, 60, 60)])
    assert (result.frames_sampled, result.frames_inferred, sum(engine.batches)) == (7, 3, 3)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"batch": 0}, "batch"),
        ({"threshold": 1.5}, "threshold"),
        ({"tracks": {"iou": 2}}, "tracks"),
        ({"tracks": {"overlap": 0.3}}, "overlap"),
        ({"deduplicate": {"threshold": -1}}, "deduplicate"),
    ],
)
def test_a_wrong_option_is_one_line_that_names_it(options: dict[str, Any], names: str) -> None:
    with pytest.raises(ConfigError, match=names):
        _run([1], Echo(), **options)


# Merging over time

LEFT, RIGHT = (0.0, 0.0, 0.4, 0.4), (0.6, 0.6, 1.0, 1.0)


def _merged(*samples: Detections, how: Merging | None = None) -> list[Event]:
    return merge([float(at) for at in range(len(samples))], samples, float(len(samples)), 100, 200, how or Merging())


def test_a_thing_that_moves_is_one_event_whose_box_is_interpolated() -> None:
    shifted = (0.1, 0.0, 0.5, 0.4)
    (event,) = _merged(_seen((CAT, 0.5, LEFT)), _seen((CAT, 0.9, shifted)))
    assert (event.start_s, event.end_s, event.label) == (0.0, 2.0, "cat")
    assert (event.score, event.box) == (pytest.approx(0.9), pytest.approx((10, 0, 50, 80)))
    middle = event.box_at(0.5)
    assert middle is not None and middle.box == pytest.approx((5, 0, 45, 80)) and middle.score == pytest.approx(0.7)


def test_a_short_miss_is_bridged_and_a_long_one_is_not() -> None:
    cat, nothing = _seen((CAT, 0.9, LEFT)), Detections()
    (bridged,) = _merged(cat, nothing, cat)
    assert bridged.box_at(1.0) is not None
    assert len(_merged(cat, nothing, nothing, cat)) == 2
    assert len(_merged(cat, nothing, nothing, cat, how=Merging(gap=2))) == 1
    assert len(_merged(cat, nothing, cat, how=Merging(gap=0))) == 2


def test_an_event_starts_and_ends_midway_between_samples() -> None:
    nothing = Detections()
    (event,) = _merged(nothing, _seen((CAT, 0.9, LEFT)), nothing)
    assert (event.start_s, event.end_s) == (0.5, 1.5)


def test_another_label_or_another_place_is_another_event() -> None:
    events = _merged(_seen((CAT, 0.9, LEFT), (CAT, 0.8, RIGHT)), _seen((DOG, 0.9, LEFT), (CAT, 0.7, RIGHT)))
    assert sorted((event.label, len(event.track)) for event in events) == [("cat", 1), ("cat", 2), ("dog", 1)]


def test_the_best_overlap_wins() -> None:
    near, far = (0.02, 0.0, 0.42, 0.4), (0.15, 0.0, 0.55, 0.4)
    first, *_ = _merged(_seen((CAT, 0.9, LEFT)), _seen((CAT, 0.9, far), (CAT, 0.3, near)))
    assert first.track[1].box == pytest.approx((2, 0, 42, 80))


def test_what_was_seen_too_seldom_is_dropped_on_request() -> None:
    cat = _seen((CAT, 0.9, LEFT))
    events = _merged(cat, cat, _seen((DOG, 0.9, RIGHT)), how=Merging(min_samples=2))
    assert [event.label for event in events] == ["cat"]


_boxes = st.tuples(*(st.integers(0, 8) for _ in range(4))).map(
    lambda v: (min(v[0], v[2]) / 10, min(v[1], v[3]) / 10, max(v[0], v[2]) / 10 + 0.1, max(v[1], v[3]) / 10 + 0.1)
)
_things = st.lists(st.tuples(st.sampled_from([CAT, DOG]), st.floats(0.2, 1.0), _boxes), max_size=4)


@settings(max_examples=60)
@given(st.lists(_things, max_size=6), st.integers(0, 2))
def test_every_detection_is_in_exactly_one_track_and_no_track_has_two_of_one_sample(samples: Any, gap: int) -> None:
    found = [_seen(*things) for things in samples]
    tracks = associate(found, Merging(gap=gap))
    placed = [(sample, track.label) for track in tracks for sample in track.samples]
    assert sorted(placed) == sorted((at, int(label)) for at, seen in enumerate(found) for label in seen.labels)
    for track in tracks:
        steps = np.diff(track.samples)
        assert ((steps >= 1) & (steps <= gap + 1)).all()


# Real photographs, real engines


def _views(name: str) -> Iterator[Image]:
    """The photograph whole, cropped at two scales, and mirrored: 300×300 RGB."""
    artifact = f"photographs/{name}"
    whole = cv2.cvtColor(cv2.imread(str(ModelStore().ensure([artifact])[artifact])), cv2.COLOR_BGR2RGB)
    height, width = whole.shape[:2]
    for cut in (whole, whole[height // 10 :, width // 10 :], whole[: -height // 8, : -width // 8], whole[:, ::-1]):
        yield cv2.resize(cut, (300, 300))


def _found(variant: str, images: Iterable[Image]) -> list[list[Event]]:
    analyzer = ready("object_detection", variant).analyzer
    frames = (Frame(image, index / 3, index) for index, image in enumerate(images))
    return [
        list(analyzer.analyze(Material("photographs", _info(1.0, 300, 300), _phases, iter([frame]))).events)
        for frame in frames
    ]


@pytest.fixture(scope="module")
def images() -> list[Image]:
    return [view for name in PHOTOGRAPHS for view in _views(name)]


def test_the_cut_graph_answers_as_the_whole_one_does_in_opencv(images: list[Image]) -> None:
    for ours, theirs in zip(_found("openvino_fp32", images), _found("baseline", images), strict=True):
        clear = [event for event in theirs if event.score > 0.22]
        assert len([event for event in ours if event.score > 0.22]) == pytest.approx(len(clear), abs=1)
        for event in clear:
            twins = [other for other in ours if other.label == event.label and abs(other.score - event.score) < 0.01]
            assert any(np.allclose(other.box, event.box, atol=1.0) for other in twins), event


@pytest.mark.parametrize("variant", ["openvino_int8", "openvino_int8_careful", "optimized"])
def test_a_bus_stays_a_bus_in_int8(variant: str, images: list[Image]) -> None:
    """Calibrated carelessly, INT8 makes an aeroplane of it. What either sees clearly, the other sees in the same place."""
    exact, quantized = _found("openvino_fp32", images), _found(variant, images)
    for at, label in enumerate(PHOTOGRAPHS.values()):
        assert label in {event.label for event in quantized[4 * at]}
    for a, b in zip(exact, quantized, strict=True):
        for clear, others in ((a, b), (b, a)):
            for event in clear:
                assert event.score < 0.6 or any(_same_thing(event, other) for other in others), event


def _same_thing(a: Event, b: Event) -> bool:
    assert a.box and b.box
    return a.label == b.label and float(overlaps(np.array([a.box]), np.array([b.box]))[0, 0]) > 0.6
