"""Checks that the measurement itself was honest, after the audits of MLPerf (docs/statistics.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, log1p
from pathlib import Path
from statistics import mean, median

from reelbench.bench.agreeing import same_events
from reelbench.bench.kept_passes import LiveClip
from reelbench.bench.live import LiveRun
from reelbench.bench.observed import WAKING_S, Row, unreported_s
from reelbench.comparison.records import ArmName, Audit, Pair
from reelbench.comparison.rule import log_ratios
from reelbench.comparison.statistics import hodges_lehmann
from reelbench.errors import AnalyzerError, MediaError
from reelbench.results import AnalyzerResult

CHEAPER = 0.10
"""A repeated frame may be so much faster."""
OPINIONS = 5
DISTURBED_OF_DELTA, LEAST_DELTA = 0.5, 0.01
"""Whoever is not measured may have moved the effect by this share of the smallest change that
counts, which is taken as 1 % where it is smaller."""
ANSWERING_S = 0.002
"""Sending a request and its answer took 1.4 ms at most, in the median of any of 900 honest runs on busy machines."""
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


def parent_share(pairs: Sequence[Pair]) -> float | None:
    """CPU seconds of the comparing process per second of a timed pass: the mean over pairs and arms; None where nobody watched."""
    shares = [share for pair in pairs for share in (pair.a_parent, pair.b_parent) if share is not None]
    return mean(shares) if shares else None


def audit_parent(pairs: Sequence[Pair], delta: float) -> Audit:
    """The process that compares must leave the cores alone while a worker is measured.

    Only what it did while passes were timed can have changed them, and at worst a worker waited for as long as the comparing process
    used a core. The effect is estimated again with that time taken out of the passes of one arm only, as if the other had not been
    disturbed at all. How far it moves must be small beside ``delta``, the smallest change that counts.
    """
    title = "parent process"
    a = [pair.a_parent for pair in pairs if pair.a_parent is not None]
    b = [pair.b_parent for pair in pairs if pair.b_parent is not None]
    if not pairs or min(len(a), len(b)) < len(pairs):
        return Audit(name=title, status="not applicable", text="nobody watched it in all of these pairs")
    moved = max(_moved(pairs, "a", a), _moved(pairs, "b", b))
    text = f"while passes were timed the comparing process used {100 * mean(a + b):.2g} % of a core"
    return _undisturbed(title, text, moved, delta)


def audit_idle(name: ArmName, pairs: Sequence[Pair], delta: float) -> Audit:
    """An arm must leave the cores alone while the other is measured; it is judged as the parent is."""
    title = "idle arm"
    other: ArmName = "b" if name == "a" else "a"
    used = [getattr(pair, f"{name}_idle_cpu_s") for pair in pairs]
    if not pairs or None in used:
        return Audit(name=title, arm=name, status="not applicable", text="nobody watched it in all of these pairs")
    passes_s = [getattr(pair, f"{other}_s") * (pair.repetitions[1] - pair.repetitions[0]) for pair in pairs]
    shares = [cpu_s / wall_s if wall_s else 0.0 for cpu_s, wall_s in zip(used, passes_s, strict=True)]
    text = (
        f"while the other arm was measured for {sum(passes_s):.3g} s its processes used {sum(used):.2g} s "
        f"({100 * sum(used) / sum(passes_s) if sum(passes_s) else 0.0:.2g} % of a core)"
    )
    return _undisturbed(title, text, _moved(pairs, other, shares), delta).model_copy(update={"arm": name})


def audit_clocks(samples: Mapping[ArmName, Sequence[Row]], pairs: Sequence[Pair], delta: float) -> Audit:
    """Whether the effect would be another by the clock of the comparing process.

    A pass may take longer for its sender than it reports by so much as sending and answering take; what is beyond that must not
    differ between the arms by much, beside ``delta``.
    """
    title = "clocks of both arms"
    shares: dict[ArmName, float] = {}
    for name, made in samples.items():
        rows = [row for row in made if any(_of_pair(row, pair) for pair in pairs)]
        if not rows or any(row.get("request_s") is None for row in rows):
            return Audit(name=title, status="not applicable", text="not all passes were watched from outside")
        # Of the quarter that waited least outside of their passes: a busy machine lets others wait for long.
        least = sorted(unreported_s(row, WAKING_S) for row in rows)[len(rows) // 4]
        shares[name] = max(0.0, least - ANSWERING_S) / median(row["total_s"] for row in rows)
    moved = abs(log1p(shares["b"]) - log1p(shares["a"]))
    allowed = DISTURBED_OF_DELTA * log1p(max(delta, LEAST_DELTA))
    text = (
        f"by its own clock the comparing process sees an effect that differs by {100 * (exp(moved) - 1):.2g} % from the one that "
        f"the arms report (allowed: {100 * (exp(allowed) - 1):.2g} %)"
    )
    return Audit(name=title, status="passed" if moved <= allowed else "failed", text=text)


def _of_pair(row: Row, pair: Pair) -> bool:
    first, end = pair.repetitions
    return bool(row["kind"] == "timed" and row["clip"] == pair.clip and first <= row["repetition"] < end)


def _moved(pairs: Sequence[Pair], measured: ArmName, shares: Sequence[float]) -> float:
    """How far the effect moves (a log ratio) where the passes of ``measured`` are freed of a core's ``shares``, one of each pair."""
    d = log_ratios(pairs)
    freed = [log1p(-min(share, 0.999)) * (1 if measured == "b" else -1) for share in shares]
    return abs(hodges_lehmann(d + freed) - hodges_lehmann(d))


