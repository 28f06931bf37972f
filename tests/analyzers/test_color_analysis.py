"""Palettes of a clip whose colours are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from reelbench.corpus.clip import Truth, TruthPalette
from reelbench.errors import ConfigError
from reelbench.quality.palettes import PaletteQuality, delta_e
from support.clips import make_clip
from support.contract import build, ready

RED, SAND, NAVY, TEAL = "#b03030", "#d8c8a0", "#203060", "#30a0a0"


def patches(*colours: tuple[str, float]) -> NDArray[np.uint8]:
    """Stripes from top to bottom, 160×240."""
    picture = np.zeros((240, 160, 3), np.uint8)
    top = 0
    for colour, share in colours:
        bottom = top + round(240 * share)
        picture[top:bottom] = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        top = bottom
    return picture


FIRST = ((RED, 0.6), (SAND, 0.4))
SECOND = ((NAVY, 0.7), (TEAL, 0.3))
TRUTH = Truth(
    palettes=(
        TruthPalette(start_s=0.0, end_s=1.0, colours=FIRST),
        TruthPalette(start_s=1.0, end_s=2.0, colours=SECOND),
    )
)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pictures = patches(*FIRST), patches(*SECOND)
    return make_clip(
        tmp_path_factory.mktemp("clips") / "two.mp4", frames=60, size=(160, 240), picture=lambda i: pictures[i // 30]
    )


@pytest.mark.parametrize("variant", ["baseline", "optimized"])
def test_each_stretch_has_its_colours_with_their_shares(variant: str, clip: Path) -> None:
    result, _ = ready("color_analysis", variant).on(clip)
    first, second = result.events
    assert (first.start_s, second.end_s) == (0.0, pytest.approx(2.0, abs=0.05))
    assert first.end_s == second.start_s == pytest.approx(1.0, abs=0.51)
    for event, expected in ((first, FIRST), (second, SECOND)):
        found = event.attributes["colours"][:2]
        for colour, (wanted, share) in zip(found, expected, strict=True):
            assert delta_e(colour["hex"], wanted) < 4
            assert colour["share"] == pytest.approx(share, abs=0.05)
    assert (first.attributes["temperature"], second.attributes["temperature"]) == ("warm", "cool")
    scores = PaletteQuality().against_truth({"two": result}, {"two": TRUTH}).overall
    assert scores["palette_recall"] > 0.9
    assert scores["delta_e"] < 5


def test_a_wrong_palette_scores_low(clip: Path) -> None:
    result, _ = ready("color_analysis", "optimized").on(clip)
    green = {"colours": [{"hex": "#00ff00", "share": 1.0}]}
    wrong = result.model_copy(
        update={"events": tuple(e.model_copy(update={"attributes": green}) for e in result.events)}
    )
    scores = PaletteQuality().against_truth({"two": wrong}, {"two": TRUTH}).overall
    assert scores["palette_recall"] == 0 and scores["delta_e"] > 30
    nothing = result.model_copy(update={"events": ()})
    assert PaletteQuality().against_truth({"two": nothing}, {"two": TRUTH}).overall["palette_recall"] == 0
    assert "clip" in PaletteQuality().against_truth({}, {"clip": Truth()}).absent


def test_delta_e_is_ciede2000() -> None:
    """The first row of Sharma, Wu & Dalal (2005), as far as sRGB hex can hold it, and what any difference must satisfy."""
    assert delta_e("#808080", "#808080") == 0
    assert delta_e("#000000", "#ffffff") == pytest.approx(100, abs=0.1)
    assert delta_e(RED, TEAL) == pytest.approx(delta_e(TEAL, RED), abs=1e-6)


@pytest.mark.parametrize("wrong", ["analyzer.colours=0", "analyzer.stride=0", "analyzer.change=0"])
def test_settings_that_make_no_sense_are_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"makes no sense|should be greater than"):
        build("color_analysis", "optimized", wrong)
