"""The simulated executor keeps the executor's rules whatever the system and the plan, and no plan beats the bounds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelbench.analyzers.base import Needs
from reelbench.errors import ConfigError
from reelbench.media.types import AudioRequest, FrameRequest, Sampling
from reelbench.system.planning.bounds import CORES, bounds_of
from reelbench.system.planning.predict import runnable
from reelbench.system.planning.simulate import Schedule, Setting, simulate
from reelbench.system.plans import LongestFirst, OneByOne, Plan, Resources, Stages
from reelbench.system.records import Span
from reelbench.system.tasks import BUILT_IN, Machine, Task, Timing, Timings, tasks_of

TINY = 1e-6
FRAMES = FrameRequest(Sampling(every=2), size=(32, 32), colour="gray")


class AnyOrder:
    """A plan that takes what comes, and sometimes waits."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)

    def begin(self, tasks: Sequence[Task], timings: Timings, machine: Machine) -> None:
        pass

    def next(self, ready: Sequence[Task], running: Sequence[Task], free: Resources) -> Task | None:
        return self._draw.choice([*ready, None])


class Stubborn(AnyOrder):
    """A plan that names a task which is not ready."""

    def next(self, ready: Sequence[Task], running: Sequence[Task], free: Resources) -> Task | None:
        return Task("nowhere", "nothing", 1.0)


STAGES = ({"name": "first", "at_once": 2, "analyzers": ["a0", "a3"]}, {"name": "rest", "at_once": 3, "analyzers": []})
PLANS = st.one_of(
    st.builds(OneByOne),
    st.builds(LongestFirst),
    st.builds(lambda: Stages(STAGES)),
    st.builds(AnyOrder, st.integers(0, 99)),
)
COSTS = st.floats(0, 2, allow_subnormal=False)


@st.composite
def systems(draw: st.DrawFn, *, only_cores: bool = False) -> Setting:
    """``only_cores``: nothing but cores and upstream holds a task up (a worker for each clip, memory and decoding without end)."""
    names = [f"a{n}" for n in range(draw(st.integers(1, 6)))]
    needs, wide = {}, {}
    for at, name in enumerate(names):
        earlier = st.lists(st.sampled_from(names[:at]), unique=True, max_size=2) if at else st.just([])
        frames = FRAMES if draw(st.booleans()) else None
        sound = AudioRequest(16000) if draw(st.booleans()) else None
        needs[name] = Needs(frames, sound, tuple(draw(earlier)), tuple(draw(earlier)))
        wide[name] = 1 if only_cores else draw(st.integers(1, 3))
    tasks: list[Task] = []
    count = draw(st.integers(1, 4))
    once = draw(st.booleans())
    for rank in range(count):
        length = draw(st.floats(0.5, 20))
        tasks += tasks_of(f"c{rank}", length, draw(st.booleans()), needs, rank=rank, decode_once=once, wide=wide)
    parts = {
        name: Timing(
            fixed_s=draw(COSTS), per_video_s=draw(COSTS), pss_bytes=draw(st.integers(0, 9)),
            beside=None if only_cores else draw(st.none() | st.floats(1, 5)),
            load_s=0.0 if only_cores else draw(COSTS),
        )
        for name in (*names, *BUILT_IN)
        if only_cores or draw(st.integers(0, 9))
    }  # fmt: skip
    cores = tuple(range(draw(st.integers(1, 4))))
    if only_cores:
        return Setting(
            tasks, Timings(tasks=parts), Machine(cores, 10**9), 99, dict.fromkeys((*names, *BUILT_IN), count)
        )
    return Setting(
        tasks,
        Timings(tasks=parts),
        Machine(cores, draw(st.integers(1, 60))),
        clips_at_once=draw(st.integers(1, 3)),
        copies={name: draw(st.integers(1, 2)) for name in names},
        preload=draw(st.booleans()),
    )


def at_once(spans: Sequence[Span]) -> int:
    """The most of these that ran at the same time."""
    return most([(s.start_s, s.end_s) for s in spans])


def most(times: Sequence[tuple[float, float]]) -> int:
    changes = sorted([(a, 1) for a, b in times if b > a + TINY] + [(b - TINY, -1) for a, b in times if b > a + TINY])
    level = highest = 0
    for _, change in changes:
        level += change
        highest = max(highest, level)
    return highest


