"""Compare what a worker reports of a measurement with what the parent process observed (docs/trust.md).

A worker runs the analyzer's own code, so its clock and its counters are claims. Each check takes
rows of passes (`reelbench.bench.records.SAMPLE_COLUMNS`; any mapping with those keys will do) and
says whether both agree. None of them assumes an idle machine: time that a thread waited for a core
is taken out, and what is left must disagree by a factor, not by a few per cent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from reelbench.bench.process_tree import Scheduling

Row = Mapping[str, Any]

CLOCK_RATIO, SHARED_CLOCK_RATIO, CLOCK_LEAST_S = 1.05, 1.25, 0.005
"""A pass may be so many times longer for its sender than it reports, and may be longer by so many seconds whatever it takes. The
second ratio: where the sender serves many workers at once."""
FEW_PASSES = 4
"""A median of fewer says little: ten times as many seconds are then allowed."""
WAKING_S = 0.05
"""Seconds of a request outside of its pass in which a busy machine may let both processes wait, in one of four requests at least.
In 870 honest runs on busy machines it was 0.027 s at most."""
CROSSING_S = 50e-9
"""Seconds that a byte of JSON may take to be written, sent and read outside of the clock."""
CPU_RATIO, CPU_LEAST_S = 1.25, 0.03
"""The same for CPU time. The kernel counts that of child processes in steps of 0.01 s."""
FIRST_RATIO, FIRST_LEAST_S, FIRST_WAITED_S = 4.0, 0.02, 0.05
"""So many times slower may a clip be the first time that a process gets it, where the process is warm. CPU
time must say the same, or each clip be slower by so many seconds: on a busy machine threads wait."""
COPY = "copy of a clip"
COPY_RATIO, COPY_LEAST_S, COPY_WAITED_S = 3.0, 0.02, 0.05
"""So many times slower than the clip itself may a copy of it be that was never there before. A smaller difference than the first
number of seconds says nothing; one below the second counts only where the pass also took so many times as much CPU time."""
COPY_EVENTS, COPY_EVENTS_RATIO = 5, 4
"""Who finds so many events on a part of a clip finds at least one in so many of them on a copy of that part."""
LATE_SHARE, LATE_LEAST_S = 0.25, 0.1
"""CPU time after an answer, while nothing was asked: so large a share of a pass, or so many seconds."""


class Took(NamedTuple):
    """Seconds of a pass, and its CPU seconds; 0 where they are not known."""

    seconds: float
    cpu_s: float = 0.0

    @classmethod
    def of(cls, row: Row) -> Took:
        """Without waiting for a core."""
        return cls(steady_s(row), float(row.get("request_cpu_s") or row.get("cpu_s") or 0.0))

    def times(self, factor: float) -> Took:
        return Took(factor * self.seconds, factor * self.cpu_s)


class Observation(BaseModel):
    """One check and its outcome. ``text`` names both figures, in a sentence that can stand alone after 'name: '."""

    model_config = ConfigDict(extra="forbid")

    name: str
    status: Literal["passed", "failed", "not applicable"]
    text: str


def check_passes(rows: Sequence[Row], deterministic: bool) -> list[Observation]:
    """All checks that need nothing but the rows of the passes of one analyzer, in the order in which they were made."""
    return [clock(rows), processor_time(rows), frames(rows), same_results(rows, deterministic), first_passes(rows)]


def contradictions(observations: Sequence[Observation]) -> str:
    """What failed, in one line; empty where nothing did."""
    return "; ".join(f"{one.name}: {one.text}" for one in observations if one.status == "failed")


def clock(rows: Sequence[Row], ratio: float = CLOCK_RATIO) -> Observation:
    """Seconds that the passes report, against those that their sender waited for them."""
    name = "clock"
    seen = [row for row in _timed(rows) if row.get("request_s") is not None]
    if not seen:
        return _nothing(name, "no pass was watched from outside")
    extra = [unreported_s(row) for row in seen]
    middle_s, middle_extra_s = median(row["total_s"] for row in seen), median(extra)
    total_s, extra_s = sum(row["total_s"] for row in seen), sum(extra)
    least_s = CLOCK_LEAST_S if len(seen) >= FEW_PASSES else 10 * CLOCK_LEAST_S
    # Most of what a worker waits for a core it waits within the pass, where its clock counts it.
    beyond = sorted(unreported_s(row, WAKING_S) for row in seen)[len(seen) // 4]
    often = max(middle_extra_s, beyond) > max(least_s, (ratio - 1) * middle_s)
    middle_extra_s = max(middle_extra_s, beyond)
    # Rarely but long: a single pass that the whole machine stood still in must not be enough.
    in_all = extra_s > max(20 * CLOCK_LEAST_S, 2 * (SHARED_CLOCK_RATIO - 1) * total_s) and sum(
        one > CLOCK_LEAST_S for one in extra
    ) > max(1, len(extra) // 10)
    invented = [row for row in seen if row["total_s"] > ratio * row["request_s"] + CLOCK_LEAST_S]
    if invented:
        worst = max(invented, key=lambda row: float(row["total_s"] - row["request_s"]))
        text = f"a pass of {worst['clip']} reports {worst['total_s']:.3g} s, but was answered after {worst['request_s']:.3g} s"
        return Observation(name=name, status="failed", text=text)
    reported, waited = (middle_s, middle_s + middle_extra_s) if often or not in_all else (total_s, total_s + extra_s)
    what = "a pass" if often or not in_all else f"{len(seen)} passes"
    text = f"{what} reported {reported:.3g} s and took {waited:.3g} s until the answer was there"
    if often or in_all:
        return Observation(name=name, status="failed", text=f"{text}: work was done that the clock did not count")
    return Observation(name=name, status="passed", text=text)


def processor_time(rows: Sequence[Row]) -> Observation:
    """CPU seconds that the passes report, against those that the kernel counted for the process and its children."""
    name = "CPU time"
    seen = [row for row in _timed(rows) if row.get("request_cpu_s")]
    if not seen:
        return _nothing(name, "the kernel does not say, or no pass was watched from outside")
    reported_s = median(row["cpu_s"] for row in seen)
    crossing_s = median(_crossing_s(row) for row in seen)
    counted_s = median(row["request_cpu_s"] for row in seen)
    text = f"a pass reported {reported_s:.3g} s of CPU time, the kernel counted {counted_s:.3g} s"
    allowed = max(CPU_LEAST_S, (CPU_RATIO - 1) * reported_s) + crossing_s
    failed = counted_s - reported_s > allowed
    return Observation(name=name, status="failed" if failed else "passed", text=text)


def frames(rows: Sequence[Row]) -> Observation:
    """Frames that were decoded and handed out, against those that the analyzer says it sampled, and from pass to pass."""
    name = "frames"
    seen = [row for row in _timed(rows) if row.get("frames_handed") is not None]
    if not seen:
        return _nothing(name, "nobody counted the frames that were handed out")
    by_clip: dict[str, int] = {}
    for row in seen:
        handed, clip = row["frames_handed"], row["clip"]
        if handed != row["frames_sampled"]:
            text = f"{clip}: says it sampled {row['frames_sampled']} frames and was handed {handed}"
            return Observation(name=name, status="failed", text=text)
        if by_clip.setdefault(clip, handed) != handed:
            text = f"{clip}: {by_clip[clip]} frames were handed out in one pass and {handed} in another"
            return Observation(name=name, status="failed", text=text)
    total = sum(by_clip.values())
    return Observation(
        name=name, status="passed", text=f"{total} frames were handed out in each pass over all clips, as reported"
    )


def same_results(rows: Sequence[Row], deterministic: bool) -> Observation:
    """Whether each pass over a clip found the same events (within rounding: `reelbench.bench.agreeing`)."""
    name = "results of all passes"
    digests: dict[str, set[str]] = defaultdict(set)
    passes: dict[str, int] = defaultdict(int)
    for row in _timed(rows):
        if row.get("events"):
            digests[row["clip"]].add(row["events"])
            passes[row["clip"]] += 1
    if not digests:
        return _nothing(name, "the results of the passes were not kept apart")
    if not deterministic:
        return _nothing(name, "the analyzer declares that it is not deterministic: every pass is scored")
    for clip, found in digests.items():
        if len(found) > 1:
            text = (
                f"{clip}: {passes[clip]} passes gave {len(found)} different results: the variant is not deterministic, "
                "and does not declare it"
            )
            return Observation(name=name, status="failed", text=text)
    count = sum(passes.values())
    return Observation(name=name, status="passed", text=f"equal in {count} passes over {len(digests)} clips")


def first_passes(rows: Sequence[Row]) -> Observation:
    """The first pass over a clip in a process that is warm, against later ones: slower only where something is remembered."""
    name = "first passes"
    by_process: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        if row.get("worker") is not None:
            by_process[row["worker"]].append(row)
    first_s = later_s = first_cpu_s = later_cpu_s = 0.0
    slower = groups = 0
    for made in by_process.values():
        by_clip: dict[str, list[Row]] = defaultdict(list)
        for row in made:
            by_clip[row["clip"]].append(row)
        # The clip that comes first in a process also warms it up.
        for passes in [found for clip, found in by_clip.items() if clip != made[0]["clip"]]:
            if len(passes) > 1:
                first, later = steady_s(passes[0]), median(steady_s(row) for row in passes[1:])
                first_s, later_s, groups = first_s + first, later_s + later, groups + 1
                slower += first > FIRST_RATIO / 2 * later
                first_cpu_s += Took.of(passes[0]).cpu_s
                later_cpu_s += median(Took.of(row).cpu_s for row in passes[1:])
    if not later_s:
        return _nothing(name, "no process made two passes over a clip that it was not warmed up on")
    text = f"{first_s:.3g} s when a process met its clips for the first time, {later_s:.3g} s for the same clips later"
    worked = first_cpu_s > FIRST_RATIO * later_cpu_s and first_s - later_s > FIRST_LEAST_S
    waited = first_s - later_s > FIRST_WAITED_S * groups
    # Most of them, too: a machine that stood still once slows a single pass down.
    if first_s > FIRST_RATIO * later_s and (worked or waited) and slower > groups / 2:
        return Observation(name=name, status="failed", text=f"{text}: results are remembered")
    return Observation(name=name, status="passed", text=text)


def unknown_copy(clip: str, took: Took, copy: Took, expected: int = 0, found: int = 0) -> Observation:
    """A pass over a copy under another name and encoded anew, against passes over the clip; both free of waiting for a core.

    ``expected``: the events of the clip in the part that was copied; ``found``: those of the copy.
    """
    name = COPY
    text = f"{clip} took {took.seconds:.3g} s, a copy encoded anew under another name {copy.seconds:.3g} s"
    if remembered(took, copy):
        return Observation(name=name, status="failed", text=f"{text}: results are remembered")
    if finds_little(expected, found):
        text = f"{clip} has {expected} events in a part of which a copy encoded anew under another name has {found}"
        return Observation(name=name, status="failed", text=f"{text}: results are remembered")
    return Observation(name=name, status="passed", text=text)


def finds_little(expected: int, found: int) -> bool:
    """Return whether an analyzer found far fewer events on an unknown copy than expected."""
    return expected >= COPY_EVENTS and found < expected / COPY_EVENTS_RATIO


def remembered(took: Took, copy: Took) -> bool:
    """Whether a copy is so much slower than the clip that the clip's results cannot have been worked out."""
    more_s = copy.seconds - took.seconds
    # A busy machine makes a short pass longer, again and again, but not its work.
    worked = copy.cpu_s > COPY_RATIO * took.cpu_s and more_s > COPY_LEAST_S
    return copy.seconds > COPY_RATIO * took.seconds and (worked or more_s > COPY_WAITED_S)


