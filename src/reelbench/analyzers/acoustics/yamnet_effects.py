"""Single sounds from the scores of YAMNet; when each begins is measured in the sound itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reelbench.analyzers.acoustics.sounds import Sounds, named, top
from reelbench.analyzers.acoustics.spectrum import Numbers, Sound, Spectrum, flux, measured
from reelbench.analyzers.acoustics.yamnet import RATE, Heard, Hearing, lasting
from reelbench.results import Event

_WINDOW, _HOP = 512, 160
_RISE_DB = 6.0
"""By how much the strongest rise stands out from the median one; a sound that swells has none that does."""


def events(
    heard: Heard, sound: Sound, sounds: Sounds, names: Sequence[str], how: Hearing, duration_s: float
) -> list[Event]:
    """Ascending in time. ``within_s`` is how exactly the start is known: what patches are apart where no onset stands out."""
    spans = [
        (group, best, first, last)
        for group in named(sounds.effects)
        for best in (group.best(heard.scores),)
        for first, last in lasting(best, how)
    ]
    rises = _rises(sound) if spans else np.zeros(0, np.float32)
    found = []
    for group, best, first, last in spans:
        start, end = heard.span(first, last, duration_s)
        onset = _onset(rises, *heard.window(first))
        within = heard.hop_s if onset is None else _HOP / RATE
        start = start if onset is None else min(onset, duration_s)
        attributes = {
            "classes": top(names, heard.scores[first:last], group.members, how.top),
            "within_s": round(within, 3),
        }
        found.append(
            Event(
                start_s=start,
                end_s=max(start, end),
                label=group.name,
                score=float(np.clip(best[first:last].max(), 0, 1)),
                attributes=attributes,
            )
        )
    return sorted(found, key=lambda one: (one.start_s, one.label))


def _rises(sound: Sound) -> Numbers:
    """The strength of an onset every 10 ms, in dB."""
    return flux(measured(sound, RATE, _WINDOW, _HOP, Spectrum.bands_db)[0])


def _onset(rises: Numbers, start_s: float, end_s: float) -> float | None:
    """The first rise between two instants that is at least half as strong as the strongest, for the end of a sound can be as abrupt
    as its start; None where none stands out."""
    per_s = RATE / _HOP
    first = int(start_s * per_s)
    part = rises[first : int(end_s * per_s) + 1]
    usual = float(np.median(part)) if len(part) else 0.0
    if not len(part) or part.max() < usual + _RISE_DB:
        return None
    at = int(np.argmax(part >= (usual + part.max()) / 2))
    while at + 1 < len(part) and part[at + 1] > part[at]:
        at += 1
    return (first + at) / per_s
