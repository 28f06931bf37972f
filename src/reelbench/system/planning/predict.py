"""What a plan will take, by measured timings: makespan, critical path, use of the cores, and what limits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from reelbench.config import instantiate
from reelbench.errors import InputError
from reelbench.system.costs import critical_path
from reelbench.system.planning.bounds import bounds_of
from reelbench.system.planning.simulate import Schedule, Setting, simulate
from reelbench.system.plans import UNKNOWN_S_PER_VIDEO_S, Plan
from reelbench.system.records import Span
from reelbench.system.setup import Prepared
from reelbench.system.tasks import BUILT_IN, DECODE, SOUND, Task, Timings


class Figures(BaseModel):
    """What is printed, and given as JSON with --json."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Step(Figures):
    """A task on the critical path. ``waited_s`` passed between what held it up (``why``) and its start."""

    clip: str
    name: str
    start_s: float
    end_s: float
    waited_s: float
    why: str


class Part(Figures):
    """One analyzer, or the decoding: seconds of all its tasks, share of all work, seconds of it on the critical path, and whether
    its timing was measured."""

    name: str
    seconds: float
    share: float
    path_s: float
    measured: bool


class Prediction(Figures):
    """``makespan_s`` counts from the first task; ``lower_s`` is what no plan can beat, and ``limit`` what makes it: the cores, or the
    analyzer whose tasks, one after the other, take longer than all work shared out over the cores."""

    plan: str
    cores: tuple[int, ...]
    clips: int
    video_s: float
    makespan_s: float
    load_wall_s: float
    x_realtime: float | None
    utilisation: float | None
    pss_peak_bytes: int
    lower_s: float
    limit: str
    parts: list[Part]
    path: list[Step]
    timings_machine: str
    timings_created: str
    same_machine: bool
    notes: list[str] = Field(default_factory=list)
    spans: list[Span] = Field(default_factory=list)

    @property
    def largest(self) -> Part | None:
        """The part that takes most."""
        return max(self.parts, key=lambda part: part.seconds, default=None)


def predict(ready: Prepared, timings: Timings) -> Prediction:
    """What the plan of ``ready`` would take. InputError where nothing is left to be done."""
    setting = setting_of(ready, timings)
    return prediction_of(ready, setting, schedule_of(ready, setting))


def setting_of(ready: Prepared, timings: Timings) -> Setting:
    """What the executor would be told, without what cannot run here."""
    gone = {name for name, part in ready.parts.items() if part.unavailable}
    tasks = runnable(ready.tasks, gone)
    if not tasks:
        raise InputError("there is nothing to predict: no clip, or no analyzer that can run here")
    plan = ready.composed.plan
    return Setting(
        tasks=tasks,
        timings=with_own_decoding(ready, timings) if plan.decode == "each" else timings,
        machine=ready.machine,
        clips_at_once=plan.clips_at_once,
        copies=plan.copies,
        preload=ready.composed.system.preload,
    )


def with_own_decoding(ready: Prepared, timings: Timings) -> Timings:
    """``timings`` that were measured with one decoding for all, for a plan in which each analyzer decodes for itself: each that looks
    has the decoding of the frames added, each that listens that of the sound. About right: the one decoding serves every size."""
    tasks = dict(timings.tasks)
    for name, part in ready.parts.items():
        for built_in, request in ((DECODE, part.needs.frames), (SOUND, part.needs.audio)):
            more, own = timings.tasks.get(built_in), tasks.get(name)
            if more is None or own is None or request is None:
                continue
            fields = ("fixed_s", "per_video_s", "cpu_per_video_s")
            tasks[name] = own.model_copy(update={field: getattr(own, field) + getattr(more, field) for field in fields})
    return timings.model_copy(update={"tasks": tasks})


def schedule_of(ready: Prepared, setting: Setting) -> Schedule:
    """The run that the plan of ``ready`` makes of ``setting``."""
    plan: Plan = instantiate(ready.composed.plan.order)
    return simulate(setting, plan)


def runnable(tasks: Sequence[Task], gone: Collection[str]) -> list[Task]:
    """The tasks without those of ``gone`` analyzers, without what needs these, and without decoding for nobody."""
    missing = set(gone)
    while more := {task.name for task in tasks if task.name not in missing and missing & set(task.after)}:
        missing |= more
    left = [task for task in tasks if task.name not in missing]
    read = {(task.clip, name) for task in left for name in task.after}
    return [task for task in left if task.name not in BUILT_IN or task.key in read]