def late_work(late_cpu_s: float, pass_cpu_s: float, waited_s: float) -> Observation:
    """CPU time of the worker and its children after an answer, while nothing was asked of it."""
    text = (
        f"{late_cpu_s:.2g} s of CPU time in {waited_s:.2g} s after an answer, while nothing was asked; "
        f"a pass takes {pass_cpu_s:.2g} s"
    )
    failed = late_cpu_s > max(LATE_LEAST_S, LATE_SHARE * pass_cpu_s)
    return Observation(name="work after the answer", status="failed" if failed else "passed", text=text)


def meddled(left: Scheduling | None, before: Scheduling | None, after: Scheduling | None, stopped: bool) -> str:
    """Return how somebody slowed a worker down, between its requests or during one; empty if nobody did.

    ``left``, ``before``, ``after``: its scheduling at the end of the last request, at the beginning and at the end of this one.
    """
    if stopped:
        return "it was stopped by a signal"
    if left is None or before is None or after is None:
        return ""
    if before != left:
        return f"while nothing was asked of it {_unlike(left, before)}"
    if (after.nice, after.policy) != (before.nice, before.policy):
        return f"while it was measured {_unlike(before, after)}"
    return ""


def scheduling(what: str) -> Observation:
    """Whether the worker was scheduled alike in all passes; ``what`` says what was done to it."""
    text = what or "its niceness and policy stayed the same, and nothing stopped it"
    return Observation(name="scheduling", status="failed" if what else "passed", text=text)


