"""What was done to a photograph is found, the more of it the more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from reelbench.analyzers.picture.brisque import Brisque
from reelbench.analyzers.picture.measures import Measures
from reelbench.corpus.clip import Truth, TruthDegradation
from reelbench.errors import WeightsError
from reelbench.models.store import ModelStore
from reelbench.quality.degradations import DegradationQuality
from support.clips import make_clip
from support.contract import photograph, ready

Picture = NDArray[np.uint8]
FILES = ("brisque/svm.txt", "brisque/normalize.pickle")


def blurred(picture: Picture, level: float) -> Picture:
    return cv2.GaussianBlur(picture, (0, 0), level) if level else picture


def noisy(picture: Picture, level: float) -> Picture:
    noise = np.random.default_rng(0).normal(0, level, picture.shape)
    return (picture + noise).clip(0, 255).astype(np.uint8)


def blocky(picture: Picture, level: float) -> Picture:
    if not level:
        return picture
    return cv2.imdecode(
        cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(60 / level)])[1], cv2.IMREAD_UNCHANGED
    )


def darker(picture: Picture, level: float) -> Picture:
    return (picture * (1 - level / 10)).astype(np.uint8)


def grey() -> Picture:
    cat: Picture = cv2.cvtColor(photograph(), cv2.COLOR_RGB2GRAY)  # type: ignore[assignment]
    return cat[:296, :448]


@pytest.fixture(scope="module")
def brisque() -> Brisque:
    files = ModelStore().ensure(FILES)
    return Brisque(*(files[name] for name in FILES))


@pytest.mark.parametrize(
    ("spoil", "measure", "sign"),
    [(blurred, "blur", 1), (noisy, "noise", 1), (blocky, "blockiness", 1), (darker, "exposure", -1)],
)
def test_a_measure_grows_with_what_it_is_about(
    spoil: Callable[[Picture, float], Picture], measure: str, sign: int, brisque: Brisque
) -> None:
    pictures = [spoil(grey(), level).astype(np.float32) for level in (0, 2, 4, 8)]
    found = [sign * getattr(Measures.of(picture), measure) for picture in pictures]
    assert found == sorted(found) and found[-1] > found[0]
    if measure != "exposure":
        assert brisque.score(pictures[-1]) > brisque.score(pictures[0]) + 15


def test_noise_is_in_levels_of_255() -> None:
    flat = np.full((256, 256), 128, np.uint8)
    assert Measures.of(noisy(flat, 6.0).astype(np.float32)).noise == pytest.approx(6.0, rel=0.15)


def test_files_that_are_not_brisque_s_are_refused(tmp_path: Path) -> None:
    files = ModelStore().ensure(FILES)
    bad = tmp_path / "bad"
    bad.write_bytes(b"\x80\x04cos\nsystem\n.")
    with pytest.raises(WeightsError, match=r"it wants os\.system"):
        Brisque(files[FILES[0]], bad)
    bad.write_text("svm_type c_svc\nkernel_type linear\nSV\n")
    with pytest.raises(WeightsError, match="not BRISQUE's support vectors"):
        Brisque(bad, files[FILES[1]])


@pytest.mark.parametrize("variant", ["baseline", "optimized"])
def test_seconds_that_were_spoilt_more_rank_lower(variant: str, tmp_path: Path) -> None:
    levels = (0.0, 0.3, 0.6, 1.0)
    cat = photograph()[:288, :416]

    def picture(index: int) -> Picture:
        return blurred(cat, 6 * levels[index // 30])

    clip = make_clip(tmp_path / "blur.mp4", frames=120, size=(416, 288), picture=picture, options={"crf": "12"})
    result, _ = ready("content_quality", variant).on(clip)
    assert [round(event.start_s) for event in result.events] == [0, 1, 2, 3]
    assert result.events[0].score > result.events[3].score
    done = tuple(
        TruthDegradation(start_s=i, end_s=i + 1, kind="blur", level=level) for i, level in enumerate(levels) if level
    )
    truths = {"blur": Truth(degradations=done)}
    assert DegradationQuality().against_truth({"blur": result}, truths).overall["spearman"] == pytest.approx(1.0)
    backwards = result.model_copy(
        update={
            "events": tuple(
                event.model_copy(update={"attributes": other.attributes})
                for event, other in zip(result.events, reversed(result.events), strict=True)
            )
        }
    )
    assert DegradationQuality().against_truth({"blur": backwards}, truths).overall["spearman"] == pytest.approx(-1.0)
