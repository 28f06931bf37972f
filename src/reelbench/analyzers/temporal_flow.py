"""temporal_flow: hook, body and call to action of a clip, and its pacing, from what the other analyzers found.

A short video opens with a hook, tells its story and often ends with a call to action. Where one part ends is not in the picture
alone: the candidates are changes of scene, cuts, ends of sentences and overlays; the strongest within reach of where a hook usually
ends is taken, and the call to action begins with the calls of the clip's second half. A heuristic, with its evidence in the
attributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reelbench.analyzers.base import Material, Needs, Plain
from reelbench.analyzers.calls.sentences import sentences
from reelbench.engines.base import Evidence
from reelbench.errors import ConfigError
from reelbench.results import AnalyzerResult, Event

NAME = "temporal_flow"
_STRENGTH = {"scene": 1.0, "cut": 0.7, "sentence": 0.5, "overlay": 0.4}
_SNAP_S = 1.0
_TRANSITIONS = ("cut", "fade", "dissolve")
UPSTREAM = (
    "cut_analysis", "scene_segmentation", "speech_transcription", "text_overlay", "comment_cta_detection",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Candidate:
    at_s: float
    kind: str

    @property
    def strength(self) -> float:
        return _STRENGTH[self.kind]


class TemporalFlow(Plain):
    """``hook_s`` (earliest, usual, latest): where a hook ends, in seconds; in a short clip at most ``hook_share`` of it.
    ``call_from``: calls that start before this share of the clip are part of the body."""

    needs = Needs(upstream_if_any=UPSTREAM)

    def __init__(
        self, hook_s: Sequence[float] = (1.5, 3.0, 6.0), hook_share: float = 0.4, call_from: float = 0.5
    ) -> None:
        if len(hook_s) != 3 or not 0 < hook_s[0] <= hook_s[1] <= hook_s[2]:
            raise ConfigError("analyzer.hook_s wants three ascending numbers above 0: earliest, usual, latest")
        if not 0 < hook_share < 1 or not 0 < call_from < 1:
            raise ConfigError("analyzer.hook_share and call_from lie between 0 and 1")
        self._earliest, self._usual, self._latest = (float(value) for value in hook_s)
        self._hook_share, self._call_from = hook_share, call_from

    def analyze(self, material: Material) -> AnalyzerResult:
        """A clip of which nobody upstream said anything has no structure."""
        duration, given = material.info.duration_s, material.upstream
        with material.phases("infer"):
            heard = any(result.events for result in given.values())
            events = self._structure(given, duration) if heard and duration > 0 else []
        return AnalyzerResult(analyzer=NAME, clip=material.clip, duration_s=duration, events=tuple(events))

    def evidence(self) -> Evidence:
        return Evidence("rules", "CPU", "none", "1", details={"upstream": list(UPSTREAM)})

    def _structure(self, given: Mapping[str, AnalyzerResult], duration: float) -> list[Event]:
        candidates = _candidates(given)
        call_s, call = self._call(given, candidates, duration)
        hook_s, hook = self._hook(candidates, min(duration, call_s if call_s is not None else duration))
        body_end = call_s if call_s is not None else duration
        spans: list[tuple[float, float, str, dict[str, Any]]] = [(0.0, hook_s, "hook", {"ends_with": hook})]
        if hook_s < body_end:
            spans.append((hook_s, body_end, "body", {}))
        if call_s is not None and call_s < duration:
            spans.append((call_s, duration, "call_to_action", {"calls": call}))
        return [
            Event(
                start_s=start,
                end_s=end,
                label=label,
                score=_STRENGTH.get(hook, 0.2) if label == "hook" else 0.5,
                attributes=known | _pacing(given, start, end),
            )
            for start, end, label, known in spans
            if end > start
        ]

    def _hook(self, candidates: Sequence[_Candidate], duration: float) -> tuple[float, str]:
        """Where it ends, and with what; the strongest candidate within reach, the nearer to the usual end among equals."""
        latest = min(self._latest, self._hook_share * duration)
        within = [one for one in candidates if min(self._earliest, latest) <= one.at_s <= latest]
        if not within:
            return min(self._usual, latest), "nothing"
        best = max(within, key=lambda one: (one.strength, -abs(one.at_s - self._usual)))
        return best.at_s, best.kind

    def _call(
        self, given: Mapping[str, AnalyzerResult], candidates: Sequence[_Candidate], duration: float
    ) -> tuple[float | None, list[str]]:
        """Where the call to action begins: at the first call of the later part, or with the scene or cut just before it."""
        calls = [
            event for event in _events(given, "comment_cta_detection") if event.start_s >= self._call_from * duration
        ]
        if not calls:
            return None, []
        first = min(event.start_s for event in calls)
        before = [one for one in candidates if one.kind in ("scene", "cut") and 0 <= first - one.at_s <= _SNAP_S]
        start = max(before, key=lambda one: (one.strength, one.at_s)).at_s if before else first
        return start, sorted({event.label for event in calls})


def _candidates(given: Mapping[str, AnalyzerResult]) -> list[_Candidate]:
    found = [
        _Candidate(event.start_s, "scene") for event in _events(given, "scene_segmentation") if event.label == "scene"
    ]
    found += [
        _Candidate((event.start_s + event.end_s) / 2, "cut")
        for event in _events(given, "cut_analysis")
        if event.label in _TRANSITIONS
    ]
    for sentence in sentences(given, "speech_transcription", "text_overlay"):
        found.append(_Candidate(sentence.end_s, "sentence" if sentence.source == "speech" else "overlay"))
    return sorted((one for one in found if one.at_s > 0), key=lambda one: (one.at_s, -one.strength))


def _pacing(given: Mapping[str, AnalyzerResult], start_s: float, end_s: float) -> dict[str, Any]:
    """Cuts and words a minute of this part; left out where nobody upstream looked or listened."""
    minutes = (end_s - start_s) / 60
    counts = {
        "cuts_per_min": ("cut_analysis", _TRANSITIONS),
        "words_per_min": ("speech_transcription", ("word",)),
    }
    return {
        name: round(
            sum(start_s <= event.start_s < end_s for event in _events(given, source) if event.label in labels)
            / minutes,
            2,
        )
        for name, (source, labels) in counts.items()
        if source in given
    }


def _events(given: Mapping[str, AnalyzerResult], name: str) -> Sequence[Event]:
    return given[name].events if name in given else ()
