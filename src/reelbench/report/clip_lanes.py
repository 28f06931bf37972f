"""From a clip's output to what its page draws: one lane of events for each analyzer, their colours, the transcript in lines."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reelbench.report.render import flat
from reelbench.report.wording import number, percent
from reelbench.results import Event
from reelbench.system.outputs.cues import SEGMENT, SPEECH, WORD, shown_lines, word_groups
from reelbench.system.outputs.records import ClipOutput, Done, NotDone

WHOLE = "clip"
"""The label of an event that holds the figures of the whole clip: shown as a table, not as a bar."""

LUMINANCE = 0.25
"""The relative luminance of every lane's colour (WCAG 2): at least 3:1 against both backgrounds, and 4.5:1 under the dark ink."""

_NARROWEST = 0.5
_LABEL_PX, _LETTER_PX, _LETTERS = 8.0, 7.5, 6
"""A label is shown where its first letters fit on a lane of some 800 pixels, 8 a percent."""

_TALL, _LOW, _GAP = 20, 13, 2
_ROWS_TALL = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """An event on its lane. ``x`` and ``width`` in percent of the lane, ``y`` in pixels; ``index`` counts the events of the page."""

    index: int
    x: float
    width: float
    y: int
    label: str
    tip: str


@dataclass(frozen=True, slots=True)
class Lane:
    """``problem`` is why the analyzer did not finish; empty where it did. ``figures`` are the rows of its whole-clip events."""

    index: int
    name: str
    variant: str
    status: str
    problem: str
    mend: str
    colour: str
    height: int
    row: int
    bars: list[Bar]
    figures: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the transcript: its time, and its words as (index of the event, text)."""

    start_s: float
    words: list[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Timeline:
    """``events`` are those of all lanes with the number of their lane; bars and lines refer to them by index."""

    duration_s: float
    lanes: list[Lane]
    events: list[tuple[int, Event]]
    lines: list[Line]
    silent: str

    def data(self, size: tuple[int, int]) -> dict[str, Any]:
        """What the page's script is given. Times are rounded to milliseconds, pixels to tenths."""
        speech = next((lane.index for lane in self.lanes if lane.name == SPEECH), -1)
        return {
            "duration": self.duration_s,
            "size": list(size),
            "lanes": [{"name": lane.name, "colour": lane.colour} for lane in self.lanes],
            "speech": speech,
            "events": [_packed(lane, event) for lane, event in self.events],
        }


def timeline(clip: ClipOutput) -> Timeline:
    """Everything that happens in ``clip``. Raises nothing: an analyzer that did not finish is a lane that says so."""
    ends = [e.end_s for found in clip.analyzers.values() if isinstance(found, Done) for e in found.events]
    duration = max([clip.clip.duration_s or 0.0, *ends]) or 1.0
    lanes: list[Lane] = []
    events: list[tuple[int, Event]] = []
    for index, (name, found) in enumerate(clip.analyzers.items()):
        shown = [] if isinstance(found, NotDone) else sorted(found.events, key=lambda e: (e.start_s, e.end_s))
        bars = [event for event in shown if event.label != WHOLE]
        figures = [row for event in shown if event.label == WHOLE for row in flat(event.attributes)]
        lanes.append(_lane(index, name, found, bars, figures, duration, len(events)))
        events += [(index, event) for event in bars]
    speech = clip.done(SPEECH)
    lines = [] if speech is None else _lines(events, next(lane.index for lane in lanes if lane.name == SPEECH))
    silent = clip.why_not(SPEECH) if speech is None else "" if lines else "Nothing was said that could be understood."
    return Timeline(duration, lanes, events, lines, silent)


