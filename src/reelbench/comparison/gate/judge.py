"""Answer the questions of a policy from one comparison; each function answers one.

Non-inferiority throughout: B may be better by any amount. A question that the data leave open is 'inconclusive', never passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from statistics import median

from reelbench.bench.run_folder import RunFolder
from reelbench.comparison.gate.policy import Check
from reelbench.comparison.gate.records import Answer
from reelbench.comparison.gate.starts import Starts
from reelbench.comparison.records import ComparisonRecord, Effect, Quality
from reelbench.comparison.sentence import guard, hidden

FEWEST_STARTS = 2


def answers(
    record: ComparisonRecord,
    check: Check,
    folders: tuple[Path, Path],
    floor: float | None,
    starts: Starts,
    metric: str = "",
) -> list[Answer]:
    """All answers of a comparison that is not invalid. ``folders``: the run folders of A and B; ``floor``: the machine's own;
    ``starts``: cold starts that were made for the gate; ``metric``: how the quality metric reads."""
    found: list[Answer] = []
    if check.largest_slow_down is not None:
        found.append(speed(record.speed.effect if record.speed else None, check.largest_slow_down, floor))
    if check.quality_margin is not None:
        found.append(quality(record.quality, metric))
    if check.memory is not None:
        found.append(memory(folders, check.memory))
    if check.cold_start is not None:
        found.append(cold_start(*starts, check.cold_start))
    return found


def slow_down_limit(limit: float, floor: float | None) -> float:
    """The limit that is really held against: what lies within the machine's own floor cannot be told from nothing."""
    return max(limit, floor or 0.0)


def speed(effect: Effect | None, limit: float, floor: float | None = None) -> Answer:
    """Fails where the whole interval lies beyond 1 + limit, passes where it ends below."""
    used = slow_down_limit(limit, floor)
    raised = (
        f" (the policy's limit is {_share(limit)}, raised to this machine's floor of {_share(used)})"
        if used > limit
        else ""
    )
    own = limit if used > limit else None
    allowed = f"at most +{_share(used)} allowed{raised}"
    if effect is None or not effect.bounded:
        return Answer(
            question="speed", status="inconclusive", text=f"too few pairs for an interval; {allowed}", limit=used,
            policy_limit=own,
        )  # fmt: skip
    figures = (
        f"time {_change(effect.ratio)} (interval {_change(effect.low)} to {_change(effect.high)}, {effect.pairs} pairs)"
    )
    status = "failed" if effect.low > 1 + used else "passed" if effect.high < 1 + used else "inconclusive"
    return Answer.model_validate(
        {"question": "speed", "status": status, "text": f"{figures}; {allowed}", "limit": used,
         "policy_limit": own, "value": effect.ratio, "low": effect.low, "high": effect.high}
    )  # fmt: skip


def quality(found: Quality | None, metric: str = "") -> Answer:
    """What the comparison judged, with the policy's margin."""
    if found is None:
        return Answer(question="quality", status="inconclusive", text="quality was not judged")
    status = {"not worse": "passed", "worse": "failed", "underpowered": "inconclusive"}[found.verdict]
    parts: list[str] = [found.verdict]
    if found.difference is not None:
        bounds = ""
        if found.low is not None and found.high is not None:
            bounds = f" (bounds {_points(found.low)} to {_points(found.high)})"
        parts.append(f"{metric or found.metric} {_points(found.difference)} points{bounds}")
    if found.margin is not None:
        parts.append(f"may lose {100 * found.margin:.1f}")
    if found.reason:
        parts.append(found.reason)
    parts += [f"guardrail {name} {guard(one)}" for name, one in found.guards.items() if one.verdict != "not worse"]
    if may := hidden(found.hidden_share, found.losing_clips, found.clips):
        parts.append(may)
    clips = f"{found.clips} clip{'' if found.clips == 1 else 's'}{': few' if found.few else ''}"
    return Answer.model_validate(
        {"question": "quality", "status": status, "text": "; ".join([*parts, clips]), "limit": found.margin,
         "value": found.difference, "low": found.low, "high": found.high}
    )  # fmt: skip


def memory(folders: tuple[Path, Path], limit: float) -> Answer:
    """The peak of resident memory of the worker: the median over clips of each clip's largest peak; on a GPU its memory, too."""
    parts, ratios = [], []
    for title, column in (("RSS peak", "rss_peak_bytes"), ("VRAM peak", "vram_peak_bytes")):
        a, b = (typical_peak(folder, column) for folder in folders)
        if a and b is not None:
            ratios.append(b / a)
            parts.append(f"{title} {_change(b / a)} ({a / 1e6:.0f} to {b / 1e6:.0f} MB)")
    allowed = f"at most +{_share(limit)} allowed"
    if not ratios:
        return Answer(question="memory", status="inconclusive", text=f"no peak was measured; {allowed}", limit=limit)
    worst = max(ratios)
    status = "failed" if worst > 1 + limit else "passed"
    text = f"{'; '.join(parts)}; {allowed}"
    return Answer.model_validate({"question": "memory", "status": status, "text": text, "limit": limit, "value": worst})


def typical_peak(folder: Path, column: str) -> float | None:
    """The median over clips of the largest value of ``column`` in timed passes; None where it was not measured."""
    largest: dict[str, float] = {}
    for row in RunFolder.open(folder).samples:
        if row["kind"] == "timed" and row[column] is not None:
            largest[row["clip"]] = max(largest.get(row["clip"], 0.0), float(row[column]))
    return median(largest.values()) if largest else None


def cold_start(a: Sequence[float], b: Sequence[float], limit: float) -> Answer:
    """Starts paired in order. Fails where every ratio lies beyond the limit (with 6 starts: a one-sided bound of the median at 98 %),
    passes where the median does not, else it is open."""
    ratios = [later / earlier for earlier, later in zip(a, b, strict=False) if earlier > 0 and isfinite(later)]
    allowed = f"at most +{_share(limit)} allowed"
    if not ratios:
        return Answer(
            question="cold start", status="inconclusive", text=f"no start was measured; {allowed}", limit=limit
        )
    middle, low, high = median(ratios), min(ratios), max(ratios)
    if middle <= 1 + limit:
        status = "passed" if len(ratios) >= FEWEST_STARTS else "inconclusive"
    else:
        status = "failed" if low > 1 + limit and len(ratios) >= FEWEST_STARTS else "inconclusive"
    starts = f"{len(ratios)} start{'' if len(ratios) == 1 else 's'} each"
    text = f"{_change(middle)} ({_change(low)} to {_change(high)}, {starts}); {allowed}"
    return Answer.model_validate(
        {
            "question": "cold start",
            "status": status,
            "text": text,
            "limit": limit,
            "value": middle,
            "low": low,
            "high": high,
        }
    )


def _change(ratio: float) -> str:
    """A ratio as a change: '+4.2 %', '−12 %', '3.1×' from twice on."""
    if ratio >= 2:
        return f"{ratio:.2f}×"
    percent = 100 * (ratio - 1)
    return _signed(percent, 1 if abs(percent) < 20 else 0) + " %"


def _points(difference: float) -> str:
    return _signed(100 * difference, 1)


def _share(limit: float) -> str:
    return f"{100 * limit:.3g} %"


def _signed(value: float, digits: int) -> str:
    """With its sign, a true minus, and no '-0.0'."""
    text = f"{value:+.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", "−")
