"""Put a comparison into one sentence that needs no other reading, and choose its exit code.

Rounding never flatters: 'at least' is rounded down, the ends of an interval outwards.
"""

from __future__ import annotations

from math import ceil, floor

from reelbench.comparison.records import AlsoJudged, ComparisonRecord, Effect, Quality, Speed
from reelbench.errors import EXIT_FAILED, EXIT_INCONCLUSIVE, EXIT_OK, EXIT_REGRESSION

_SMALL = (0.67, 1.5)
"""Ratios between these read better as per cent than as 'times'."""


def sentence(record: ComparisonRecord, metric_name: str = "") -> str:
    """The whole answer. ``metric_name``: how the quality metric reads ('mAP@0.5'); without it, as it is called in the
    record."""
    if record.invalid or record.verdict == "invalid":
        return f"invalid: {record.invalid or 'the figures must not be used'}"
    if record.speed is None:
        return "nothing is decided: no pair was finished"
    speed = speed_words(record.speed, record)
    quality = _quality(record.quality, metric_name) if record.quality else "quality was not judged"
    return f"{speed}; {quality}."


def exit_code(record: ComparisonRecord) -> int:
    """5 invalid; 1 slower, or quality worse; 3 inconclusive or undecided, or quality underpowered; else 0."""
    if record.invalid or record.verdict == "invalid":
        return EXIT_FAILED
    quality = record.quality.verdict if record.quality else None
    if record.verdict == "slower" or quality == "worse":
        return EXIT_REGRESSION
    if record.verdict in ("inconclusive", None) or quality == "underpowered":
        return EXIT_INCONCLUSIVE
    return EXIT_OK


def speed_words(speed: Speed, record: ComparisonRecord, basis: str = "") -> str:
    """The first half of the sentence. ``basis`` says what the pairs were where they are no clips ('7 pairs of whole runs')."""
    a, b = record.a.label, record.b.label
    clips = len(speed.per_clip)
    only = ", on this clip only" if clips == 1 and not basis else ""
    basis = basis or _basis(speed.effect.pairs, clips, record)
    confidence = f"{100 * speed.confidence:.3g} % interval"
    if speed.verdict in ("faster", "slower"):
        bound, point, span = _change(speed.effect)
        return f"{b} is at least {bound} {speed.verdict} than {a}{only} ({point}, {confidence} {span}, {basis})"
    if speed.verdict == "equivalent":
        point, span = _signed(speed.effect)
        delta = f"{100 * speed.delta:.3g}"
        return f"{b} and {a} are equivalent to within ±{delta} %{only} ({point}, {confidence} {span}, {basis})"
    return f"inconclusive: {_open(speed, record, confidence)}{only} ({basis}){_advice(speed, record)}"


def _basis(pairs: int, clips: int, record: ComparisonRecord) -> str:
    if record.design == "separate runs":
        return f"{pairs} clip{'' if pairs == 1 else 's'}, runs made at different times"
    return f"{pairs} pair{'' if pairs == 1 else 's'} on {f'{clips} clips' if clips > 1 else 'one clip'}"


def _open(speed: Speed, record: ComparisonRecord, confidence: str) -> str:
    """What is known so far where nothing is decided."""
    a, b = record.a.label, record.b.label
    if not speed.effect.bounded:
        few = "clips measured in both runs" if record.design == "separate runs" else "pairs"
        return f"too few {few} to tell {b} from {a}"
    point, span = _signed(speed.effect)
    early = "measuring ended before the first look, " if not speed.looks else ""
    return f"{early}the time of {b} against {a} differs by {point}, {confidence} {span}"


def _advice(speed: Speed, record: ComparisonRecord) -> str:
    """What would have been found, and what more it takes."""
    if record.design == "separate runs":
        if record.calibration is None or record.calibration.floor_between_runs is None:
            return "; separate runs of identical code can differ by tens of per cent, and how far they do here was never calibrated"
        return "; reelbench ab, which measures both together, finds smaller differences"
    parts = ""
    if speed.minimum_detectable is not None:
        parts += f"; a difference of {_whole(100 * speed.minimum_detectable)} % would have been found"
    if speed.pairs_needed is None:
        return parts + f"; no sensible number of pairs decides whether it counts (±{100 * speed.delta:.3g} %)"
    more = max(1, speed.pairs_needed - speed.effect.pairs)
    return parts + f"; about {more} more pair{'' if more == 1 else 's'} needed"


def _change(effect: Effect) -> tuple[str, str, str]:
    """Of a decided effect: 'at least', the estimate, the interval. Times as 1 / ratio or ratio, per cent as ratio - 1,
    unsigned."""
    faster = effect.high < 1
    if _SMALL[0] < effect.ratio < _SMALL[1]:
        near, far = (1 - effect.high, 1 - effect.low) if faster else (effect.low - 1, effect.high - 1)
        centre = abs(effect.ratio - 1)
        digits = 1 if 100 * (far - near) < 2 else 0
        low, high = _down(100 * near, digits), _up(100 * far, digits)
        return f"{low} %", f"{100 * centre:.{digits}f} % {'less' if faster else 'more'} time", f"{low}–{high} %"
    near, far, centre = (
        (1 / effect.high, 1 / effect.low, 1 / effect.ratio) if faster else (effect.low, effect.high, effect.ratio)
    )
    digits = 2 if far - near < 0.2 else 1 if near < 20 else 0
    low, high = _down(near, digits), _up(far, digits)
    return f"{low}×", f"{centre:.{digits}f}×", f"{low}–{high}"