def _lane(
    index: int,
    name: str,
    found: Done | NotDone,
    events: Sequence[Event],
    figures: list[tuple[str, str]],
    duration: float,
    first: int,
) -> Lane:
    rows = packed_rows(events)
    count = max(rows, default=0) + 1
    row = _TALL if count <= _ROWS_TALL else _LOW
    bars = []
    for at, (event, level) in enumerate(zip(events, rows, strict=True)):
        width = min(100.0, max(_NARROWEST, 100 * (event.end_s - event.start_s) / duration))
        x = max(0.0, min(100 * event.start_s / duration, 100 - width))
        words = called(event)
        fits = width * _LABEL_PX >= min(len(words), _LETTERS) * _LETTER_PX
        bars.append(Bar(first + at, x, width, _GAP + level * (row + _GAP), words if fits else "", tip(event)))
    missing = isinstance(found, NotDone)
    return Lane(
        index=index,
        name=name,
        variant=found.variant,
        status=found.status,
        problem=found.reason if isinstance(found, NotDone) else "",
        mend=found.mend if isinstance(found, NotDone) else "",
        colour=lane_colour(index),
        height=0 if missing else count * (row + _GAP) + _GAP,
        row=row,
        bars=bars,
        figures=figures,
    )


def packed_rows(events: Sequence[Event]) -> list[int]:
    """For each event, in order of their starts, the topmost row in which it does not lie on another."""
    ends: list[float] = []
    rows = []
    for event in events:
        row = next((at for at, end in enumerate(ends) if end <= event.start_s), len(ends))
        ends[row:] = [*([event.end_s]), *ends[row + 1 :]]
        rows.append(row)
    return rows


def called(event: Event) -> str:
    """What an event is called in a few words: its text, else its label."""
    return " / ".join(shown_lines(event.text).split("\n")) if event.text else event.label.replace("_", " ")


def tip(event: Event) -> str:
    """Everything about an event on one line."""
    text = f" “{called(event)}”" if event.text else ""
    parts = [f"{event.label.replace('_', ' ')}{text}", f"{event.start_s:.2f} to {event.end_s:.2f} s"]
    parts += [f"score {percent(event.score)}"]
    parts += [f"{name} {value}" for name, value in flat(_rounded(event.attributes))[:8]]
    return " · ".join(parts)


def _rounded(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: number(value) if isinstance(value, float) else value for name, value in attributes.items()}


def _lines(events: Sequence[tuple[int, Event]], lane: int) -> list[Line]:
    """The words in lines that can be read; the segments, where there are no words."""
    spoken = {id(event): at for at, (index, event) in enumerate(events) if index == lane}
    said = [event for index, event in events if index == lane]
    groups = list(word_groups(said)) or [[event] for event in said if event.label == SEGMENT and event.text]
    return [Line(group[0].start_s, [(spoken[id(event)], called(event)) for event in group]) for group in groups]


def lane_colour(index: int) -> str:
    """A colour as '#rrggbb' of `LUMINANCE`, its hue far from those of its neighbours (steps of the golden angle)."""
    hue = index * 137.508 % 360 / 360
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if luminance(colorsys.hls_to_rgb(hue, middle, 0.62)) < LUMINANCE else (low, middle)
    red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(hue, low, 0.62))
    return f"#{red:02x}{green:02x}{blue:02x}"


def luminance(rgb: tuple[float, float, float]) -> float:
    """Relative luminance of sRGB in 0…1 (WCAG 2.2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _packed(lane: int, event: Event) -> dict[str, Any]:
    found: dict[str, Any] = {
        "lane": lane,
        "start": round(event.start_s, 3),
        "end": round(event.end_s, 3),
        "label": event.label,
        "name": called(event),
        "score": round(event.score, 3),
    }
    if event.box is not None:
        found["box"] = _tenths(event.box)
        found["keys"] = [[round(key.t_s, 4), *_tenths(key.box), round(key.score, 3)] for key in event.track]
    elif event.text and event.label not in (WORD,):
        found["text"] = shown_lines(event.text)
    return found


def _tenths(box: Sequence[float]) -> list[float]:
    return [round(part, 1) for part in box]
