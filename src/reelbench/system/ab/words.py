"""A comparison of two systems in one sentence, and its exit code."""

from __future__ import annotations

from reelbench.comparison.records import Speed
from reelbench.comparison.sentence import speed_words
from reelbench.errors import EXIT_FAILED, EXIT_INCONCLUSIVE, EXIT_OK, EXIT_REGRESSION, EXIT_USAGE
from reelbench.system.ab.records import IN_BOTH, Judged, SystemComparison


def sentence(record: SystemComparison) -> str:
    """The whole answer."""
    if record.invalid or record.verdict == "invalid":
        return f"invalid: {record.invalid or 'the figures must not be used'}"
    if record.speed is None:
        return "nothing is decided: no pair was finished"
    pairs = record.speed.effect.pairs
    words = f"{pairs} pair{'' if pairs == 1 else 's'} of whole runs over {record.clips} clip{'' if record.clips == 1 else 's'}"
    return (
        f"{speed_words(record.speed, record.as_comparison(), words)}{_too_few(record.speed)}; {quality_words(record)}."
    )


def _too_few(speed: Speed) -> str:
    """Few pairs are never a verdict; the estimate is given for what it is."""
    if speed.effect.bounded or speed.verdict != "inconclusive":
        return ""
    times = speed.effect.ratio
    return (
        f"; these few came out at {1 / times:.3g}× as fast"
        if times < 1
        else f"; these few came out at {times:.3g}× as slow"
    )


def quality_words(record: SystemComparison) -> str:
    """How many analyzers are not worse, and which others are what."""
    judged = list(record.analyzers.values())
    if not judged:
        return "quality was not judged"
    good = sum(one.verdict == "not worse" for one in judged)
    parts = [f"quality not worse in {good} of {len(judged)} analyzers"]
    for verdict in ("worse", "underpowered"):
        names = [_named(one) for one in judged if one.verdict == verdict]
        if names:
            parts.append(f"{verdict} in {len(names)}: {', '.join(names)}")
    return "; ".join(parts)


def _named(one: Judged) -> str:
    if one.verdict != "worse" or one.quality.difference is None or one.quality.reason:
        return one.name  # for another reason than the metric, which would only confuse
    return f"{one.name} ({100 * one.quality.difference:+.1f} points)".replace("-", "−")


def exit_code(record: SystemComparison) -> int:
    """5 invalid; 1 slower, or quality worse in any analyzer; 3 inconclusive, or any underpowered; 5 something failed in both arms; 2 a
    clip was refused; else 0."""
    if record.invalid or record.verdict == "invalid":
        return EXIT_FAILED
    if record.verdict == "slower" or record.quality == "worse":
        return EXIT_REGRESSION
    if record.verdict in ("inconclusive", None) or record.quality in ("underpowered", None):
        return EXIT_INCONCLUSIVE
    if any(note.startswith(IN_BOTH) for note in record.notes):
        return EXIT_FAILED
    return EXIT_USAGE if record.refused else EXIT_OK