def assert_valid(spans: Sequence[Span], setting: Setting) -> None:
    """``spans`` are a run of ``setting``, real or simulated."""
    done = {(span.clip, span.name): span for span in spans if span.kind == "task"}
    assert sorted(done) == sorted(task.key for task in setting.tasks) and len(done) == len(
        [span for span in spans if span.kind == "task"]
    )
    for core in setting.machine.cores:
        own = sorted((s for s in spans if core in s.cores), key=lambda s: (s.start_s, s.end_s))
        assert all(a.end_s <= b.start_s + TINY for a, b in pairwise(own)), f"two at once on core {core}"
    for task in setting.tasks:
        for name in task.waits_for:
            if (task.clip, name) in done:
                assert done[task.clip, name].end_s <= done[task.key].start_s + TINY, f"{task.key} before {name}"
    for name in {task.name for task in setting.tasks}:
        own = [span for span in spans if span.name == name and span.kind == "task"]
        assert at_once(own) <= setting.copies.get(name, 1)


@settings(max_examples=80, deadline=None)
@given(systems(), PLANS)
def test_a_simulated_run_keeps_the_rules_and_no_plan_beats_the_bounds(setting: Setting, plan: Plan) -> None:
    schedule = simulate(setting, plan)
    assert_valid(schedule.spans, setting)
    assert schedule.makespan_s >= bounds_of(setting).lower_s - TINY
    assert schedule.utilisation is None or 0 <= schedule.utilisation <= 1 + TINY
    assert open_clips(schedule, setting) <= setting.clips_at_once
    for name in {task.name for task in setting.tasks} - set(BUILT_IN):
        assert setting.copies.get(name, 1) > 1 or schedule.stopped_idle or went_away(schedule, name) == 0


def went_away(schedule: Schedule, name: str) -> int:
    """How many of its tasks the worker did on another core than that on which it was loaded."""
    home = [span.cores for span in schedule.spans if span.name == name and span.kind == "load"]
    return sum(span.cores != home[0] for span in schedule.work if span.name == name)


def open_clips(schedule: Schedule, setting: Setting) -> int:
    """The most clips whose decoded frames or sound were there at once: from the first decoding to the last reader."""
    times = []
    for clip in {task.clip for task in setting.tasks}:
        users = {
            t.key for t in setting.tasks if t.clip == clip and (t.name in BUILT_IN or set(BUILT_IN) & set(t.after))
        }
        own = [span for span in schedule.work if (span.clip, span.name) in users]
        decoding = [span for span in own if span.name in BUILT_IN]
        if decoding:
            times.append((min(s.start_s for s in decoding), max(s.end_s for s in own)))
    return most(times)


@settings(max_examples=80, deadline=None)
@given(systems(only_cores=True))
def test_list_scheduling_is_within_graham_s_factor_of_the_bound(setting: Setting) -> None:
    """Where only cores and upstream hold tasks up: 2 − 1/m (Graham, 'Bounds on multiprocessing timing anomalies', 1969)."""
    cores = len(setting.machine.cores)
    assert simulate(setting, LongestFirst()).makespan_s <= (2 - 1 / cores) * bounds_of(setting).lower_s + TINY


def system(costs: dict[str, float], clips: int, cores: int) -> Setting:
    tasks = [Task(f"c{rank}", name, 10.0, rank) for rank in range(clips) for name in costs]
    timings = Timings(
        tasks={name: Timing(per_video_s=cost / 10, pss_bytes=40, load_s=1) for name, cost in costs.items()}
    )
    return Setting(tasks, timings, Machine(tuple(range(cores)), 1000))


def test_the_slowest_analyzer_limits_when_its_worker_is_alone_and_the_cores_do_otherwise() -> None:
    alone = system({"slow": 4.0, "fast": 1.0}, clips=3, cores=2)
    assert bounds_of(alone).limit == "slow" and simulate(alone, LongestFirst()).makespan_s == pytest.approx(12.0)
    even = system({"one": 2.0, "two": 2.0, "three": 2.0, "four": 2.0}, clips=2, cores=2)
    assert bounds_of(even).limit == CORES and simulate(even, LongestFirst()).makespan_s == pytest.approx(8.0)


