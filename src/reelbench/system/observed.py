"""What the parent saw of an analyzer's workers, held against what these report.

A worker runs the analyzer's own code: its clock, its counters and its evidence are statements. The
parent has its own clock, the kernel's figures of the worker's processes, and the number of frames
that another process decoded. Where both know a quantity they must agree; where they do not, the
figures of that analyzer must not be used, and the sentence names both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reelbench.bench.observed import SHARED_CLOCK_RATIO, Took, clock, contradictions, frames, unknown_copy
from reelbench.system.records import AnalyzerRecord, Session, Span, SystemRecord

IDLE_SHARE, IDLE_TASK_S = 0.1, 0.02
"""After a task a worker may use so much of the task's CPU time, and so many seconds: freeing memory."""
CPU_SHARE, CPU_TASK_S = 0.1, 0.02


def used_cpu_s(reported: float | None, observed: float) -> float | None:
    """CPU seconds of a task: what the worker reports, or what the kernel says where that is more, as it is with child processes.

    None where neither says anything.
    """
    if reported is None:
        return observed or None
    return observed if observed > reported * (1 + CPU_SHARE) + CPU_TASK_S else reported


def judge(record: SystemRecord, spans: Sequence[Span], evidence: Mapping[str, Sequence[dict[str, Any]]]) -> None:
    """Fill in ``evidence`` and ``invalid`` of every analyzer. ``evidence``: by analyzer, from each worker of this session."""
    for name, item in record.analyzers.items():
        work = [span for span in spans if span.kind == "task" and span.name == name and span.status == "done"]
        found = list(evidence.get(name, ()))
        if found:
            item.evidence = next((one for one in found if one.get("contradiction")), found[0])
        rows = _rows(work)
        problems = [
            _contradiction(item),
            _unlike(found),
            contradictions([clock(rows, SHARED_CLOCK_RATIO), frames(rows)]),
            _unread(work),
            _idle(name, work, record.sessions),
            on_copy(record, item),
        ]
        item.invalid = "; ".join(problem for problem in problems if problem)
        if work and (note := _children(name, work)) and note not in record.notes:
            record.notes.append(note)


def on_copy(record: SystemRecord, item: AnalyzerRecord) -> str:
    """What a copy of a clip shows of an analyzer that remembers results, or does not work on what it does not know."""
    if record.copy_check is None or (seen := item.copy_seen) is None:
        return ""
    clip = record.copy_check.clip
    if seen.failed:
        return f"copy of a clip: it was measured on {clip}, but fails on a copy of it: {seen.failed}"
    return contradictions([unknown_copy(clip, Took(seen.clip_s), Took(seen.copy_s), seen.expected, seen.found)])


def _contradiction(item: AnalyzerRecord) -> str:
    return str(item.evidence.get("contradiction") or "")


def _unlike(found: Sequence[Mapping[str, Any]]) -> str:
    """Two workers of one analyzer must execute alike, or its figures are those of neither."""
    kinds = dict.fromkeys(
        " ".join(str(one.get(key) or "") for key in ("engine", "device", "precision")) for one in found
    )
    return f"its workers executed differently: {' and '.join(kinds)}" if len(kinds) > 1 else ""


def _rows(work: Sequence[Span]) -> list[dict[str, Any]]:
    """The tasks as the shared checks want them.

    While the parent is busy with other workers an answer waits for it, so that a task's time is
    known within bounds only: what is reported is right where it lies between them.
    """
    rows: list[dict[str, Any]] = []
    for span in work:
        if "total_s" not in span.sample or "wall_s" not in span.observed:
            continue
        reported, seen = float(span.sample["total_s"]), span.observed
        within = min(max(reported, seen["wall_least_s"]), seen["wall_s"])
        counted: dict[str, Any] = {
            name: int(seen[name]) for name in ("frames_handed", "frames_sampled") if name in seen
        }
        rows.append({"clip": span.clip, "kind": "timed", "total_s": reported, "request_s": within, **counted})
    return rows


def _unread(work: Sequence[Span]) -> str:
    """Frames that were decoded for it, against those that it read."""
    for span in work:
        spooled, handed = span.observed.get("frames_spooled"), span.observed.get("frames_handed")
        if spooled is not None and spooled != handed:
            return f"{span.clip}: {spooled:.0f} frames were decoded for it, and it read {handed:.0f}"
    return ""


def _idle(name: str, work: Sequence[Span], sessions: Sequence[Session]) -> str:
    """Work that is put off until the task is over, or done by idle workers while others are measured."""
    idle = sum(session.idle_cpu_s.get(name, 0.0) for session in sessions)
    spent = sum(span.observed.get("cpu_s", 0.0) for span in work)
    if idle <= IDLE_SHARE * spent + IDLE_TASK_S * max(1, len(work)):
        return ""
    return f"its workers used {idle:.3g} CPU s while they had no task, beside {spent:.3g} CPU s in {_tasks(work)}"


def _children(name: str, work: Sequence[Span]) -> str:
    told = [span for span in work if "cpu_s" in span.sample and "cpu_s" in span.observed]
    reported = sum(float(span.sample["cpu_s"]) for span in told)
    seen = sum(span.observed["cpu_s"] for span in told)
    if seen <= reported * (1 + CPU_SHARE) + CPU_TASK_S * len(told):
        return ""
    return (
        f"{name}: its workers report {reported:.3g} CPU s, the kernel counts {seen:.3g} with the "
        "processes that they started: that is what counts"
    )


def _tasks(work: Sequence[Span]) -> str:
    return f"{len(work)} task{'' if len(work) == 1 else 's'}"
