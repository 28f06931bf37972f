"""The worst frames of B: the instants at which it misses or invents what A does not, on the clips where its score fell most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from reelbench.bench.records import ClipRecord
from reelbench.corpus.clip import Truth
from reelbench.corpus.folder import truth_beside
from reelbench.encoding import path_of
from reelbench.errors import AnalyzerError, InputError
from reelbench.quality.instants import Seen, expected_of, found_at, grid, looked_at
from reelbench.quality.matching import overlap
from reelbench.report.ab_data import ComparisonData
from reelbench.report.thumbnails import LONGEST_S, SampledFrame, frames_at_apart
from reelbench.results import AnalyzerResult

INSTANTS = 4
PER_CLIP = 2
CLIPS = 8
"""At most so many clips are searched."""
APART_S = 1.5
"""Between two instants of a clip, so that they do not show the same twice."""
SCORE = 0.5
"""Boxes below it are not held against an arm …"""
FAINT = 0.3
"""… and one that the other arm sees at least so surely is not called missed: 0.49 against 0.51 is no error worth a picture."""
IOU = 0.5
PER_S = 5.0
"""Instants a second that are looked at where the truth or the sampling does not name any."""


@dataclass(frozen=True, slots=True)
class Instant:
    """``missed``: what B misses though A finds it; ``invented``: what B finds though it is not there and A does not find it."""

    t_s: float
    missed: tuple[str, ...]
    invented: tuple[str, ...]

    @property
    def score(self) -> int:
        return len(self.missed) + len(self.invented)


@dataclass(frozen=True, slots=True)
class WorstFrame:
    """One instant with both arms' pictures of it. ``against_truth``: what is missed and invented was judged by ground truth."""

    clip: str
    instant: Instant
    against_truth: bool
    a: SampledFrame
    b: SampledFrame


@dataclass(slots=True)
class WorstFrames:
    """``problems``: one line for each clip that has such instants but no pictures, and why."""

    shown: list[WorstFrame] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    searched: int = 0


def worst_frames(data: ComparisonData) -> WorstFrames:
    """Up to `INSTANTS` instants, at most `PER_CLIP` of a clip; nothing where B does no worse than A at any."""
    found = WorstFrames()
    if data.a is None or data.b is None:
        return found
    for clip in candidates(data)[:CLIPS]:
        if len(found.shown) >= INSTANTS:
            break
        found.searched += 1
        path = path_of(clip.path)
        results = (data.a.results[clip.name], data.b.results[clip.name])
        try:
            truth = truth_beside(path, path.parent)
            instants = worst_instants(*results, truth, min(PER_CLIP, INSTANTS - len(found.shown)))
            if not instants:
                continue
            if not path.is_file():
                found.problems.append(
                    f"{clip.name}: the clip is no longer at {path}, so its worst frames cannot be shown"
                )
                continue
            pictures = frames_at_apart(path, [instant.t_s for instant in instants], results, truth)
        except (InputError, AnalyzerError) as error:
            found.problems.append(f"{clip.name}: {error.message}")
            continue
        known = truth is not None and truth.objects is not None
        found.shown += [
            WorstFrame(clip.name, instant, known, _clear(a), _clear(b))
            for instant, (a, b) in zip(instants, pictures, strict=False)
        ]
    return found


def _clear(frame: SampledFrame) -> SampledFrame:
    """Without the faintest boxes, which hide what matters."""
    return replace(frame, found=tuple(box for box in frame.found if box.score is None or box.score >= FAINT))


def candidates(data: ComparisonData) -> list[ClipRecord]:
    """The clips that both arms have a result of: largest fall of the score first, then least agreement."""
    assert data.a is not None
    assert data.b is not None
    quality = data.record.quality
    falls = {clip: found.b - found.a for clip, found in quality.per_clip.items()} if quality else {}
    agreement = quality.agreement_per_clip if quality else {}
    common = [clip for clip in data.a.record.clips if clip.name in data.a.results and clip.name in data.b.results]
    differ = [clip for clip in common if data.a.results[clip.name].events != data.b.results[clip.name].events]
    return sorted(differ, key=lambda clip: (falls.get(clip.name, 0.0), agreement.get(clip.name, 1.0), clip.name))