def test_the_bound_of_an_analyzer_counts_no_more_after_it_than_must_follow_any_of_its_tasks() -> None:
    tasks = [Task(c, n, video_s, r, a) for r, (c, video_s) in enumerate((("x", 10.0), ("y", 2.0))) for n, a in CHAIN]
    timings = Timings(tasks={"slow": Timing(fixed_s=2, per_video_s=0), "end": Timing(per_video_s=0.5)})
    setting = Setting(tasks, timings, Machine((0, 1), 1000))
    assert bounds_of(setting).worker_s == {"slow": 2 + 2 + 1, "end": 2 + 5 + 1}
    assert (bounds_of(setting).path_s, bounds_of(setting).cores_s) == (7, 5)


CHAIN: tuple[tuple[str, tuple[str, ...]], ...] = (("slow", ()), ("end", ("slow",)))


def test_tasks_are_slowed_down_while_other_cores_work_and_only_then() -> None:
    tasks = [Task("c", "long", 10.0), Task("c", "short", 10.0)]
    costs = {"long": Timing(per_video_s=1.0, beside=1.5), "short": Timing(per_video_s=0.3, beside=1.2)}
    setting = Setting(tasks, Timings(tasks=costs), Machine((0, 1), 1000))
    ends = {span.name: span.end_s for span in simulate(setting, LongestFirst()).work}
    # 3.6 s beside each other, in which 'long' does 2.4 s of its 10; then it is alone.
    assert ends == pytest.approx({"short": 3.6, "long": 3.6 + 7.6})
    assert simulate(setting, OneByOne()).makespan_s == pytest.approx(13.0)
    known = Setting(tasks, setting.timings, setting.machine, seconds={task.key: 5.0 for task in tasks})
    assert simulate(known, LongestFirst()).makespan_s == pytest.approx(5.0)


def test_two_at_once_bring_nothing_where_they_halve_each_other() -> None:
    """The bound counts the slow-down: no plan gets two cores' work out of what is worth one."""
    even = system({"one": 2.0, "two": 2.0}, clips=2, cores=2)
    halved = {name: timing.model_copy(update={"beside": 2.0}) for name, timing in even.timings.tasks.items()}
    setting = Setting(even.tasks, Timings(tasks=halved), even.machine)
    assert simulate(setting, LongestFirst()).makespan_s == pytest.approx(8.0)
    assert bounds_of(setting).lower_s == pytest.approx(8.0) and bounds_of(even).lower_s == pytest.approx(4.0)


def test_a_worker_waits_for_the_core_that_it_was_started_on() -> None:
    schedule = simulate(system({"a": 1.0, "b": 1.0, "c": 1.1}, clips=8, cores=2), AnyOrder(3))
    assert [went_away(schedule, name) for name in ("a", "b", "c")] == [0, 0, 0]
    assert {span.cores for span in schedule.work} == {(0,), (1,)}


def test_workers_that_memory_has_no_room_for_are_stopped_and_loaded_again() -> None:
    roomy = system({"one": 2.0, "two": 2.0, "three": 2.0}, clips=2, cores=1)
    tight = Setting(roomy.tasks, roomy.timings, Machine((0,), 70))
    before, after = simulate(roomy, OneByOne()), simulate(tight, OneByOne())
    assert before.stopped_idle == 0 and after.stopped_idle > 0
    assert after.makespan_s >= before.makespan_s + 1 and after.pss_peak_bytes < before.pss_peak_bytes


def test_a_plan_that_names_what_is_not_ready_is_an_error_of_one_line() -> None:
    with pytest.raises(ConfigError, match="nothing on nowhere, which is not ready"):
        simulate(system({"one": 1.0}, clips=1, cores=1), Stubborn(0))


def test_what_needs_an_unavailable_analyzer_is_left_out_with_the_decoding_for_it() -> None:
    needs = {
        "eye": Needs(FRAMES),
        "judge": Needs(None, None, ("eye",)),
        "ear": Needs(None, AudioRequest(16000), (), ("eye",)),
    }
    tasks = tasks_of("c", 1.0, True, needs, rank=0, decode_once=True, wide={})
    assert [task.name for task in runnable(tasks, {"eye"})] == ["sound", "ear"]
