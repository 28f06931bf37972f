"""The quality of overlay texts: against ground truth, and as agreement with a reference variant (docs/text_overlay.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from reelbench.corpus.clip import Truth
from reelbench.errors import ConfigError
from reelbench.quality.base import Outcome, Scores, collect, rates
from reelbench.results import AnalyzerResult
from reelbench.settings import Share

AGAINST_TRUTH = ("event_f1", "event_precision", "event_recall", "cer")
AGREEMENT = ("agreement_f1", "agreement_precision", "agreement_recall")


@dataclass(frozen=True, slots=True)
class Text:
    """A text from ``start_s`` to ``end_s``, as it is compared: case and the kind of white space do not count."""

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one clip or several: texts that are right, wrong (found only) and missed; characters of the truth and edits to get there."""

    right: int = 0
    wrong: int = 0
    missed: int = 0
    characters: int = 0
    edits: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.right + other.right,
            self.wrong + other.wrong,
            self.missed + other.missed,
            self.characters + other.characters,
            self.edits + other.edits,
        )


class TextQuality:
    """F1 of overlay texts, and their character error rate.

    A found text is right when its normalised edit similarity to the expected one is at least ``similarity`` and their intervals overlap
    by at least ``overlap`` (IoU); each is matched at most once, so that as many as possible are. Raises ConfigError where one of the
    two makes no sense.
    """

    primary = "event_f1"
    complete = True
    primary_name = "event F1"
    also: ClassVar[dict[str, str]] = {"cer": "less"}

    def __init__(self, similarity: Share = 0.8, overlap: Share = 0.5) -> None:
        for name, value in (("similarity", similarity), ("overlap", overlap)):
            if not 0 < value <= 1:
                raise ConfigError(f"quality.{name} must lie above 0 and at most at 1, not {value}")
        self.similarity = similarity
        self.overlap = overlap

    def against_truth(self, results: Mapping[str, AnalyzerResult], truths: Mapping[str, Truth]) -> Scores:
        """Score the clips that ``truths`` holds; ``overall`` pools all their texts. Keys of ``absent``: a clip that was not scored at
        all, a metric (overall), or ``<clip>/<metric>``."""
        absent: dict[str, str] = {}
        counts: dict[str, Counts] = {}
        for name in sorted(truths):
            overlays = truths[name].overlays
            if overlays is None:
                absent[name] = "its ground truth says nothing about overlay texts"
            elif name not in results:
                absent[name] = "no result"
            else:
                expected = [Text(one.start_s, one.end_s, _plain(one.text)) for one in overlays if one.text]
                counts[name] = self._count(expected, _found(results[name]))
        if not counts:
            return Scores(absent={**absent, **dict.fromkeys(AGAINST_TRUTH, "no clip has a result and ground truth")})
        outcomes = {name: _score(one) for name, one in counts.items()}
        return collect(_score(sum(counts.values(), Counts())), outcomes, absent)

    def agreement(self, results: Mapping[str, AnalyzerResult], reference: Mapping[str, AnalyzerResult]) -> Scores:
        """Score the clips that ``reference`` holds, its texts taken for truth. ``absent`` as in `against_truth`."""
        absent = {name: "no result" for name in sorted(reference) if name not in results}
        counts = {
            name: self._count(_found(reference[name]), _found(results[name]))
            for name in sorted(reference)
            if name in results
        }
        if not counts:
            return Scores(absent={**absent, **dict.fromkeys(AGREEMENT, "no clip has a result in both variants")})
        outcomes = {name: _agree(one) for name, one in counts.items()}
        return collect(_agree(sum(counts.values(), Counts())), outcomes, absent)

    def _count(self, expected: Sequence[Text], found: Sequence[Text]) -> Counts:
        alike = [[_similarity(a.text, b.text) for b in found] for a in expected]
        shared = [[_overlap(a, b) for b in found] for a in expected]
        fits = [
            # A pair that is right counts for more than any number of better fits that are not.
            [
                1.0 + 1e-3 * (s + o) if s >= self.similarity and o >= self.overlap else 0.0
                for s, o in zip(*rows, strict=True)
            ]
            for rows in zip(alike, shared, strict=True)
        ]
        right = len(_assigned(fits))
        # For the error rate, texts of the same time are matched by what they say alone: a wrong text is an error, not a miss.
        said = [
            [s + 1e-3 if o > 0 else 0.0 for s, o in zip(*rows, strict=True)] for rows in zip(alike, shared, strict=True)
        ]
        partner = dict(_assigned(said))
        edits = sum(
            _edits(text.text, found[partner[at]].text if at in partner else "") for at, text in enumerate(expected)
        )
        characters = sum(len(text.text) for text in expected)
        return Counts(right, len(found) - right, len(expected) - right, characters, edits)


def _found(result: AnalyzerResult) -> list[Text]:
    return [Text(one.start_s, one.end_s, _plain(one.text)) for one in result.events if one.text]


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _assigned(fits: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Rows to columns, each once, so that the sum is largest; without the pairs that fit not at all."""
    if not fits or not fits[0]:
        return []
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(np.asarray(fits), maximize=True)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if fits[row][column] > 0]


def _similarity(a: str, b: str) -> float:
    """1 minus the edit distance (Levenshtein) over the longer text's length."""
    from rapidfuzz.distance import Levenshtein

    return float(Levenshtein.normalized_similarity(a, b))


def _edits(a: str, b: str) -> int:
    """Edits that turn ``b`` into ``a``, at most as many as ``a`` has characters: a wrong text is no worse than none."""
    from rapidfuzz.distance import Levenshtein

    return min(len(a), int(Levenshtein.distance(a, b)))


def _overlap(a: Text, b: Text) -> float:
    """Intersection over union of two intervals; two equal instants overlap wholly."""
    shared = min(a.end_s, b.end_s) - max(a.start_s, b.start_s)
    whole = max(a.end_s, b.end_s) - min(a.start_s, b.start_s)
    if whole == 0:
        return 1.0
    return max(0.0, shared) / whole


def _score(counts: Counts) -> Outcome:
    metrics = {f"event_{name}": value for name, value in rates(counts.right, counts.wrong, counts.missed).items()}
    if counts.characters:
        metrics["cer"] = counts.edits / counts.characters
    reasons = {
        "event_f1": "there is no overlay text, and none was found",
        "event_precision": "no text was found",
        "event_recall": "its ground truth holds no overlay text",
        "cer": "its ground truth holds no overlay text",
    }
    return metrics, {name: why for name, why in reasons.items() if name not in metrics}


def _agree(counts: Counts) -> Outcome:
    found = rates(counts.right, counts.wrong, counts.missed)
    metrics = {f"agreement_{name}": found[name] for name in ("f1", "precision", "recall") if name in found}
    reasons = {
        "agreement_f1": "neither variant finds any text, so nothing was compared",
        "agreement_precision": "this variant finds no text",
        "agreement_recall": "the reference finds no text",
    }
    return metrics, {name: why for name, why in reasons.items() if name not in metrics}
