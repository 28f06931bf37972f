"""The arithmetic of timing, by itself."""

from __future__ import annotations

from time import sleep

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelbench.bench.process_stats import UsageMeter
from reelbench.bench.stationarity import stationary
from reelbench.bench.summary import summarize
from reelbench.bench.timing import PhaseTimer, TimedFrames
from reelbench.media.types import Frame

IMAGE = np.zeros((2, 2), np.uint8)


def test_spans_add_up_and_must_not_nest() -> None:
    phases = PhaseTimer()
    for _ in range(2):
        with phases("infer"):
            sleep(0.01)
    assert phases.seconds["infer"] >= 0.02
    assert phases.seconds["preprocess"] == 0
    with pytest.raises(RuntimeError, match="nest"), phases("infer"), phases("postprocess"):
        pass
    with pytest.raises(ValueError, match="no phase"):
        phases("decode")


def test_waiting_for_a_frame_is_taken_out_of_an_open_phase() -> None:
    def slow() -> object:
        sleep(0.03)
        yield Frame(IMAGE, 0.0, 0)

    phases = PhaseTimer()
    frames = TimedFrames(slow(), phases)  # type: ignore[arg-type]
    with phases("infer"):
        list(frames)
    assert frames.waited_s >= 0.03
    assert phases.seconds["infer"] < 0.02


@given(st.integers(0, 30), st.integers(1, 9))
def test_steps_share_out_exactly_the_time_that_passed(count: int, step: int) -> None:
    frames = TimedFrames(iter(Frame(IMAGE, float(i), i) for i in range(count)), PhaseTimer())
    list(frames)
    ended = frames.asked[-1] + 1.0
    steps = frames.step_seconds(ended, step)
    assert len(steps) == count
    if count:
        assert sum(steps) == pytest.approx(ended - frames.asked[0])


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=12))
def test_stationarity_wants_recent_passes_that_agree(seconds: list[float]) -> None:
    if stationary(seconds):
        recent = seconds[-3:]
        assert len(seconds) > 3
        assert max(recent) <= min(recent) * 1.25
    assert stationary([5.0, 1.0, 1.02, 1.01])
    assert not stationary([1.0, 1.0, 1.0])
    assert not stationary([5.0, 1.0, 1.3, 1.0])


def test_usage_is_that_of_this_process() -> None:
    meter = UsageMeter()
    meter.start()
    block = np.ones(40_000_000, np.uint8)
    total = sum(int(block[i::10_000].sum()) for i in range(200))
    usage = meter.stop()
    assert total > 0
    assert usage.cpu_s > 0
    assert usage.rss_peak_bytes > 40e6


def sample(clip: str, total: float, **more: float) -> dict[str, float | str | None]:
    zeros = dict.fromkeys(
        ("decode_s", "preprocess_s", "infer_s", "postprocess_s", "other_s", "decode_busy_s", "cpu_s"), 0.0
    )
    base = {
        "clip": clip,
        "kind": "timed",
        "total_s": total,
        "duration_s": 10.0,
        "frames_sampled": 30,
        "frames_inferred": 15,
    }
    return {**zeros, **base, "run_queue_s": 0.1, "rss_peak_bytes": 1000, "vram_peak_bytes": None, **more}


def test_summary_is_computed_from_medians_over_clips() -> None:
    rows = [sample("a", 1.0), sample("a", 3.0), sample("a", 2.0), sample("b", 3.0)]
    frames = [{"step_s": s} for s in (0.01, 0.02, 0.03)]
    figures = summarize([*rows, {**sample("b", 99.0), "kind": "warmup"}], frames)
    assert figures["x_realtime"] == pytest.approx(20 / 5)
    assert figures["frames_per_s"] == pytest.approx(60 / 5)
    assert figures["inferred_share"] == 0.5
    assert figures["frame_ms_p50"] == pytest.approx(20)
    assert figures["passes"] == 4
    assert figures["run_queue_share"] == pytest.approx(0.4 / 9)
    assert "vram_peak_bytes" not in figures
    assert summarize([], []) == {}