def prediction_of(ready: Prepared, setting: Setting, schedule: Schedule) -> Prediction:
    """``schedule`` in figures. Times of spans and of the path count from the first task."""
    timings, makespan_s = setting.timings, schedule.makespan_s
    lengths = {task.clip: task.video_s for task in setting.tasks}
    video_s = sum(lengths.values())
    bounds = bounds_of(setting)
    path = [
        Step(
            clip=link.span.clip, name=link.span.name, start_s=link.span.start_s - schedule.load_wall_s,
            end_s=link.span.end_s - schedule.load_wall_s, waited_s=link.waited_s, why=link.why,
        )
        for link in critical_path(schedule.spans, setting.tasks)
    ]  # fmt: skip
    return Prediction(
        plan=ready.composed.plan.name,
        cores=setting.machine.cores,
        clips=len(lengths),
        video_s=video_s,
        makespan_s=makespan_s,
        load_wall_s=schedule.load_wall_s,
        x_realtime=video_s / makespan_s if makespan_s else None,
        utilisation=schedule.utilisation,
        pss_peak_bytes=schedule.pss_peak_bytes,
        lower_s=bounds.lower_s,
        limit=bounds.limit,
        parts=_parts(setting, schedule, path),
        path=path,
        timings_machine=timings.machine,
        timings_created=timings.created,
        same_machine=timings.fingerprint == setting.machine.fingerprint,
        notes=notes_of(ready, setting),
        spans=[_shifted(span, schedule.load_wall_s) for span in schedule.spans],
    )


def _shifted(span: Span, by_s: float) -> Span:
    return span.model_copy(update={"start_s": span.start_s - by_s, "end_s": span.end_s - by_s})


def _parts(setting: Setting, schedule: Schedule, path: Sequence[Step]) -> list[Part]:
    seconds: dict[str, float] = {}
    for span in schedule.work:
        seconds[span.name] = seconds.get(span.name, 0.0) + span.end_s - span.start_s
    total = sum(seconds.values())
    found = [
        Part(
            name=name,
            seconds=own,
            share=own / total if total else 0.0,
            path_s=sum(step.end_s - step.start_s for step in path if step.name == name),
            measured=name in setting.timings.tasks,
        )
        for name, own in seconds.items()
    ]
    return sorted(found, key=lambda part: -part.seconds)


def notes_of(ready: Prepared, setting: Setting) -> list[str]:
    """What makes the timings doubtful: another machine, another variant, nothing measured, analyzers that cannot run here."""
    timings, notes = setting.timings, []
    names = list(dict.fromkeys(task.name for task in setting.tasks))
    if timings.fingerprint != setting.machine.fingerprint:
        where = timings.machine or "an unknown machine"
        notes.append(
            f"the timings were measured on another machine ({where}); 'reelbench plan measure' measures this one"
        )
    if unknown := [name for name in names if name not in timings.tasks]:
        notes.append(f"never measured, taken as {UNKNOWN_S_PER_VIDEO_S} s a second of video: {', '.join(unknown)}")
    alone = [name for name in names if name in timings.tasks and timings.tasks[name].beside is None]
    if alone and len(setting.machine.cores) > 1:
        notes.append(
            "how much longer it takes while other cores work was not measured ('reelbench plan measure' without a plan does): "
            + ("everything" if len(alone) == len(names) else ", ".join(alone))
        )
    if wide := [name for name in names if ready.composed.plan.wide.get(name, 1) > 1]:
        notes.append(f"has more than one core here; the timings are of one: {', '.join(wide)}")
    if ready.composed.plan.decode == "each" and DECODE in timings.tasks:
        notes.append(
            "each analyzer decodes for itself here; the timings are of one decoding for all, which is added to each"
        )
    for name in names:
        timing, part = timings.tasks.get(name), ready.parts.get(name)
        if timing is not None and part is not None and timing.variant and timing.variant != part.config.variant:
            notes.append(
                f"{name}: the timings are of its variant '{timing.variant}', the plan runs '{part.config.variant}'"
            )
    for name, part in ready.parts.items():
        if part.unavailable:
            notes.append(f"{name} is left out, it is unavailable here: {part.unavailable}")
        elif name not in names:
            notes.append(f"{name} is left out: it needs an analyzer that is unavailable here")
    return notes


def summary_of(prediction: Prediction) -> dict[str, Any]:
    """What a run's record keeps of the prediction that was made before it (`SystemRecord.prediction`)."""
    return prediction.model_dump(mode="json", exclude={"spans"})
