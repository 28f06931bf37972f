"""What a system run cost, from its timeline alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reelbench.system.records import Session, Span, SystemRecord, Totals
from reelbench.system.tasks import BUILT_IN, Key, Task


def add_costs(record: SystemRecord, spans: Sequence[Span]) -> None:
    """Fill the figures of each analyzer and the totals of the run, from the spans."""
    lengths = {clip.name: clip.duration_s or 0.0 for clip in record.clips}
    work = [span for span in spans if span.kind == "task"]
    total_cpu = sum(span.cpu_s or 0.0 for span in work)
    for analyzer in record.analyzers.values():
        own = [span for span in work if span.name == analyzer.name]
        done = [span for span in own if span.status == "done"]
        loads = [span for span in spans if span.kind == "load" and span.name == analyzer.name]
        video_s = sum(lengths[span.clip] for span in done)
        analyzer.load_s = loads[0].end_s - loads[0].start_s if loads else None
        analyzer.rss_peak_bytes = max((span.rss_peak_bytes or 0 for span in [*own, *loads]), default=0) or None
        if done and video_s:
            analyzer.seconds = sum(span.end_s - span.start_s for span in done)
            analyzer.cpu_s = sum(span.cpu_s or 0.0 for span in done)
            analyzer.cpu_per_video_s = analyzer.cpu_s / video_s
            analyzer.share = sum(span.cpu_s or 0.0 for span in own) / total_cpu if total_cpu else None
    record.totals = _totals(record, spans, work, total_cpu, lengths)


def _totals(
    record: SystemRecord, spans: Sequence[Span], work: Sequence[Span], total_cpu: float, lengths: dict[str, float]
) -> Totals:
    touched = {span.clip for span in work}
    totals = record.totals.model_copy()
    totals.video_s = sum(lengths[clip] for clip in touched)
    totals.makespan_s = sum(makespan(number, session, spans) for number, session in enumerate(record.sessions))
    totals.load_wall_s = sum(session.first_task_s or 0.0 for session in record.sessions)
    totals.cpu_s = total_cpu
    totals.load_cpu_s = sum(span.cpu_s or 0.0 for span in spans if span.kind == "load")
    if totals.makespan_s:
        held = sum(len(span.cores) * (span.end_s - span.start_s) for span in work)
        totals.x_realtime = totals.video_s / totals.makespan_s
        totals.utilisation = held / (len(record.cores) * totals.makespan_s)
    totals.decode_share = _decode_share(work, total_cpu)
    return totals


def makespan(number: int, session: Session, spans: Sequence[Span]) -> float:
    """Seconds from the first task of a session to the end of its last one."""
    work = [span for span in spans if span.session == number and span.kind == "task"]
    if not work:
        return 0.0
    begun = session.first_task_s if session.first_task_s is not None else min(span.start_s for span in work)
    return max(span.end_s for span in work) - begun


def wall_s(span: Span) -> float:
    """Seconds of wall time, with those in which the task waited for a core that others used: this process and the kernel among them."""
    return span.end_s - span.start_s


def busy_s(span: Span) -> float:
    """Seconds of wall time in which the task had its core: without those in which it waited for one that others used.

    The waiting is the kernel's run-queue delay over all threads; no task is taken to be shorter than its processor time, or
    longer than it was.
    """
    wall = wall_s(span)
    waited = float(span.sample.get("run_queue_s") or 0.0)
    return min(wall, max(wall - waited, span.cpu_s or 0.0))


def _decode_share(work: Sequence[Span], total_cpu: float) -> float | None:
    """Of all processor time: that of the built-in tasks; where each analyzer decodes for itself, what its decoder worked, less its
    share of what the task waited for a core."""
    if not total_cpu:
        return None
    shared = sum(span.cpu_s or 0.0 for span in work if span.name in BUILT_IN)
    own = sum(_decoded_s(span) for span in work if span.name not in BUILT_IN)
    return (shared + own) / total_cpu


def _decoded_s(span: Span) -> float:
    seconds, wall = float(span.sample.get("decode_busy_s") or 0.0), wall_s(span)
    return min(span.cpu_s or 0.0, seconds * busy_s(span) / wall) if wall else 0.0


@dataclass(frozen=True, slots=True)
class Link:
    """A span on the critical path; ``waited_s`` passed between what held it up and its start, ``why`` says what that was."""

    span: Span
    waited_s: float
    why: str


def critical_path(spans: Sequence[Span], tasks: Sequence[Task]) -> list[Link]:
    """The chain that held up the end of the last session, from its first span to its last.

    From the span that ended last backwards: to whatever ended last of what it had to wait for, which is its upstream, the worker's task
    before, and the span before on its core.
    """
    last = max((span.session for span in spans), default=0)
    work = [span for span in spans if span.session == last and span.kind == "task"]
    after = {task.key: task.waits_for for task in tasks}
    if not work:
        return []
    links: list[Link] = []
    current: Span | None = max(work, key=lambda span: span.end_s)
    while current is not None:
        before, why = None, "the beginning"
        for span in work:
            ended = span.start_s < current.start_s and span.end_s <= current.start_s + 1e-3
            if not ended or (before is not None and span.end_s <= before.end_s):
                continue
            reason = _why(span, current, after)
            if reason:
                before, why = span, reason
        links.append(Link(current, current.start_s - before.end_s if before is not None else 0.0, why))
        current = before
    return links[::-1]


def _why(span: Span, current: Span, after: Mapping[Key, tuple[str, ...]]) -> str:
    if span.clip == current.clip and span.name in after.get((current.clip, current.name), ()):
        return "upstream"
    if span.name == current.name:
        return "its worker"
    return "its core" if set(span.cores) & set(current.cores) else ""
