"""Checks that the runs of two systems were honest: for each arm, every run as it was seen, all runs together, and a copy of a clip.

What the parent saw of each run is in the run's own record (`reelbench.system.observed`). A cache of
results that lives on the disk shows between the first run and later ones; one that was filled
before, on a copy of a clip that nobody has seen, which the first run looks at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from reelbench.analyzers.base import is_deterministic
from reelbench.bench.agreeing import same_events
from reelbench.comparison.records import ArmName, Audit
from reelbench.config import instantiate
from reelbench.system.costs import busy_s
from reelbench.system.folder import SystemFolder
from reelbench.system.observed import on_copy
from reelbench.system.records import Span, SystemRecord
from reelbench.system.setup import Prepared

FIRST_RATIO, FIRST_TASK_S = 4.0, 0.1
"""So many times slower, and by so many seconds a task, may an arm's first run be than later ones."""


@dataclass(frozen=True, slots=True)
class Audited:
    """One audit of an arm, and what it says of single analyzers: those it failed for."""

    audit: Audit
    analyzers: Mapping[str, str]


def audit_runs(arm: ArmName, ready: Prepared, runs: Sequence[SystemFolder]) -> list[Audited]:
    """Of the runs of an arm that belong to whole pairs."""
    return [observed(arm, runs), _same_results(arm, ready, runs), first_run(arm, runs), copied(arm, runs)]


def observed(arm: ArmName, runs: Sequence[SystemFolder]) -> Audited:
    title = "what executed, and what was seen of it"
    problems: dict[str, str] = {}
    for run in runs:
        seen = {name: _without_copy(run.record, name, why) for name, why in denied(run.record).items()}
        problems |= {name: why for name, why in seen.items() if why and name not in problems}
    kinds = Counter(
        " ".join(str(item.evidence.get(key) or "") for key in ("engine", "device", "precision"))
        for item in runs[0].record.analyzers.values()
        if item.evidence
    )
    silent = [n for n, item in runs[0].record.analyzers.items() if not item.evidence and not item.unavailable]
    text = "; ".join(f"{words} ({count})" if count > 1 else words for words, count in kinds.most_common())
    if silent:
        text += f"; nothing was read back from {', '.join(silent)}"
    return _audited(title, arm, problems, text)


def _without_copy(record: SystemRecord, name: str, why: str) -> str:
    """What is said of an analyzer beside what its copy of a clip showed: that is an audit of its own."""
    return why.removesuffix(on_copy(record, record.analyzers[name])).removesuffix("; ")


def denied(record: SystemRecord) -> dict[str, str]:
    """The analyzers of a run of which an arm cannot be judged, and why: invalid, or another variant than was asked for."""
    others = {
        name: f"asked for {item.requested}, ran {item.variant}: {item.fallback_reason}"
        for name, item in record.analyzers.items()
        if item.fallback_reason
    }
    return others | record.invalid


def _same_results(arm: ArmName, ready: Prepared, runs: Sequence[SystemFolder]) -> Audited:
    """Each analyzer finds the same in every run, but for rounding, or declares that it does not."""
    title = "results of all runs"
    if len(runs) < 2:
        return _nothing(title, arm, "one run only")
    free = [
        name
        for name, part in ready.parts.items()
        if not is_deterministic(instantiate(part.config.analyzer.constructor))
    ]
    problems: dict[str, str] = {}
    for name, item in runs[0].record.analyzers.items():
        clips = [clip for clip, outcome in item.outcomes.items() if outcome.status == "done"]
        unlike = [clip for clip in clips if not _alike(runs, clip, name)]
        if unlike and name not in free:
            problems[name] = (
                f"{len(runs)} runs of the same did not find the same on {', '.join(unlike[:3])}: it is not "
                "deterministic, and does not declare it"
            )
    declared = f"; not deterministic by their own account: {', '.join(free)}" if free else ""
    return _audited(title, arm, problems, f"equal in {len(runs)} runs{declared}")


def _alike(runs: Sequence[SystemFolder], clip: str, name: str) -> bool:
    results = [result for run in runs if (result := run.result((clip, name))) is not None]
    return all(same_events(results[0], other) for other in results[1:])


def first_run(arm: ArmName, runs: Sequence[SystemFolder]) -> Audited:
    title = "first run"
    if len(runs) < 2:
        return _nothing(title, arm, "one run only")
    first, *later = [_seconds(run.spans) for run in runs]
    problems: dict[str, str] = {}
    for name, tasks in first.items():
        once = sum(tasks.values())
        again = median(sum(found.get(name, {}).values()) for found in later)
        if again and once > FIRST_RATIO * again and once - again > FIRST_TASK_S * len(tasks):
            problems[name] = f"{once:.3g} s in the first run, {again:.3g} s in later ones: results are remembered"
    return _audited(title, arm, problems, f"not much slower than the {len(later)} later")


def copied(arm: ArmName, runs: Sequence[SystemFolder]) -> Audited:
    """The copy of a clip that the first run looked at when its tasks were over (`reelbench.system.copy_check`)."""
    title, record = "copy of a clip", runs[0].record
    if record.copy_check is None:
        return _nothing(title, arm, "none was looked at")
    if record.copy_check.why_not:
        return _nothing(title, arm, record.copy_check.words)
    problems = {name: why for name, item in record.analyzers.items() if (why := on_copy(record, item))}
    text = f"no analyzer is much slower on a copy of {record.copy_check.clip} encoded anew"
    return _audited(title, arm, {name: why.removeprefix(f"{title}: ") for name, why in problems.items()}, text)


def _seconds(spans: Sequence[Span]) -> dict[str, dict[str, float]]:
    """By analyzer and clip, the seconds in which its task had a core."""
    found: dict[str, dict[str, float]] = {}
    for span in spans:
        if span.kind == "task" and span.status == "done" and span.observed.get("frames_handed") is not None:
            found.setdefault(span.name, {})[span.clip] = busy_s(span)
    return found


def _audited(title: str, arm: ArmName, problems: Mapping[str, str], text: str) -> Audited:
    failed = "; ".join(f"{name}: {why}" for name, why in problems.items())
    status = "failed" if problems else "passed"
    return Audited(Audit(name=title, arm=arm, status=status, text=failed or text), dict(problems))


def _nothing(title: str, arm: ArmName, text: str) -> Audited:
    return Audited(Audit(name=title, arm=arm, status="not applicable", text=text), {})
