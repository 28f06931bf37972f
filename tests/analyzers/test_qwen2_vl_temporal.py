"""qwen2_vl_temporal without a network: windows of a clip, repetition and its second try, what becomes of answers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reelbench.analyzers.base import Material
from reelbench.analyzers.narration.repetition import Repetition, alike, looping
from reelbench.analyzers.narration.windows import Window, Windows, cut
from reelbench.analyzers.qwen2_vl_temporal import Qwen2VLTemporal
from reelbench.engines.base import Availability, Evidence
from reelbench.engines.transformers_vlm_types import Answer, Decoding, Prompt
from reelbench.errors import ConfigError
from reelbench.media.types import ClipInfo, Frame
from reelbench.models.store import ModelStore
from reelbench.results import AnalyzerResult

LOOP = "the cat sits on the mat and the cat sits on the mat and the cat sits on the mat"


def frames(times: Sequence[float]) -> list[Frame]:
    """Frames of 2×2 pixels; the first pixel is the frame's number."""
    return [Frame(np.full((2, 2, 3), at, np.uint8), time, at) for at, time in enumerate(times)]


def shown(window: Window) -> list[int]:
    return [int(frame[0, 0, 0]) for frame in window.video]


# Windows


def test_a_clip_falls_into_windows_of_the_same_shape() -> None:
    found = list(cut(frames(np.arange(0, 5, 0.5).tolist()), Windows(2.0, 4), 5.0))
    assert [shown(window) for window in found] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 9, 9]]
    assert [(window.start_s, window.end_s) for window in found] == [(0, 2), (2, 4), (4, 6)]
    assert found[-1].indices == (8, 9)


def test_a_variable_rate_shows_what_is_on_the_screen_at_each_instant() -> None:
    (window,) = cut(frames([0.0, 0.1, 0.2, 1.6]), Windows(2.0, 4), 2.0)
    assert shown(window) == [2, 2, 2, 3]


def test_a_long_clip_is_cut_with_overlap_and_a_short_one_is_not() -> None:
    layout = Windows(2.0, 4, overlap_s=0.5, long_s=4.0)
    times = np.arange(0, 5, 0.5).tolist()
    assert [w.start_s for w in cut(frames(times), layout, 5.0)] == [0, 1.5, 3.0]
    assert [w.start_s for w in cut(frames(times[:8]), layout, 4.0)] == [0, 2.0]


def test_windows_without_frames_are_left_out() -> None:
    found = list(cut(frames([0.0, 0.5, 9.0, 9.5]), Windows(2.0, 4), 11.0))
    assert [window.start_s for window in found] == [0.0, 9.0]
    assert found[1].end_s == 10.0
    assert list(cut([], Windows(), 3.0)) == []


def test_only_one_window_of_frames_is_held() -> None:
    taken = 0

    def endless() -> Any:
        nonlocal taken
        for frame in frames((np.arange(200) / 2).tolist()):
            taken += 1
            yield frame

    next(cut(endless(), Windows(2.0, 4), 100.0))
    assert taken == 5


# Repetition


def test_what_counts_as_repetition() -> None:
    rules = Repetition(similar=0.9, memory=2, loop=0.3, ngram=4)
    assert rules.reason(LOOP, []) == "loop" and looping("a man walks to the door", 4) == 0
    assert rules.reason("A man runs!", ["x", "a man runs"]) == "same"
    assert rules.reason("A man runs!", ["a man runs", "x", "y"]) == ""
    assert alike("a b", "c d") == 0 and alike("", "") == 1


# The analyzer


