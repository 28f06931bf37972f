"""Checks that the measurement itself was honest, after the audits of MLPerf (docs/statistics.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from reelbench.bench.live import LiveClip, LiveRun
from reelbench.comparison.records import ArmName, Audit
from reelbench.errors import AnalyzerError, MediaError
from reelbench.results import AnalyzerResult

CHEAPER = 0.10
"""A repeated frame may be so much faster."""
OPINIONS = 3
PARENT_SHARE = 0.05
"""What the comparing process may use of a core."""
SAMPLED = 2


def audit_arm(name: ArmName, live: LiveRun, timeout_s: float, source: Path | None = None) -> list[Audit]:
    """Ask the worker of an arm, while it is up. ``source``: the folder that its code must come from, where that is another's."""
    clips = sorted(
        (clip for clip in live.clips.values() if clip.record.status == "measured"), key=lambda c: c.info.duration_s
    )
    audits = [_executed(name, live)]
    if source is not None:
        audits.append(_code(name, live, source))
    for check, chosen in ((_untimed, clips[:SAMPLED]), (_repeated, clips[:1])):
        try:
            audits.append(check(name, live, chosen, timeout_s))
        except (AnalyzerError, MediaError) as error:
            title = "timed and untimed results" if check is _untimed else "repeated frames"
            names = ", ".join(clip.name for clip in chosen)
            text = f"the audit pass failed on {names}: {error.message}"
            audits.append(Audit(name=title, arm=name, status="failed", text=text))
    return audits


def audit_parent(lives: Sequence[LiveRun]) -> Audit:
    """The process that compares must leave the cores alone while a worker is measured."""
    measured = sum(row["total_s"] for live in lives for row in live.folder.samples)
    share = sum(live.parent_cpu_s for live in lives) / measured
    text = f"while a worker was measured the comparing process used {100 * share:.2g} % of a core (at most {100 * PARENT_SHARE:g} %)"
    return Audit(name="parent process", status="passed" if share <= PARENT_SHARE else "failed", text=text)


def counted(a: Mapping[str, AnalyzerResult], b: Mapping[str, AnalyzerResult]) -> dict[str, tuple[float, float]]:
    """What each arm found over the clips of both: seconds of events (their number, where none lasts), and words of text.

    Seconds do not change when samples of one thing are merged into one event, as their number does.
    """
    both = [clip for clip in a if clip in b]
    sides = [[event for clip in both for event in results[clip].events] for results in (a, b)]
    seconds = [sum(event.end_s - event.start_s for event in side) for side in sides]
    found = {"seconds of events": (seconds[0], seconds[1])}
    if not any(seconds):
        found = {"events": (float(len(sides[0])), float(len(sides[1])))}
    words = [float(sum(len((event.text or "").split()) for event in side)) for side in sides]
    if any(words):
        found["words"] = (words[0], words[1])
    return found


def _executed(name: ArmName, live: LiveRun) -> Audit:
    record = live.folder.record
    title = "what executed"
    if record.requested != record.effective:
        text = f"asked for {record.requested}, ran {record.effective}: {record.fallback_reason}"
        return Audit(name=title, arm=name, status="failed", text=text)
    if contradiction := str(record.evidence.get("contradiction", "")):
        return Audit(name=title, arm=name, status="failed", text=contradiction)
    parts = [str(record.evidence.get(key, "")) for key in ("engine", "device", "precision")]
    return Audit(name=title, arm=name, status="passed", text=" ".join(part for part in parts if part))


def _code(name: ArmName, live: LiveRun, source: Path) -> Audit:
    ran = Path(live.package)
    inside = ran.is_relative_to(source.resolve()) or ran.is_relative_to(source)
    text = f"the worker ran the package in {ran}" + ("" if inside else f", not the one in {source}")
    return Audit(name="code", arm=name, status="passed" if inside else "failed", text=text)


def _untimed(name: ArmName, live: LiveRun, clips: list[LiveClip], timeout_s: float) -> Audit:
    title = "timed and untimed results"
    if any("not deterministic" in note for note in live.folder.record.notes):
        text = "results differ between passes of this variant: nothing to hold them against"
        return Audit(name=title, arm=name, status="not applicable", text=text)
    timed = live.folder.read_results()
    for clip in clips:
        untimed = AnalyzerResult.model_validate_json(str(live.ask("untimed", clip, timeout_s)))
        if untimed.events != timed[clip.name].events:
            text = f"{clip.name}: a pass without timers finds {len(untimed.events)} events, the timed ones found "
            return Audit(name=title, arm=name, status="failed", text=text + f"{len(timed[clip.name].events)}")
    text = f"equal on {', '.join(clip.name for clip in clips)}"
    return Audit(name=title, arm=name, status="passed", text=text)


def _repeated(name: ArmName, live: LiveRun, clips: list[LiveClip], timeout_s: float) -> Audit:
    title = "repeated frames"
    found = live.ask("repeated", clips[0], timeout_s)
    if not found:
        return Audit(name=title, arm=name, status="not applicable", text="this analyzer is given no frames")
    if found["repeated_inferred"] < found["changing_inferred"]:
        text = (
            f"the variant says that it filters near-duplicates: {found['repeated_inferred']} of {found['frames']} "
            f"repeated frames reached the network, {found['changing_inferred']} of as many changing ones"
        )
        return Audit(name=title, arm=name, status="passed", text=text)
    faster = found["faster"]
    for _ in range(
        OPINIONS - 1
    ):  # this alone makes a comparison invalid; what remembers is faster every time, a busy neighbour is not
        if faster > CHEAPER:
            faster = min(faster, live.ask("repeated", clips[0], timeout_s)["faster"])
    if faster > CHEAPER:
        text = f"a frame seen before is {100 * faster:.0f} % faster, and the variant does not say that it remembers any"
        return Audit(name=title, arm=name, status="failed", text=text)
    text = f"a frame seen before is {100 * max(0.0, faster):.0f} % faster (at most {100 * CHEAPER:g} %)"
    return Audit(name=title, arm=name, status="passed", text=text)
