"""When there is speech, music, noise or silence, and where, from the scores of YAMNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from reelbench.analyzers.acoustics.sounds import Named, Sounds, named, top
from reelbench.analyzers.acoustics.spectrum import runs
from reelbench.analyzers.acoustics.yamnet import Heard, Hearing, lasting
from reelbench.results import Event

_SILENCE = "silence"
_PLACE_LEAST = 0.05
"""The mean score that a place needs: YAMNet is rarely sure of one."""


def events(heard: Heard, sounds: Sounds, names: Sequence[str], how: Hearing, duration_s: float) -> list[Event]:
    """Ascending in time. Groups may sound at once; silence is what the network calls so, or never asked about, where no other does."""
    groups = {group.name: group for group in named(sounds.environment)}
    places = named(sounds.places)
    found, sounding = [], np.zeros(len(heard.scores), bool)
    for name, group in groups.items():
        if name != _SILENCE:
            for first, last in lasting(group.best(heard.scores), how):
                sounding[first:last] = True
                found.append(_event(heard, group, places, names, how, (first, last), duration_s))
    quiet = ~heard.asked
    for first, last in lasting(groups[_SILENCE].best(heard.scores), how):
        quiet[first:last] = True
    found += [_event(heard, groups[_SILENCE], (), names, how, span, duration_s) for span in runs(quiet & ~sounding)]
    return sorted((one for one in found if one.end_s > one.start_s), key=lambda one: (one.start_s, one.label))


def _event(
    heard: Heard,
    group: Named,
    places: Sequence[Named],
    names: Sequence[str],
    how: Hearing,
    patches: tuple[int, int],
    duration_s: float,
) -> Event:
    scores = heard.scores[slice(*patches)]
    start, end = heard.span(*patches, duration_s)
    attributes: dict[str, Any] = {"level_db": round(float(np.median(heard.level_db[slice(*patches)])), 1)}
    if group.name != _SILENCE:
        attributes["classes"] = top(names, scores, group.members, how.top)
    means = {place.name: float(place.best(scores).mean()) for place in places}
    if means and max(means.values()) >= _PLACE_LEAST:
        attributes["place"] = max(means, key=lambda name: means[name])
        attributes |= {f"{name}_score": round(mean, 3) for name, mean in means.items()}
    # Silence that the network was not asked about is certain.
    asked = heard.asked[slice(*patches)]
    best = np.where(asked, group.best(scores), 1.0 if group.name == _SILENCE else 0.0)
    return Event(
        start_s=start, end_s=end, label=group.name, score=float(np.clip(best.mean(), 0, 1)), attributes=attributes
    )
