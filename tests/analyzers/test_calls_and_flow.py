"""Calls to action, and the parts of a clip, from what analyzers upstream found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reelbench.analyzers.base import Material
from reelbench.analyzers.calls.rules import Rules
from reelbench.corpus.clip import Truth, TruthSpan
from reelbench.errors import ConfigError, WeightsError
from reelbench.media.types import ClipInfo
from reelbench.paths import conf_dir
from reelbench.quality.spans import SpanQuality
from reelbench.results import AnalyzerResult, Event
from support.contract import StrictPhases, build, ready

DURATION = 12.0


def result(analyzer: str, *events: Event) -> AnalyzerResult:
    return AnalyzerResult(analyzer=analyzer, clip="clip", duration_s=DURATION, events=events)


def words(text: str, start_s: float, each_s: float = 0.3) -> list[Event]:
    return [
        Event(start_s=start_s + i * each_s, end_s=start_s + (i + 1) * each_s, label="word", score=0.9, text=word)
        for i, word in enumerate(text.split())
    ]


def analyze(analyzer: str, variant: str, *given: AnalyzerResult) -> AnalyzerResult:
    info = ClipInfo(Path("clip.mp4"), 720, 1280, DURATION, 30.0, "h264", "yuv420p")
    upstream = {one.analyzer: one for one in given}
    return ready(analyzer, variant).analyzer.analyze(Material("clip", info, StrictPhases(), upstream=upstream))


SAID = result(
    "speech_transcription",
    *words("Here is my grandmother's soup. Pass this on to a friend.", 0.0),
    *words("Folgt mir für mehr.", 9.0),
)
SHOWN = result(
    "text_overlay", Event(start_s=8.0, end_s=11.0, label="overlay", score=1.0, text="LINK IN\nBIO", box=(1, 2, 3, 4))
)


def test_calls_are_found_in_speech_and_overlays_by_rules_and_by_meaning() -> None:
    found = analyze("comment_cta_detection", "optimized", SAID, SHOWN).events
    assert [(e.label, e.attributes["source"], e.attributes["by"]) for e in found] == [
        ("share", "speech", "embedding"),
        ("link", "overlay", "rule"),
        ("follow", "speech", "rule"),
    ]
    assert found[0].start_s == pytest.approx(1.5) and found[0].text == "Pass this on to a friend."
    assert found[1].box == (1, 2, 3, 4)
    by_rule = analyze("comment_cta_detection", "baseline", SAID, SHOWN).events
    assert [event.label for event in by_rule] == ["link", "follow"]


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("Make sure to follow for part two!", "follow"),
        ("Abonniere den Kanal für mehr Rezepte", "follow"),
        ("Follow the recipe exactly.", ""),
        ("drop a like if you agree", "like"),
        ("It looks like rain.", ""),
        ("Comment \"SOUP\" and I will send you the recipe", "comment"),
        ("Schreibt es mir in die Kommentare", "comment"),
        ("Tag a friend who needs this", "share"),
        ("Jetzt bestellen", "buy"),
        ("20% off today", "buy"),
        ("Link in bio", "link"),
        # What is asked for first counts.
        ("Tap the link below and get yours today", "link"),
        ("Grab one today, the link is in my bio", "buy"),
        ("Jetzt Termin buchen!", "buy"),
        ("Das Buch ist jetzt bei mir", ""),
        ("You can get there by bus today", ""),
        ("Markiere jemanden, der das braucht", "share"),
        ("Save this for later", "save"),
        ("This saves a lot of time.", ""),
        ("Add two cups of flour.", ""),
    ],
)  # fmt: skip
def test_rules(sentence: str, kind: str) -> None:
    assert Rules.read(conf_dir() / "calls.yaml").kind_of(sentence) == kind


def test_damaged_rules_and_weights_say_where(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("calls: {follow: {patterns: ['('], examples: []}}\nnone: []\n")
    with pytest.raises(ConfigError, match=r"bad\.yaml: "):
        Rules.read(bad)
    from reelbench.analyzers.calls.minilm import MiniLM

    (tmp_path / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    with pytest.raises(WeightsError, match="not all-MiniLM"):
        MiniLM(tmp_path / "model.safetensors", tmp_path / "none.json")


def test_structure_follows_scenes_and_calls() -> None:
    scenes = [(0.0, 2.6), (2.6, 7.8), (7.8, 12.0)]
    given = [
        result("scene_segmentation", *(Event(start_s=a, end_s=b, label="scene", score=1.0) for a, b in scenes)),
        result("cut_analysis", *(Event(start_s=t, end_s=t, label="cut", score=1.0) for t in (2.6, 3.1, 7.8))),
        result("comment_cta_detection", Event(start_s=8.0, end_s=11.0, label="link", score=1.0)),
        SAID,
    ]
    found = analyze("temporal_flow", "optimized", *given)
    assert [(e.label, e.start_s, e.end_s) for e in found.events] == [
        ("hook", 0.0, 2.6), ("body", 2.6, 7.8), ("call_to_action", 7.8, 12.0),
    ]  # fmt: skip
    assert found.events[0].attributes == {
        "ends_with": "scene",
        "cuts_per_min": 0.0,
        "words_per_min": pytest.approx(207.69),
    }
    truth = Truth(structure=tuple(TruthSpan(start_s=e.start_s, end_s=e.end_s, label=e.label) for e in found.events))
    quality: Any = SpanQuality("structure", by="boundary", least=1.0)
    assert quality.against_truth({"clip": found}, {"clip": truth}).overall["event_f1"] == 1.0
    early = analyze("temporal_flow", "optimized", SAID)
    assert [event.label for event in early.events] == ["hook", "body"], "no call: no call to action"
    assert quality.against_truth({"clip": early}, {"clip": truth}).overall["event_f1"] < 1.0


def test_spans_are_matched_once_and_by_label() -> None:
    def spans(*found: tuple[str, float, float]) -> AnalyzerResult:
        return result("x", *(Event(start_s=a, end_s=b, label=label, score=1.0) for label, a, b in found))

    truth = Truth(
        calls=tuple(
            TruthSpan(start_s=a, end_s=b, label=n) for n, a, b in [("buy", 1, 3), ("buy", 5, 7), ("like", 8, 9)]
        )
    )
    found = spans(("buy", 1, 3), ("buy", 1.1, 3), ("buy", 5.5, 7), ("buy", 8, 9))
    scores = SpanQuality("calls").against_truth({"clip": found}, {"clip": truth}).overall
    assert scores == {"event_precision": 0.5, "event_recall": pytest.approx(2 / 3), "event_f1": pytest.approx(4 / 7)}
    nothing = SpanQuality("calls").against_truth({"clip": spans()}, {"clip": Truth(calls=())})
    assert nothing.overall == {} and nothing.absent["event_f1"] == "there is nothing to find, and nothing was found"
    with pytest.raises(ConfigError, match="ground truth has no 'cals'"):
        SpanQuality("cals")


@pytest.mark.parametrize(
    ("analyzer", "wrong"),
    [
        ("temporal_flow", "analyzer.hook_s=[3,2,1]"),
        ("temporal_flow", "analyzer.call_from=2"),
        ("comment_cta_detection", "analyzer.embedding.threshold=7"),
    ],
)
def test_settings_that_make_no_sense_are_refused(analyzer: str, wrong: str) -> None:
    with pytest.raises(ConfigError, match="analyzer"):
        build(analyzer, "optimized", wrong)
