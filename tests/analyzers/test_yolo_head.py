"""The YOLO head: letterboxing in, decoding and suppression out; both against Ultralytics' own where it is installed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from reelbench.analyzers.detection.yolo import YOLOHead
from reelbench.errors import ConfigError


def _answer(*boxes: tuple[float, float, float, float, int, float], anchors: int = 20) -> dict[str, NDArray[np.float32]]:
    """A network's answer that holds these (centre x, centre y, width, height, class, score) in input pixels."""
    output = np.zeros((1, 84, anchors), np.float32)
    for at, (x, y, width, height, label, score) in enumerate(boxes):
        output[0, :4, at] = x, y, width, height
        output[0, 4 + label, at] = score
    return {"output0": output}


def test_a_frame_keeps_its_proportions_on_grey() -> None:
    image = np.full((640, 320, 3), 200, np.uint8)
    batch = YOLOHead([640, 640]).batch([image])
    assert batch.shape == (1, 3, 640, 640) and batch.dtype == np.float32
    assert np.allclose(batch[0, :, :, 160:480], 200 / 255)
    assert np.allclose(batch[0, :, :, :160], 114 / 255) and np.allclose(batch[0, :, :, 480:], 114 / 255)


def test_boxes_come_back_as_fractions_of_the_frame_without_the_grey() -> None:
    # 320×640 fills columns 160…480 of the input: the box covers the frame's right half.
    (found,) = YOLOHead([640, 640]).fitted(320, 640).decode(_answer((400, 320, 160, 640, 15, 0.9)), 0.25)
    assert found.boxes == pytest.approx(np.array([[0.5, 0, 1, 1]]), abs=1e-6)
    assert (found.labels.tolist(), found.scores.tolist()) == ([15], [pytest.approx(0.9)])


def test_suppression_is_class_by_class_and_best_first() -> None:
    answer = _answer(
        (100, 100, 50, 50, 0, 0.6), (102, 100, 50, 50, 0, 0.8), (101, 100, 50, 50, 2, 0.7), (9, 9, 4, 4, 1, 0.1)
    )
    (found,) = YOLOHead().decode(answer, 0.25)
    assert found.labels.tolist() == [0, 2]
    assert found.scores.tolist() == pytest.approx([0.8, 0.7])


def test_a_box_in_the_grey_alone_is_dropped() -> None:
    (found,) = YOLOHead([640, 640]).fitted(320, 640).decode(_answer((50, 300, 40, 40, 0, 0.9)), 0.25)
    assert len(found) == 0


def test_no_detection_is_an_empty_answer() -> None:
    (found,) = YOLOHead().decode(_answer(), 0.25)
    assert found.boxes.shape == (0, 4)


@pytest.mark.parametrize("size", [[600, 640], [640], [0, 640]])
def test_an_input_that_the_network_cannot_take_is_refused(size: list[int]) -> None:
    with pytest.raises(ConfigError, match="multiples of 32"):
        YOLOHead(size)


@pytest.mark.torch
@pytest.mark.parametrize("frame", [(720, 1280), (640, 272), (641, 359)])
def test_decoding_agrees_with_ultralytics(frame: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra 'torch'")
    from ultralytics.utils.nms import non_max_suppression
    from ultralytics.utils.ops import scale_boxes

    rng = np.random.default_rng(frame[0])
    output = rng.random((2, 84, 300), dtype=np.float32)
    output[:, :4] = output[:, :4] * np.array([560, 560, 200, 200], np.float32)[:, None] + 40
    output[:, 4:] **= 8
    found = YOLOHead([640, 640]).fitted(*frame).decode({"output0": output}, 0.25)
    expected = non_max_suppression(torch.from_numpy(output.copy()), 0.25, 0.7, max_det=300)
    for ours, theirs in zip(found, expected, strict=True):
        boxes = scale_boxes((640, 640), theirs[:, :4].clone(), (frame[1], frame[0])).numpy()
        real = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        assert len(ours) == real.sum() > 20
        assert ours.labels.tolist() == theirs[real, 5].int().tolist()
        assert ours.scores == pytest.approx(theirs[real, 4].numpy())
        assert ours.boxes * np.array(frame * 2) == pytest.approx(boxes[real], abs=0.01)


@pytest.mark.torch
@pytest.mark.parametrize("frame", [(720, 1280), (640, 272), (641, 359)])
def test_letterboxing_agrees_with_ultralytics(frame: tuple[int, int]) -> None:
    pytest.importorskip("torch", reason="needs the extra 'torch'")
    from ultralytics.data.augment import LetterBox

    image = np.random.default_rng(1).integers(0, 255, (frame[1], frame[0], 3), np.uint8)
    expected = LetterBox((640, 640), auto=False)(image=image)
    ours = YOLOHead([640, 640]).batch([image])[0].transpose(1, 2, 0) * 255
    assert np.array_equal(np.rint(ours).astype(np.uint8), expected)
