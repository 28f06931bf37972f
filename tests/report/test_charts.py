"""Chart geometry: what is drawn is what was measured."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelbench.report.charts import latency, nice_ticks, stacked
from reelbench.report.figures import shares

MS = st.lists(st.floats(0.01, 1e5), min_size=1, max_size=200)


@given(MS)
def test_histogram_counts_every_frame_once_or_names_it_beyond(values: list[float]) -> None:
    chart = latency(np.array(values))
    assert chart is not None
    drawn = sum(int(bar.tip.split(": ")[1].split(" of ")[0]) for bar in chart.bars)
    assert drawn + chart.beyond == chart.count == len(values)
    assert all(0 <= bar.start <= 100 and bar.start + bar.size <= 100.01 for bar in chart.bars)
    assert all(bar.top >= 0 and bar.top + bar.height <= chart.height + 0.01 for bar in chart.bars)


def test_a_few_slow_frames_neither_squeeze_the_axis_nor_vanish() -> None:
    chart = latency(np.array([10.0] * 990 + [11.0] * 8 + [5000.0, 6000.0]))
    assert chart is not None
    assert chart.edge_ms < 50
    assert (chart.beyond, chart.longest_ms) == (2, 6000.0)
    assert [mark.label for mark in chart.marks] == ["p50 10.0 ms", "p95 10.0 ms"]


def test_nothing_timed_draws_nothing() -> None:
    assert latency(np.empty(0)) is None


@given(st.lists(st.floats(0, 1e4), min_size=5, max_size=5))
def test_stacked_phases_fill_the_bar_in_order(seconds: list[float]) -> None:
    parts = shares(dict(zip("abcde", seconds, strict=True)))
    bars = stacked(parts)
    ends = [bar.start + bar.size for bar in bars]
    assert [bar.start for bar in bars[1:]] == pytest.approx(ends[:-1])
    assert ends[-1] == pytest.approx(100.0 if sum(seconds) > 0 else 0.0)


@given(st.floats(0, 1e6), st.floats(1e-6, 1e6))
def test_ticks_cover_the_range_with_few_round_numbers(low: float, span: float) -> None:
    ticks = nice_ticks(low, low + span)
    assert 1 <= len(ticks) <= 9
    assert ticks == sorted(ticks)
    if span > 1e-3 * max(low, 1e-6):
        assert ticks[0] <= low + 1e-6 * span
        assert ticks[-1] >= low + span - 1e-6 * span
