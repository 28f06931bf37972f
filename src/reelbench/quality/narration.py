"""The quality of a narration: how varied it is and how much of the clip it covers, and how far it says what a reference variant says.

No ground truth of a clip says in words what happens, so nothing here judges whether a sentence is true. The first four metrics need no
truth at all: they catch the known failure, a network that says one sentence again and again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from reelbench.corpus.clip import Truth
from reelbench.quality.base import Scores
from reelbench.results import AnalyzerResult, Event

OWN = ("distinct_segments", "covered", "retried_share", "repeated_share")
AGREEMENT = ("agreement_text_f1", "agreement_same_share")
NOTHING = "nothing was said"


class NarrationQuality:
    """``distinct_segments``: different texts over all texts (case and punctuation aside). ``covered``: the share of the clip that has
    a text. ``retried_share`` and ``repeated_share``: texts that were tried again, and that repeat all the same.

    Agreement is weighted by time: ``agreement_text_f1`` is the mean F1 of words where the reference speaks, ``agreement_same_share``
    the share of that time with the very same text. Overall figures pool the clips: texts count alike, and so do seconds.
    """

    primary = "distinct_segments"
    primary_name = "distinct segments"
    guards: ClassVar[dict[str, str]] = {"covered": "more", "repeated_share": "less"}
    """One sentence in all is as distinct as can be; what is left untold does not show."""

    def against_truth(self, results: Mapping[str, AnalyzerResult], truths: Mapping[str, Truth]) -> Scores:
        """The metrics that need no truth, for the clips that ``truths`` holds."""
        return self._own(results, truths)

    def agreement(self, results: Mapping[str, AnalyzerResult], reference: Mapping[str, AnalyzerResult]) -> Scores:
        """Agreement with ``reference``, and the metrics that need no truth, for the clips that ``reference`` holds."""
        own = self._own(results, reference)
        absent = dict(own.absent)
        clips: dict[str, tuple[float, float, float]] = {}
        for name in sorted(reference):
            if name not in results:
                continue
            compared = _compare(results[name], reference[name])
            if not compared[0]:
                absent |= {f"{name}/{metric}": "the reference says nothing there" for metric in AGREEMENT}
            else:
                clips[name] = compared
        per_clip = {
            name: {**metrics, **(_rates(clips[name]) if name in clips else {})}
            for name, metrics in own.per_clip.items()
        }
        if not clips:
            return Scores(own.overall, per_clip, {**absent, **dict.fromkeys(AGREEMENT, "no clip can be compared")})
        seconds, common, same = (float(sum(column)) for column in zip(*clips.values(), strict=True))
        return Scores({**own.overall, **_rates((seconds, common, same))}, per_clip, absent)

    def _own(self, results: Mapping[str, AnalyzerResult], clips: Mapping[str, object]) -> Scores:
        absent = {name: "no result" for name in sorted(clips) if name not in results}
        scored = {name: results[name] for name in sorted(clips) if name in results}
        if not scored:
            return Scores(absent={**absent, **dict.fromkeys(OWN, "no clip has a result")})
        counted = {name: _count(result) for name, result in scored.items()}
        per_clip = {name: _shares(counts) for name, counts in counted.items()}
        overall = _shares(np.sum(list(counted.values()), axis=0))
        for name, metrics in per_clip.items():
            absent |= {f"{name}/{metric}": NOTHING for metric in OWN if metric not in metrics}
        absent |= {metric: NOTHING for metric in OWN if metric not in overall}
        return Scores(overall=overall, per_clip=per_clip, absent=absent)


def normal(text: str | None) -> str:
    """A text without case, punctuation and extra spaces."""
    return " ".join(re.findall(r"\w+", (text or "").lower()))


def text_f1(one: str, other: str) -> float:
    """F1 of the words with their counts, 0…1; 1 for two empty texts."""
    a, b = Counter(one.split()), Counter(other.split())
    both = a.total() + b.total()
    return 2 * (a & b).total() / both if both else 1.0


def _spoken(result: AnalyzerResult) -> list[Event]:
    return [event for event in result.events if normal(event.text)]


def _count(result: AnalyzerResult) -> np.ndarray:
    """(texts, different texts, retried, repeated, covered seconds, the clip's seconds)."""
    spoken = _spoken(result)
    texts = [normal(event.text) for event in spoken]
    retried = sum(bool(event.attributes.get("retries")) for event in spoken)
    repeated = sum(bool(event.attributes.get("repeats")) for event in spoken)
    covered = _covered(spoken)
    return np.array([len(texts), len(set(texts)), retried, repeated, covered, result.duration_s], np.float64)


def _covered(spoken: list[Event]) -> float:
    """Seconds that at least one of the events covers."""
    total, until = 0.0, 0.0
    for start, end in sorted((event.start_s, event.end_s) for event in spoken):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def _shares(counts: np.ndarray) -> dict[str, float]:
    texts, different, retried, repeated, covered, duration = (float(count) for count in counts)
    shares = {"covered": min(covered / duration, 1.0)} if duration else {}
    if texts:
        shares |= {"distinct_segments": different / texts}
        shares |= {"retried_share": retried / texts, "repeated_share": repeated / texts}
    return shares


def _compare(result: AnalyzerResult, reference: AnalyzerResult) -> tuple[float, float, float]:
    """(seconds in which the reference speaks, seconds × F1, seconds with the same text)."""
    seconds = common = same = 0.0
    spoken = _spoken(result)
    for expected in _spoken(reference):
        seconds += expected.end_s - expected.start_s
        text = normal(expected.text)
        for event in spoken:
            shared = min(event.end_s, expected.end_s) - max(event.start_s, expected.start_s)
            if shared > 0:
                common += shared * text_f1(normal(event.text), text)
                same += shared * (normal(event.text) == text)
    return seconds, common, same


def _rates(compared: tuple[float, float, float]) -> dict[str, float]:
    seconds, common, same = compared
    return {"agreement_text_f1": min(common / seconds, 1.0), "agreement_same_share": min(same / seconds, 1.0)}