def _signed(effect: Effect) -> tuple[str, str]:
    """The change ratio - 1 in per cent and its interval, signed, minus where B takes less time."""
    low, high = 100 * (effect.low - 1), 100 * (effect.high - 1)
    digits = 1 if high - low < 10 else 0
    return (
        f"{_sign(100 * (effect.ratio - 1), digits)} %",
        f"{_minus(_down(low, digits))} to {_minus(_up(high, digits))} %",
    )


def _quality(quality: Quality, metric_name: str) -> str:
    """The primary metric, then the others, each with its own verdict; of the guardrails only those that do not hold."""
    if not (quality.also or quality.guards) or quality.of_metric is None:
        return _primary(quality, metric_name)
    primary = _primary(quality.model_copy(update={"verdict": quality.of_metric}), metric_name)
    others = [f"{name} {also(one)}" for name, one in quality.also.items()]
    broken = [f"guardrail {name} {guard(one)}" for name, one in quality.guards.items() if one.verdict != "not worse"]
    return "; ".join([primary, *others, *broken])


def guard(one: AlsoJudged) -> str:
    """A guardrail in a few words: 'broken: 0.876 to 0.122, may lose 0.044'."""
    word = {"not worse": "holds", "worse": "broken", "underpowered": "open"}[one.verdict]
    allowed = "fall" if one.better == "more" else "rise"
    return f"{word}: {one.mean_a:.3g} to {one.mean_b:.3g}, may {allowed} by {one.margin:.2g}"


def hidden(share: float | None, losing: int | None, clips: int) -> str:
    """What so few clips cannot exclude, in words; empty where nobody computed it. The share is rounded up."""
    if share is None or losing is None:
        return ""
    seen = f"{losing} of {clips}" if losing else f"none of {clips}"
    return f"{seen} clips lose{'s' if losing == 1 else ''} more than the margin, up to {_up(100 * share, 0)} % of such clips may"


def also(one: AlsoJudged) -> str:
    """Another metric in a few words: 'not worse: 0.31 to 0.05, bound −0.1'. The bound is the one that the verdict rests on."""
    bad = one.high if one.better == "less" else one.low
    good = one.low if one.better == "less" else one.high
    bound = good if one.verdict == "worse" else bad
    span = "" if bound is None else f", {'at best' if one.verdict == 'worse' else 'bound'} {_minus(f'{bound:.3f}')}"
    may = ""
    if one.verdict == "not worse" and one.hidden_share is not None:
        may = f", up to {_up(100 * one.hidden_share, 0)} % of such clips may lose more"
    return f"{one.verdict}: {one.mean_a:.3g} to {one.mean_b:.3g}{span}{may}"


def _primary(quality: Quality, metric_name: str) -> str:
    name = metric_name or quality.metric or "quality"
    if quality.difference is None:
        may = _hidden(quality)
        return f"quality {quality.verdict}: {quality.reason}{may or _few(quality)}"
    points = f"{_sign(100 * quality.difference, 1)} points"
    if quality.low is None or quality.high is None:
        same = "the same on every clip" if quality.clips > 1 else ""
        said = ", ".join(part for part in (same, quality.reason) if part)
        return f"{name} {quality.verdict}: {points}, {said}{_hidden(quality)}"
    if (
        quality.verdict == "worse" and quality.reason
    ):  # for another reason than the metric: its bounds would only confuse
        return f"{name} worse: {points}, {quality.reason}{_few(quality)}"
    # The bound that the verdict rests on: what B loses at worst, or, where it is worse, what it loses at best.
    if quality.verdict == "worse":
        bounds = f"at best {_minus(_up(100 * quality.high, 1))}"
    else:
        bounds = f"bound {_minus(_down(100 * quality.low, 1))}"
    if quality.verdict != "not worse" and quality.margin is not None:
        bounds += f", margin −{100 * quality.margin:.1f}"
    reason = f", {quality.reason}" if quality.reason else ""
    return f"{name} {quality.verdict}: {points}, {bounds}{reason}{_hidden(quality) or _few(quality)}"


def _hidden(quality: Quality) -> str:
    """With 'not worse' always: a bound of the mean says nothing of a loss that no clip has shown."""
    if quality.verdict != "not worse":
        return ""
    found = hidden(quality.hidden_share, quality.losing_clips, quality.clips)
    return f" ({found})" if found else ""


def _few(quality: Quality) -> str:
    return f" (few: {quality.clips} clip{'' if quality.clips == 1 else 's'})" if quality.few and quality.clips else ""


def _down(value: float, digits: int) -> str:
    # The tolerance keeps 4.6, arrived at as 1 / 0.217…, from becoming 4.5 or 4.7.
    return f"{floor(value * 10**digits + 1e-6) / 10**digits + 0.0:.{digits}f}"


def _up(value: float, digits: int) -> str:
    return f"{ceil(value * 10**digits - 1e-6) / 10**digits + 0.0:.{digits}f}"


def _whole(percent: float) -> str:
    return _up(percent, 0 if percent >= 10 else 1)


def _sign(value: float, digits: int) -> str:
    return _minus(f"{value:.{digits}f}")


def _minus(figure: str) -> str:
    """A figure with its sign, a true minus; '-0.0' is 0."""
    if float(figure) == 0:
        return figure.lstrip("-")
    return figure.replace("-", "−") if figure.startswith("-") else f"+{figure}"
