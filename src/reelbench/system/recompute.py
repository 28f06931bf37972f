"""The figures of a system run, computed again: cost and validity from the timeline, quality from results and ground truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reelbench.bench.integrity import Figure, differing
from reelbench.bench.recompute import invalid_figures, quality_figures, read_settings
from reelbench.system.costs import add_costs
from reelbench.system.folder import TIMELINE, read_result, read_timeline
from reelbench.system.observed import judge

if TYPE_CHECKING:
    from reelbench.bench.records import ClipRecord
    from reelbench.system.records import AnalyzerRecord, Span, SystemRecord

_OF_ANALYZER = ("seconds", "cpu_s", "cpu_per_video_s", "share", "load_s", "rss_peak_bytes")


def system_figures(folder: Path, record: SystemRecord) -> Iterator[Figure]:
    """Sessions, totals of the run and of each analyzer, outcomes, validity, and quality."""
    spans = read_timeline(folder / TIMELINE)
    again = record.model_copy(deep=True)
    add_costs(again, spans)
    yield from differing("totals", record.totals, again.totals)
    yield from _sessions(record, spans)
    judge(again, spans, {})
    ended = {(span.clip, span.name): span.status for span in spans if span.kind != "load" and span.final}
    settings = read_settings(folder).get("analyzers")
    for name, item in record.analyzers.items():
        for field in _OF_ANALYZER:
            yield Figure(f"{name}: {field}", getattr(item, field), getattr(again.analyzers[name], field))
        for clip, outcome in item.outcomes.items():
            if (clip, name) in ended or outcome.status == "done":
                yield Figure(f"{name} on {clip}: status", outcome.status, ended.get((clip, name)))
        yield from invalid_figures(f"{name}: invalid", item.invalid, [str(item.evidence.get("contradiction") or "")])
        yield from invalid_figures(f"{name}: invalid", item.invalid, [again.analyzers[name].invalid], lasting=False)
        yield from _quality(folder, name, item, record.clips, settings)


def _sessions(record: SystemRecord, spans: list[Span]) -> Iterator[Figure]:
    """The makespan begins with a session's first task; and what failed is no run that finished."""
    for number, session in enumerate(record.sessions):
        begun = [span.start_s for span in spans if span.session == number and span.kind == "task"]
        if begun and session.first_task_s is not None and session.first_task_s > min(begun):
            yield Figure(f"session {number + 1}: first_task_s", session.first_task_s, min(begun))
    failed = any(
        outcome.status in ("failed", "timed_out")
        for item in record.analyzers.values()
        for outcome in item.outcomes.values()
    )
    if failed and record.status == "finished":
        yield Figure("status", record.status, "failed")


def _quality(
    folder: Path, name: str, item: AnalyzerRecord, clips: list[ClipRecord], settings: object
) -> Iterator[Figure]:
    own = settings.get(name) if isinstance(settings, Mapping) else None
    node: Any = own.get("quality") if isinstance(own, Mapping) else None
    if not item.quality.overall or node is None:
        return
    done = [clip for clip, outcome in item.outcomes.items() if outcome.status == "done"]
    found = {clip: result for clip in done if (result := read_result(folder, (clip, name))) is not None}
    yield from quality_figures(item.quality, node, clips, found, f"{name}: quality")
