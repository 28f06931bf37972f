"""Words against the words that were said."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from reelbench.corpus.clip import Truth
from reelbench.quality.base import Outcome, Scores, collect
from reelbench.results import AnalyzerResult

Word = tuple[str, float]
"""Normalised, and its start in seconds."""
_NOT_LETTERS = re.compile(r"[^\w']+")


@dataclass(frozen=True, slots=True)
class _Tally:
    edits: int = 0
    words: int = 0
    off_s: float = 0.0
    aligned: int = 0

    def __add__(self, other: _Tally) -> _Tally:
        return _Tally(
            self.edits + other.edits, self.words + other.words, self.off_s + other.off_s, self.aligned + other.aligned
        )


class TranscriptQuality:
    """``word_accuracy`` is 1 - word error rate (substitutions, insertions and deletions over the words said), not below 0; a clip
    in which nothing is said has 1 or, where words are found, 0. ``wer`` is the rate itself; ``word_start_mae`` the mean absolute
    error in seconds of the starts of the words that are right.

    Words are compared in lower case, without punctuation, in Unicode's NFKC; numbers are not spelled out."""

    primary = "word_accuracy"
    complete = True
    primary_name = "word accuracy"
    also: ClassVar[dict[str, str]] = {"word_start_mae": "less"}

    def against_truth(self, results: Mapping[str, AnalyzerResult], truths: Mapping[str, Truth]) -> Scores:
        absent: dict[str, str] = {}
        clips: dict[str, _Tally] = {}
        for clip, truth in truths.items():
            if truth.words is None:
                absent[clip] = "its ground truth says nothing of words"
            elif clip not in results:
                absent[clip] = "has no result"
            else:
                said = [(word, one.start_s) for one in truth.words for word in normalised(one.text)]
                clips[clip] = _compared(said, found_words(results[clip]))
        return _scores(clips, absent, "")

    def agreement(self, results: Mapping[str, AnalyzerResult], reference: Mapping[str, AnalyzerResult]) -> Scores:
        absent = {clip: "has no result" for clip in reference if clip not in results}
        clips = {
            clip: _compared(found_words(other), found_words(results[clip]))
            for clip, other in reference.items()
            if clip in results
        }
        return _scores(clips, absent, "agreement_")


def normalised(text: str) -> list[str]:
    """The words of a text as they are compared."""
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").casefold()
    return [word.strip("'") for word in _NOT_LETTERS.sub(" ", plain).split() if word.strip("'")]


def found_words(result: AnalyzerResult) -> list[Word]:
    return [
        (word, event.start_s)
        for event in result.events
        if event.label == "word"
        for word in normalised(event.text or "")
    ]


def _compared(said: Sequence[Word], found: Sequence[Word]) -> _Tally:
    from rapidfuzz.distance import Levenshtein

    a, b = [word for word, _ in said], [word for word, _ in found]
    off_s, aligned = 0.0, 0
    for block in Levenshtein.opcodes(a, b):
        if block.tag == "equal":
            for i, j in zip(
                range(block.src_start, block.src_end), range(block.dest_start, block.dest_end), strict=True
            ):
                off_s, aligned = off_s + abs(said[i][1] - found[j][1]), aligned + 1
    return _Tally(Levenshtein.distance(a, b), len(a), off_s, aligned)


def _scores(clips: Mapping[str, _Tally], absent: Mapping[str, str], prefix: str) -> Scores:
    pooled = sum(clips.values(), _Tally())
    return collect(_outcome(pooled, prefix), {clip: _outcome(tally, prefix) for clip, tally in clips.items()}, absent)


def _outcome(tally: _Tally, prefix: str) -> Outcome:
    metrics: dict[str, float] = {}
    absent: dict[str, str] = {}
    if tally.words:
        metrics["wer"] = tally.edits / tally.words
        metrics["word_accuracy"] = max(0.0, 1 - metrics["wer"])
    else:
        metrics["word_accuracy"] = 0.0 if tally.edits else 1.0
        absent["wer"] = "nothing is said"
    if tally.aligned:
        metrics["word_start_mae"] = tally.off_s / tally.aligned
    else:
        absent["word_start_mae"] = "no word is right"
    return {prefix + name: value for name, value in metrics.items()}, {
        prefix + name: why for name, why in absent.items()
    }