def _undisturbed(title: str, text: str, moved: float, delta: float) -> Audit:
    allowed = DISTURBED_OF_DELTA * log1p(max(delta, LEAST_DELTA))
    text += (
        f", which can have changed the effect by at most {100 * (exp(moved) - 1):.2g} % "
        f"(allowed: {100 * (exp(allowed) - 1):.2g} %)"
    )
    return Audit(name=title, status="passed" if moved <= allowed else "failed", text=text)


def audit_observed(name: ArmName, live: LiveRun) -> list[Audit]:
    """What the parent saw of an arm, held against what its worker reported (`reelbench.bench.observed`)."""
    return [Audit(name=one.name, arm=name, status=one.status, text=one.text) for one in live.folder.record.observed]


def audit_whole_cost(lives: Mapping[ArmName, LiveRun], pairs: Sequence[Pair]) -> list[Audit]:
    """Whether B is still faster with what is upstream of it, where the arms are handed the results of different analyzers.

    The pairs compare the arms' own time. Work that was moved upstream is not saved."""
    upstream = {name: live.folder.record.upstream for name, live in lives.items()}
    fed = {name: {key: cost.variant for key, cost in costs.items()} for name, costs in upstream.items()}
    if fed["a"] == fed["b"] or not pairs:
        return []
    own = dict.fromkeys(fed, 0.0)
    for clip in {pair.clip for pair in pairs}:
        for name in own:
            own[name] += median(getattr(pair, f"{name}_s") for pair in pairs if pair.clip == clip)
    whole = {name: own[name] + sum(cost.seconds for cost in upstream[name].values()) for name in own}
    text = "; ".join(
        f"arm {name} takes {own[name]:.3g} s of its own and {whole[name]:.3g} s with "
        f"{' and '.join(f'{key} {variant}' for key, variant in fed[name].items()) or 'nothing'} upstream"
        for name in sorted(own)
    )
    moved = own["b"] < own["a"] and whole["b"] >= whole["a"]
    text += ": work was moved upstream, not saved" if moved else ""
    return [Audit(name="whole cost", status="failed" if moved else "passed", text=text)]


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


def counted_per_clip(
    a: Mapping[str, AnalyzerResult], b: Mapping[str, AnalyzerResult]
) -> dict[str, dict[str, tuple[float, float]]]:
    """The same of each clip by itself."""
    return {clip: counted({clip: a[clip]}, {clip: b[clip]}) for clip in a if clip in b}


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
        if not same_events(untimed, timed[clip.name]):
            text = f"{clip.name}: a pass without timers finds {len(untimed.events)} events, the timed ones found "
            return Audit(name=title, arm=name, status="failed", text=text + f"{len(timed[clip.name].events)}")
    text = f"equal on {', '.join(clip.name for clip in clips)}"
    return Audit(name=title, arm=name, status="passed", text=text)


def _repeated(name: ArmName, live: LiveRun, clips: list[LiveClip], timeout_s: float) -> Audit:
    title = "repeated frames"
    found = live.ask("repeated", clips[0], timeout_s)
    if not found:
        return Audit(name=title, arm=name, status="not applicable", text="this analyzer is given no frames")
    if found["still_inferred"] < found["changing_inferred"]:
        text = (
            f"the variant says that it filters near-duplicates: {found['still_inferred']} of {found['frames']} "
            f"still frames reached the network, {found['changing_inferred']} of as many changing ones"
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
