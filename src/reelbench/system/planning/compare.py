"""A prediction beside a run that was really made: how far off it is, and whether the timings or the schedule are to blame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pydantic import Field

from reelbench.errors import InputError
from reelbench.system.costs import busy_s, critical_path, makespan
from reelbench.system.folder import SystemFolder
from reelbench.system.planning.predict import Figures, Prediction, prediction_of, schedule_of, setting_of
from reelbench.system.planning.simulate import Setting
from reelbench.system.records import Span
from reelbench.system.setup import Prepared
from reelbench.system.tasks import BUILT_IN, Key, Timings


class PartError(Figures):
    """Seconds of all tasks of one analyzer, by the timings and in the run, and those of the run on its critical path."""

    name: str
    predicted_s: float
    real_s: float
    real_path_s: float

    @property
    def ratio(self) -> float | None:
        return self.predicted_s / self.real_s if self.real_s else None


class Comparison(Figures):
    """``error`` is predicted / real − 1. ``replayed_s`` is the makespan of the same plan when each task takes what it
    took in the run: it differs from ``predicted_s`` by the timings, and from ``real_s`` by what the simulation leaves out.
    ``waited_s``: for how long the tasks of the run waited for cores that others used; ``quiet_s``: the run replayed without
    that waiting."""

    run: str
    prediction: Prediction
    predicted_s: float
    replayed_s: float
    real_s: float
    error: float
    replay_error: float
    real_utilisation: float | None
    real_load_s: float
    waited_s: float
    quiet_s: float
    parts: list[PartError]
    notes: list[str] = Field(default_factory=list)


def compare(ready: Prepared, timings: Timings, folder: SystemFolder) -> Comparison:
    """Hold the plan of ``ready`` against a run. Both are taken over the tasks that the run really did.

    Raises InputError where no analyzer of the plan did anything in it.
    """
    done = {(span.clip, span.name): span for span in folder.spans if span.kind == "task" and span.status == "done"}
    whole = setting_of(ready, timings)
    tasks = [task for task in whole.tasks if task.key in done]
    if all(task.name in BUILT_IN for task in tasks):
        raise InputError(
            f"run {folder.record.id} did nothing of what this plan would do", "give the settings of that run"
        )
    setting = replace(whole, tasks=tasks)
    prediction = prediction_of(ready, setting, schedule_of(ready, setting))
    took = {task.key: done[task.key].end_s - done[task.key].start_s for task in tasks}
    busy = {task.key: busy_s(done[task.key]) for task in tasks}
    replayed, quiet = (schedule_of(ready, replace(setting, seconds=one)) for one in (took, busy))
    sessions = enumerate(folder.record.sessions)
    real_s = sum(makespan(number, session, folder.spans) for number, session in sessions)
    return Comparison(
        run=folder.record.id,
        prediction=prediction,
        predicted_s=prediction.makespan_s,
        replayed_s=replayed.makespan_s,
        real_s=real_s,
        error=prediction.makespan_s / real_s - 1 if real_s else 0.0,
        replay_error=replayed.makespan_s / real_s - 1 if real_s else 0.0,
        real_utilisation=folder.record.totals.utilisation,
        real_load_s=folder.record.totals.load_wall_s,
        waited_s=sum(took.values()) - sum(busy.values()),
        quiet_s=quiet.makespan_s,
        parts=_parts(prediction, setting, took, folder.spans),
        notes=[*prediction.notes, *_differences(ready, whole, folder, done)],
    )


def _parts(prediction: Prediction, setting: Setting, took: Mapping[Key, float], spans: list[Span]) -> list[PartError]:
    path = critical_path(spans, setting.tasks)
    found = [
        PartError(
            name=part.name,
            predicted_s=part.seconds,
            real_s=sum(seconds for key, seconds in took.items() if key[1] == part.name),
            real_path_s=sum(link.span.end_s - link.span.start_s for link in path if link.span.name == part.name),
        )
        for part in prediction.parts
    ]
    return sorted(found, key=lambda part: -part.real_s)


def _differences(ready: Prepared, setting: Setting, folder: SystemFolder, done: Mapping[Key, Span]) -> list[str]:
    """What this plan and the run have not in common."""
    record, plan, notes = folder.record, ready.composed.plan, []
    pairs = {
        "plan": (plan.name, record.plan),
        "decode": (plan.decode, record.decode),
        "cores": (ready.machine.cores, record.cores),
    }
    notes += [f"{key}: {mine} here, {its} in the run" for key, (mine, its) in pairs.items() if mine != its]
    for name, part in ready.parts.items():
        other = record.analyzers.get(name)
        if other is not None and other.variant != part.config.variant:
            notes.append(f"{name}: variant '{part.config.variant}' here, '{other.variant}' in the run")
    wanted = {task.key for task in setting.tasks}
    if missing := sorted({name for _, name in wanted - set(done)}):
        notes.append(f"not done in the run, left out of both: {', '.join(missing)}")
    if more := sorted({name for _, name in set(done) - wanted}):
        notes.append(f"done in the run, not in the prediction: {', '.join(more)}")
    if any(not span.final for span in folder.spans):
        notes.append("tasks were tried again in the run: that time is in its makespan alone")
    if len(record.sessions) > 1:
        notes.append(f"the run was made in {len(record.sessions)} sessions: their makespans are added up")
    if record.status != "finished":
        notes.append(f"the run is {record.status}")
    return notes
