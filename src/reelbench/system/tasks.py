"""What has to be done for a clip, what each part waits for, and what it is expected to take.

This is the contract between the executor, which carries tasks out, and a plan (`reelbench.system.plans`), which says what comes next.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reelbench.analyzers.base import Needs
from reelbench.errors import ConfigError, InputError
from reelbench.results import Readable

DECODE = "decode"
SOUND = "sound"
BUILT_IN = (DECODE, SOUND)
"""Tasks of a clip that are no analyzers: its frames are decoded for all, and its sound. No analyzer may be called so."""

Key = tuple[str, str]
"""Clip, and the name of the task."""


@dataclass(frozen=True, slots=True)
class Task:
    """One analyzer on one clip, or the decoding of it.

    ``after``: tasks of the same clip that must be done before; ``after_if_any``: those that must have ended, however they ended.
    ``video_s``: how long the clip is. ``cores``: how many it is given. ``rank`` counts the clips, in their order.
    """

    clip: str
    name: str
    video_s: float
    rank: int = 0
    after: tuple[str, ...] = ()
    after_if_any: tuple[str, ...] = ()
    cores: int = 1

    @property
    def key(self) -> Key:
        return self.clip, self.name

    @property
    def waits_for(self) -> tuple[str, ...]:
        return (*self.after, *self.after_if_any)


@dataclass(frozen=True, slots=True)
class Machine:
    """What a plan may use. ``cores`` are the numbers of the processors, ``memory_bytes`` is the cap of all workers together."""

    cores: tuple[int, ...]
    memory_bytes: int
    fingerprint: str = ""


class Timing(BaseModel):
    """What a task takes on one core: ``fixed_s`` for a clip of any length, ``per_video_s`` for each second of it, in seconds of wall
    time; ``cpu_per_video_s`` is the processor time of the same. ``beside``: how many times as long it takes
    while all other cores work; where nobody measured that (None), the seconds are those of whatever else ran. ``load_s`` starts and
    loads its worker once, ``pss_bytes`` is what that holds. ``seen``: how many tasks this was measured on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    variant: str = ""
    fixed_s: float = Field(default=0.0, ge=0)
    per_video_s: float = Field(ge=0)
    cpu_per_video_s: float = Field(default=0.0, ge=0)
    beside: float | None = Field(default=None, ge=1)
    load_s: float = Field(default=0.0, ge=0)
    pss_bytes: int = Field(default=0, ge=0)
    seen: int = Field(default=0, ge=0)

    def seconds(self, video_s: float) -> float:
        return self.fixed_s + self.per_video_s * video_s


class Timings(BaseModel):
    """Timings by the name of the task, and the machine that they were measured on (its fingerprint and a word for people).

    History of the version: 1 first version; 2 ``beside``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = Field(default=2, ge=1, le=2)
    fingerprint: str = ""
    machine: str = ""
    created: str = ""
    command: Readable = ""
    tasks: dict[str, Timing] = Field(default_factory=dict)

    def seconds(self, task: Task) -> float | None:
        """What the task is expected to take; None where it was never measured."""
        timing = self.tasks.get(task.name)
        return None if timing is None else timing.seconds(task.video_s)


def read_timings(path: Path) -> Timings:
    """A file of timings; InputError where it cannot be read."""
    try:
        return Timings.model_validate_json(path.read_bytes())
    except (OSError, ValidationError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: no file of timings: {str(error).splitlines()[0]}") from error


def tasks_of(
    clip: str,
    video_s: float,
    has_audio: bool,
    needs: Mapping[str, Needs],
    *,
    rank: int,
    decode_once: bool,
    wide: Mapping[str, int],
) -> list[Task]:
    """The tasks of one clip, upstream before downstream. ``needs`` are those of the analyzers that take part, by name."""
    tasks: list[Task] = []
    if decode_once:
        if any(need.frames is not None for need in needs.values()):
            tasks.append(Task(clip, DECODE, video_s, rank))
        if has_audio and any(need.audio is not None for need in needs.values()):
            tasks.append(Task(clip, SOUND, video_s, rank))
    made = {task.name for task in tasks}
    for name in in_order(needs):
        need = needs[name]
        frames = [DECODE] if need.frames is not None and DECODE in made else []
        sound = [SOUND] if need.audio is not None and SOUND in made else []
        liked = tuple(other for other in need.upstream_if_any if other in needs)
        after = (*frames, *sound, *need.upstream)
        tasks.append(Task(clip, name, video_s, rank, after, liked, max(1, wide.get(name, 1))))
    return tasks


def in_order(needs: Mapping[str, Needs]) -> list[str]:
    """The analyzers, each after those whose results it takes. ConfigError where one needs another that does not take part."""
    for name, need in needs.items():
        if name in BUILT_IN:
            raise ConfigError(
                f"no analyzer may be called '{name}'", f"{', '.join(BUILT_IN)} are tasks of the system itself"
            )
        if missing := [other for other in need.upstream if other not in needs]:
            hint = f"add {missing[0]} to system.analyzers, or leave {name} out"
            raise ConfigError(f"{name} needs the results of {missing[0]}, which does not take part", hint)
    ordered: list[str] = []
    open_ones = dict.fromkeys(needs)
    while open_ones:
        free = [name for name in open_ones if not _upstream(needs[name], open_ones)]
        if not free:
            raise ConfigError(f"these analyzers wait for each other: {', '.join(open_ones)}")
        ordered += free
        for name in free:
            del open_ones[name]
    return ordered


def _upstream(need: Needs, among: Iterable[str]) -> list[str]:
    wanted = {*need.upstream, *need.upstream_if_any}
    return [name for name in among if name in wanted]


def downstream(tasks: Sequence[Task]) -> dict[Key, list[Task]]:
    """For each task those that wait for it."""
    found: dict[Key, list[Task]] = {task.key: [] for task in tasks}
    for task in tasks:
        for name in task.waits_for:
            if (task.clip, name) in found:
                found[task.clip, name].append(task)
    return found
