"""Where there is nothing to find, whoever finds nothing is right; a metric has to say so in a way that `reelbench ab system` knows."""

from __future__ import annotations

import pytest

from reelbench.config import compose, instantiate
from reelbench.corpus.clip import Truth
from reelbench.paths import conf_dir
from reelbench.quality.base import rightly_silent
from reelbench.results import AnalyzerResult, Event

ANALYZERS = sorted({path.stem for path in (conf_dir() / "analyzer").glob("*.yaml")} - {"qwen2_vl_temporal"})
"""All but the narrator: there is always something to say."""
NOTHING = Truth.model_validate(
    {name: () for name, field in Truth.model_fields.items() if "tuple" in str(field.annotation)}
)
LABELS = (
    "speech", "music", "noise", "click", "whoosh", "pause", "filler", "follow", "buy", "hook", "body", "cut", "dissolve",
    "fade", "flash", "shot", "scene", "face", "person", "blink", "text", "bag", "footwear",
)  # fmt: skip
"""Something of what each analyzer reports."""


def _result(analyzer: str, *labels: str) -> AnalyzerResult:
    events = [
        Event(start_s=1 + at / 10, end_s=2 + at / 10, label=label, score=0.9, text="some words", box=(0, 0, 50, 50))
        for at, label in enumerate(labels)
    ]
    return AnalyzerResult(analyzer=analyzer, clip="clip", duration_s=9.0, sampled_s=(1.0, 2.0), events=tuple(events))


@pytest.fixture(scope="module")
def scored() -> dict[str, tuple[bool, str]]:
    """Of each analyzer whose metric scores an invention where nothing is to be found: what it says of one that found nothing."""
    found = {}
    for analyzer in ANALYZERS:
        config = compose([f"analyzer={analyzer}"])
        metric, truth = instantiate(config.quality), {"clip": NOTHING}
        invented = metric.against_truth({"clip": _result(analyzer, *LABELS)}, truth)
        silent = metric.against_truth({"clip": _result(analyzer)}, truth)
        if metric.primary in invented.per_clip.get("clip", {}):
            scored = metric.primary in silent.per_clip.get("clip", {})
            found[analyzer] = (scored, silent.absent.get(f"clip/{metric.primary}") or silent.absent.get("clip", ""))
    return found


def test_an_empty_answer_is_scored_or_rightly_silent(scored: dict[str, tuple[bool, str]]) -> None:
    assert {name: why for name, (has, why) in scored.items() if not has and not rightly_silent(why)} == {}
    assert {"cut_analysis", "sound_effects", "comment_cta_detection", "text_overlay", "visual_effects"} <= scored.keys()