def _unlike(one: Scheduling, other: Scheduling) -> str:
    if one.nice != other.nice:
        return f"its niceness became {other.nice} (it was {one.nice})"
    if one.policy != other.policy:
        return f"its scheduling policy became {other.policy} (it was {one.policy})"
    return f"it was confined to {len(other.processors)} processors (it had {len(one.processors)})"


def steady_s(row: Row) -> float:
    """Seconds of a pass without its main thread's waiting for a core, of which at most half is believed."""
    waited = row["request_queue_s"] if row.get("request_queue_s") is not None else row.get("run_queue_s") or 0.0
    total = max(row["total_s"], (row.get("request_s") or 0.0) - (row.get("request_queue_s") or 0.0) - _crossing_s(row))
    return float(total - min(waited, total / 2))


def unreported_s(row: Row, waking_s: float | None = None) -> float:
    """Seconds that a request took beyond what its pass reports, and beyond what a busy machine and long results explain: all that
    both processes waited for a core, ``waking_s`` at most."""
    waited = float(row.get("request_queue_s") or 0.0)
    explained = row["total_s"] + (waited if waking_s is None else min(waited, waking_s)) + _crossing_s(row)
    return max(0.0, float(row["request_s"] - explained))


def _crossing_s(row: Row) -> float:
    return CROSSING_S * float(row.get("crossed_bytes") or 0.0)


def _timed(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.get("kind", "timed") == "timed"]


def _nothing(name: str, text: str) -> Observation:
    return Observation(name=name, status="not applicable", text=text)