def worst_instants(a: AnalyzerResult, b: AnalyzerResult, truth: Truth | None, count: int) -> list[Instant]:
    """Up to ``count`` instants, at least `APART_S` apart, in the order of time.

    Judged by the boxes of the truth; where there is none, A is taken for right; where there are no boxes at all, by labels and
    texts. Only the first two minutes are searched: a page must not decode an hour of video.
    """
    judged = _by_truth(a, b, truth) if truth is not None and truth.objects is not None else _by_a(a, b)
    chosen: list[Instant] = []
    for instant in sorted(judged, key=lambda one: (-one.score, one.t_s)):
        if len(chosen) == count or instant.score == 0:
            break
        if all(abs(instant.t_s - other.t_s) >= APART_S for other in chosen):
            chosen.append(instant)
    return sorted(chosen, key=lambda one: one.t_s)


def _by_truth(a: AnalyzerResult, b: AnalyzerResult, truth: Truth) -> list[Instant]:
    frames = [frame for frame in truth.objects or () if frame.t_s <= min(LONGEST_S, a.duration_s)]
    if truth.objects == ():  # known to hold nothing
        times = [t for t in grid(a.duration_s, PER_S) if t <= LONGEST_S]
        expected: list[tuple[Seen, ...]] = [() for _ in times]
    else:
        times = [frame.t_s for frame in frames]
        expected = [expected_of(frame) for frame in frames]
    pairs = zip(found_at(a, times), found_at(b, times), strict=True)
    return [_judge(t, right, *found) for t, right, found in zip(times, expected, pairs, strict=True)]


def _by_a(a: AnalyzerResult, b: AnalyzerResult) -> list[Instant]:
    times = sorted(t for t in looked_at(a, PER_S) if t <= LONGEST_S)
    if any(event.box is not None for event in (*a.events, *b.events)):
        pairs = zip(times, found_at(a, times), found_at(b, times), strict=True)
        return [_judge(t, _sure(in_a), in_a, in_b) for t, in_a, in_b in pairs]
    return [_by_words(t, a, b) for t in times]


def _sure(boxes: Sequence[Seen], score: float = SCORE) -> list[Seen]:
    return [box for box in boxes if box.score >= score]


def _judge(t_s: float, expected: Sequence[Seen], in_a: Sequence[Seen], in_b: Sequence[Seen]) -> Instant:
    judged = [one for one in expected if not one.ignore]
    sure_a, sure_b, faint_a, faint_b = _sure(in_a), _sure(in_b), _sure(in_a, FAINT), _sure(in_b, FAINT)
    missed = [one.label for one in judged if _has(sure_a, one) and not _has(faint_b, one)]
    invented = [one.label for one in sure_b if not _has(expected, one) and not _has(faint_a, one)]
    return Instant(t_s, tuple(missed), tuple(invented))


def _has(boxes: Sequence[Seen], wanted: Seen) -> bool:
    return any(box.label == wanted.label and overlap(box.box, wanted.box) >= IOU for box in boxes)


def _by_words(t_s: float, a: AnalyzerResult, b: AnalyzerResult) -> Instant:
    in_a, in_b = (_words(result, t_s) for result in (a, b))
    return Instant(t_s, tuple(sorted((in_a - in_b).elements())), tuple(sorted((in_b - in_a).elements())))


def _words(result: AnalyzerResult, t_s: float) -> Counter[str]:
    """What is going on at an instant, in words."""
    active = (event for event in result.events if event.start_s <= t_s < event.end_s or event.start_s == t_s)
    return Counter(f"{event.label} “{event.text}”" if event.text else event.label for event in active)
