"""Checks that the runs of two systems were honest: for each arm, every run as it was seen, all runs together, and a copy of a clip.

What the parent saw of each run is in the run's own record (`reelbench.system.observed`). A cache of
results that lives on the disk shows between the first run and later ones; one that was filled
before, in a run over a copy of a clip that nobody has seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import SystemRandom
from statistics import median
from uuid import uuid4

from reelbench.analyzers.base import is_deterministic
from reelbench.bench.agreeing import same_events
from reelbench.bench.observed import finds_little, remembered
from reelbench.bench.private_clips import PrivateClips
from reelbench.bench.reencode import LONGEST_S, Copied, events_in, reencoded
from reelbench.bench.setup import Clips
from reelbench.comparison.records import ArmName, Audit
from reelbench.config import instantiate
from reelbench.corpus.clip import Clip
from reelbench.errors import MediaError
from reelbench.system.costs import busy_s
from reelbench.system.folder import SystemFolder
from reelbench.system.records import Span, SystemRecord
from reelbench.system.setup import Prepared

FIRST_RATIO, FIRST_TASK_S = 4.0, 0.1
"""So many times slower, and by so many seconds a task, may an arm's first run be than later ones."""
OPINIONS = 3
COPIES = 2


@dataclass(frozen=True, slots=True)
class Audited:
    """One audit of an arm, and what it says of single analyzers: those it failed for."""

    audit: Audit
    analyzers: Mapping[str, str]


def audit_runs(arm: ArmName, ready: Prepared, runs: Sequence[SystemFolder]) -> list[Audited]:
    """Of the runs of an arm that belong to whole pairs."""
    return [observed(arm, runs), _same_results(arm, ready, runs), first_run(arm, runs)]


def observed(arm: ArmName, runs: Sequence[SystemFolder]) -> Audited:
    title = "what executed, and what was seen of it"
    problems: dict[str, str] = {}
    for run in runs:
        problems |= {name: why for name, why in denied(run.record).items() if name not in problems}
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


def audit_copy(
    arm: ArmName,
    ready: Prepared,
    runs: Sequence[SystemFolder],
    measure: Callable[[Clips], SystemFolder],
) -> Audited:
    """The whole system over copies of a clip that nobody has seen: encoded anew, under other names, nothing beside them.

    No two copies have the same bytes, pixels or length, and the faster of both counts: the first
    also warms the workers up. ``measure`` makes such a run.
    What is much slower is asked again with fresh copies: a busy neighbour slows down once.
    """
    title = "copy of a clip"
    clip = _drawn(ready)
    if clip is None:
        return _nothing(title, arm, "no clip was opened")
    info = ready.clips.infos[clip]
    per_second = {name: seconds / info.duration_s for name, seconds in _clip_seconds(runs, clip).items()}
    if not per_second:
        return _nothing(title, arm, "nobody watched the tasks on the clip itself")
    problems: dict[str, str] = {}
    with_copies = PrivateClips()
    try:
        for number in range(OPINIONS):
            copies: dict[str, Copied] = {}
            for _ in range(COPIES):
                name = f"copy-{uuid4().hex[:8]}"  # never one that an earlier run knew
                copies[name] = reencoded(info, with_copies.empty_folder(), ready.composed.base.media.limits, number)
            made = [Clip(name, one.info.path, "copies", "") for name, one in copies.items()]
            shown = Clips(made, {name: one.info for name, one in copies.items()}, {})
            problems = _judge_copy(runs[0], clip, per_second, measure(shown), copies)
            if not problems:
                break
    except MediaError as error:
        return _nothing(title, arm, error.message)
    finally:
        with_copies.close()
    return _audited(title, arm, problems, f"no analyzer is much slower on a copy of {clip} encoded anew")


def _judge_copy(
    original: SystemFolder,
    clip: str,
    per_second: Mapping[str, float],
    run: SystemFolder,
    copies: Mapping[str, Copied],
) -> dict[str, str]:
    problems: dict[str, str] = {}
    seconds = _seconds(run.spans)
    for name, clip_per_s in per_second.items():
        item = run.record.analyzers[name]
        failed = [outcome.reason for outcome in item.outcomes.values() if outcome.status != "done"]
        if failed:
            problems[name] = f"it was measured on {clip}, but fails on a copy of it: {failed[0]}"
            continue
        duration_s, copy_s = min(
            ((copies[at].info.duration_s, took) for at, took in seconds[name].items()), key=lambda one: one[1] / one[0]
        )
        clip_s = clip_per_s * duration_s
        if remembered(clip_s, copy_s):
            problems[name] = (
                f"{clip} took {clip_s:.3g} s, a copy encoded anew under another name {copy_s:.3g} s: "
                "results are remembered"
            )
            continue
        known = original.result((clip, name))
        counted = {copy: (events_in(known, one), _events(run, copy, name)) for copy, one in copies.items()}
        if all(finds_little(expected, found) for expected, found in counted.values()):
            expected, found = max(counted.values(), key=lambda one: one[1])
            problems[name] = (
                f"{clip} has {expected} events in a part of which a copy encoded anew under another name has {found}: "
                "results are remembered"
            )
    return problems


def _events(run: SystemFolder, clip: str, name: str) -> int:
    result = run.result((clip, name))
    return len(result.events) if result is not None else 0


def _drawn(ready: Prepared) -> str | None:
    """A clip at random, the long ones left out where there are short ones."""
    infos = ready.clips.infos
    most_s = max(LONGEST_S, min((info.duration_s for info in infos.values()), default=0.0))
    return SystemRandom().choice([name for name, info in infos.items() if info.duration_s <= most_s] or [None])


def _clip_seconds(runs: Sequence[SystemFolder], clip: str) -> dict[str, float]:
    """By analyzer, the median over the runs of what it took on ``clip``."""
    found: dict[str, list[float]] = {}
    for run in runs:
        for name, tasks in _seconds(run.spans).items():
            if clip in tasks:
                found.setdefault(name, []).append(tasks[clip])
    return {name: median(times) for name, times in found.items()}


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
