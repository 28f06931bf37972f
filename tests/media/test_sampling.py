"""Sampling by time stamps, and the clock that makes them usable."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from reelbench.media.sampling import TOLERANCE_S, Clock, Sampler
from reelbench.media.types import Sampling

gaps = st.lists(st.floats(0.002, 3.0), min_size=1, max_size=120)
rates = st.floats(0.2, 60.0)


def times_of(gaps: list[float]) -> list[float]:
    times = [0.0]
    for gap in gaps:
        times.append(times[-1] + gap)
    return times


def sampled(times: list[float], rate: float) -> list[float]:
    sampler = Sampler(Sampling(rate=rate))
    return [t for t in times if sampler.wants(t)]


@given(gaps, rates)
def test_each_sample_is_the_first_frame_of_its_slot(gaps: list[float], rate: float) -> None:
    times = times_of(gaps)
    slack = min(TOLERANCE_S, 0.25 / rate)
    slots: dict[int, float] = {}
    for t in times:
        slots.setdefault(int((t + slack) * rate), t)
    assert sampled(times, rate) == list(slots.values())
    assert sampled(times, rate)[0] == 0.0


@given(gaps, rates, st.randoms(use_true_random=False))
def test_a_left_out_frame_moves_a_sample_by_no_more_than_the_next_gap(
    gaps: list[float], rate: float, random: object
) -> None:
    times = times_of(gaps)
    kept = [times[0], *(t for t in times[1:] if random.random() < 0.7)]  # type: ignore[attr-defined]
    wanted = sampled(times, rate)
    for t in wanted:
        following = [k for k in kept if k >= t]
        if following:
            slot = int((following[0] + min(TOLERANCE_S, 0.25 / rate)) * rate)
            assert any(int((k + min(TOLERANCE_S, 0.25 / rate)) * rate) == slot for k in sampled(kept, rate))


@given(st.integers(1, 30), st.integers(1, 200))
def test_every_nth(every: int, count: int) -> None:
    sampler = Sampler(Sampling(every=every))
    taken = [index for index in range(count) if sampler.wants(index / 30)]
    assert taken == list(range(0, count, every))


def test_times_rounded_to_milliseconds_choose_the_same_frames() -> None:
    exact = [index / 30 for index in range(300)]
    rounded = [round(t, 3) for t in exact]
    for rate in (1, 2, 3, 5, 6, 10, 15, 30):
        sampler_a, sampler_b = Sampler(Sampling(rate=rate)), Sampler(Sampling(rate=rate))
        a = [i for i, t in enumerate(exact) if sampler_a.wants(t)]
        assert a == [i for i, t in enumerate(rounded) if sampler_b.wants(t)] == list(range(0, 300, 30 // rate))


@given(st.lists(st.one_of(st.none(), st.floats(-1e4, 1e4)), min_size=1, max_size=60))
def test_the_clock_always_ascends_from_zero(stamps: list[float | None]) -> None:
    clock = Clock(30.0)
    told = [clock.tell(stamp) for stamp in stamps]
    assert told[0] == 0.0
    assert all(b > a for a, b in pairwise(told))


def test_the_clock_without_stamps_and_over_a_restart() -> None:
    clock = Clock(10.0)
    told = [clock.tell(t) for t in (None, None, None)]
    assert [round(t, 6) for t in told] == [0.0, 0.1, 0.2]
    clock = Clock(10.0)
    told = [clock.tell(t) for t in (5.0, 5.1, 7.5, 0.0, 0.1)]
    assert [round(t, 6) for t in told] == [0.0, 0.1, 2.5, 2.6, 2.7]