class Speaker:
    """Says the next of ``lines`` for each window, and notes how it was asked."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self.batches: list[int] = []
        self.decodings: list[Decoding] = []
        self.prompts: set[Prompt] = set()

    def available(self) -> Availability:
        return Availability(True)

    def load(self, model: Path, **files: Path) -> None:
        self.folder = model

    def build(self, architecture: str) -> None:
        self.built = architecture

    def encode(self, videos: Sequence[np.ndarray], fps: float, prompt: Prompt) -> int:
        assert fps == 2.0 and all(video.shape == (4, 2, 2, 3) for video in videos)
        self.prompts.add(prompt)
        return len(videos)

    def generate(self, encoded: int, decoding: Decoding) -> list[Answer]:
        self.batches.append(encoded)
        self.decodings.append(decoding)
        return [Answer(self.lines.pop(0), 0.5, 3) for _ in range(encoded)]

    def evidence(self) -> Evidence:
        return Evidence("none", "CPU", "fp32", "0")

    def close(self) -> None: ...


def narrate(speaker: Speaker, times: Sequence[float], duration_s: float, **settings: Any) -> AnalyzerResult:
    given: dict[str, Any] = {"weights": ["qwen2_vl/2b-instruct/config.json"], "repetition": {}, **settings}
    analyzer = Qwen2VLTemporal(
        speaker,
        prompt={"instructions": "Look.", "question": "What?"},
        size=[2, 2],
        windows={"seconds": 2.0, "frames": 4, "overlap_s": 0.5, "long_s": 60.0},
        **given,
    )
    info = ClipInfo(Path("c.mp4"), 4, 4, duration_s, 30.0, "h264", "yuv420p")
    return analyzer.analyze(Material("c", info, lambda phase, items=1: nullcontext(), iter(frames(times))))


def test_windows_become_events_one_after_the_other() -> None:
    speaker = Speaker("a", "b", "c")
    result = narrate(speaker, np.arange(0, 5, 0.5).tolist(), 5.0, batch=2)
    assert [(event.start_s, event.end_s, event.text) for event in result.events] == [
        (0, 2, "a"),
        (2, 4, "b"),
        (4, 5, "c"),
    ]
    assert speaker.batches == [2, 1]
    assert (result.frames_sampled, result.frames_inferred) == (10, 10)
    assert speaker.prompts == {Prompt("Look.", "What?")}


def test_where_windows_overlap_the_later_one_speaks() -> None:
    result = narrate(Speaker(*(f"line {n}" for n in range(50))), np.arange(0, 61, 0.5).tolist(), 61.0)
    assert [event.end_s for event in result.events[:-1]] == [event.start_s for event in result.events[1:]]
    assert result.events[1].start_s == 1.5 and result.events[-1].end_s == 61.0


def test_a_repeated_text_is_tried_again_with_other_decoding() -> None:
    speaker = Speaker("a man runs", "a man runs", "he stops", LOOP, LOOP)
    result = narrate(speaker, np.arange(0, 6, 0.5).tolist(), 6.0)
    assert [event.text for event in result.events] == ["a man runs", "he stops", LOOP]
    told = [(event.attributes["retries"], event.attributes["repeats"]) for event in result.events]
    assert told == [(0, ""), (1, ""), (1, "loop")]
    assert speaker.decodings[0] == Decoding(64)
    assert speaker.decodings[2] == Decoding(64, repetition_penalty=1.2, no_repeat_ngram=4, avoid=("a man runs",))


@pytest.mark.parametrize("settings", [{"repetition": None}, {"weights": "random", "architecture": "tiny"}])
def test_without_a_rule_or_with_random_weights_nothing_is_tried_again(settings: dict[str, Any]) -> None:
    speaker = Speaker("same", "same")
    result = narrate(speaker, [0.0, 2.0], 4.0, **settings)
    assert [event.attributes["retries"] for event in result.events] == [0, 0]


def test_random_weights_are_built_and_their_quality_is_not_scored() -> None:
    speaker = Speaker()
    analyzer = Qwen2VLTemporal(speaker, "random", {"instructions": "a", "question": "b"}, [2, 2], {}, architecture="7b")
    analyzer.load(ModelStore())
    assert speaker.built == "7b" and analyzer.weights == ()
    assert analyzer.quality_absent_reason == "not measured: random weights"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch": 0}, "batch is 0"),
        ({"weights": "rnd"}, "analyzer.weights is 'rnd'"),
        ({"weights": "random"}, "wants analyzer.architecture"),
        ({"repetition": {"similar": 2}}, "analyzer.repetition"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        narrate(Speaker(), [], 1.0, **settings)
