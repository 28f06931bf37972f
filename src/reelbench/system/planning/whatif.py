"""What a faster analyzer would bring to the whole system, before anyone makes it faster."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from pydantic import Field

from reelbench.errors import ConfigError
from reelbench.settings import did_you_mean
from reelbench.system.planning.bounds import bounds_of
from reelbench.system.planning.predict import Figures, notes_of, schedule_of, setting_of
from reelbench.system.setup import Prepared
from reelbench.system.tasks import BUILT_IN, Timings

FACTOR = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)x")
FREE = 1e9
"""As good as no cost at all."""


class Gain(Figures):
    """A part with ``share`` of all work: the makespan, and by which share of it the run gets shorter, when the part is twice as fast
    (``twice``) and when it costs nothing (``free``: no work on it brings more)."""

    name: str
    seconds: float
    share: float
    twice_s: float
    twice_gain: float
    free_s: float
    free_gain: float


class WhatIf(Figures):
    """``factors`` by name; the makespan and what limits it before and after. ``speedup`` is end to end: before / after.
    ``table``: each part alone, from the system as it is, the largest gain first."""

    plan: str
    factors: dict[str, float]
    before_s: float
    after_s: float
    speedup: float
    before_limit: str
    after_limit: str
    before_x_realtime: float | None
    after_x_realtime: float | None
    table: list[Gain]
    notes: list[str] = Field(default_factory=list)


def split_factors(words: Sequence[str], known: Collection[str]) -> tuple[dict[str, float], list[str]]:
    """The factors among ``words`` ('text_overlay=2x', the x may be left out), and all other words: settings.

    ConfigError for an analyzer that is not ``known`` and for what is no factor above 0.
    """
    factors: dict[str, float] = {}
    settings: list[str] = []
    names = {*known, *BUILT_IN}
    for word in words:
        name, _, value = word.partition("=")
        if name in names:
            factors[name] = _factor(word, value)
        elif FACTOR.fullmatch(value):
            raise ConfigError(f"there is no analyzer '{name}'", did_you_mean(name, sorted(names)))
        else:
            settings.append(word)
    return factors, settings


def _factor(word: str, value: str) -> float:
    text = value if value.endswith("x") else f"{value}x"
    if not FACTOR.fullmatch(text) or float(text[:-1]) <= 0:
        raise ConfigError(f"'{word}': how many times as fast? A number above 0 is wanted", "as in text_overlay=2x")
    return float(text[:-1])


def faster(timings: Timings, factors: Mapping[str, float]) -> Timings:
    """``timings`` when these parts take so many times less, their loading aside. ConfigError where one was never measured."""
    tasks = dict(timings.tasks)
    for name, factor in factors.items():
        if name not in tasks:
            raise ConfigError(
                f"{name} was never measured", "reelbench plan measure system.analyzers=[…] --keep adds its timing"
            )
        old = tasks[name]
        tasks[name] = old.model_copy(
            update={
                "fixed_s": old.fixed_s / factor,
                "per_video_s": old.per_video_s / factor,
                "cpu_per_video_s": old.cpu_per_video_s / factor,
            }
        )
    return timings.model_copy(update={"tasks": tasks})


def what_if(ready: Prepared, timings: Timings, factors: Mapping[str, float]) -> WhatIf:
    """Predict with and without ``factors``; the plan is made anew each time. Raises ConfigError as `faster` does, and for an analyzer
    that does not take part."""
    before = setting_of(ready, timings)
    names = list(dict.fromkeys(task.name for task in before.tasks))
    for name in factors:
        if name not in names:
            raise ConfigError(
                f"{name} does not take part in this plan, or is unavailable here", f"there are: {', '.join(names)}"
            )
    after = setting_of(ready, faster(timings, factors))
    before_s, after_s = (schedule_of(ready, setting).makespan_s for setting in (before, after))
    video_s = sum({task.clip: task.video_s for task in before.tasks}.values())
    return WhatIf(
        plan=ready.composed.plan.name,
        factors=dict(factors),
        before_s=before_s,
        after_s=after_s,
        speedup=before_s / after_s if after_s else 1.0,
        before_limit=bounds_of(before).limit,
        after_limit=bounds_of(after).limit,
        before_x_realtime=video_s / before_s if before_s else None,
        after_x_realtime=video_s / after_s if after_s else None,
        table=sensitivities(ready, timings, before_s),
        notes=notes_of(ready, before),
    )


def sensitivities(ready: Prepared, timings: Timings, before_s: float) -> list[Gain]:
    """What each measured part alone would bring, the largest gain first."""
    setting = setting_of(ready, timings)
    seconds: dict[str, float] = {}
    for task in setting.tasks:
        if task.name in timings.tasks:
            seconds[task.name] = seconds.get(task.name, 0.0) + setting.takes(task)
    total = sum(setting.takes(task) for task in setting.tasks)
    found = []
    for name, own in seconds.items():
        changed = [setting_of(ready, faster(timings, {name: factor})) for factor in (2.0, FREE)]
        twice, free = (schedule_of(ready, one).makespan_s for one in changed)
        found.append(
            Gain(
                name=name, seconds=own, share=own / total if total else 0.0,
                twice_s=twice, twice_gain=_gain(before_s, twice), free_s=free, free_gain=_gain(before_s, free),
            )
        )  # fmt: skip
    return sorted(found, key=lambda gain: (-gain.twice_gain, -gain.seconds))


def _gain(before_s: float, after_s: float) -> float:
    return 1 - after_s / before_s if before_s else 0.0
