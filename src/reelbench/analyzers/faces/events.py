"""From looks to events: faces, blinks, and where somebody looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, PositiveInt

from reelbench.analyzers.faces.follow import Track
from reelbench.analyzers.faces.looks import Look
from reelbench.results import Box, BoxAt, Event
from reelbench.settings import Share

FACE, BLINK, LOOKING, AWAY = "face", "blink", "looking", "looking_away"
_AS_COMPLEX = np.array([[1, 0], [1j, 0], [0, 1], [0, 1j]])
"""x, y, x, y to two complex numbers, whose product turns and scales."""
_AROUND_S = 1.5
"""How far on both sides of an instant the usual openness of an eye is looked up."""


@dataclass(frozen=True, slots=True)
class Judging:
    """``blink``: an eye is closed where its openness falls below this share of what is usual around that instant; for
    longer than ``longest_blink_s`` it is no blink. ``yaw`` and ``pitch``: degrees off the camera within which
    somebody looks at it. ``min_samples``: a face seen less often is dropped, unless the clip has fewer samples.
    ``least_s``: shorter looks belong to what is around them."""

    blink: Share = 0.72
    longest_blink_s: NonNegativeFloat = 0.6
    yaw: NonNegativeFloat = 14.0
    pitch: NonNegativeFloat = 18.0
    min_samples: PositiveInt = 2
    least_s: NonNegativeFloat = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.blink < 1 or min(self.longest_blink_s, self.yaw, self.pitch) <= 0 or self.min_samples < 1:
            raise ValueError(
                "judging wants 0 < blink < 1, longest_blink_s, yaw and pitch above 0, min_samples of 1 or more"
            )


@dataclass(frozen=True, slots=True)
class Clock:
    """The sampled instants of a clip, and what an interval between them is."""

    pts_s: Sequence[float]
    duration_s: float

    def after(self, t_s: float) -> float:
        """The next sampled instant, or the clip's end: until then a sample holds."""
        at = int(np.searchsorted(self.pts_s, t_s + 1e-9))
        return self.pts_s[at] if at < len(self.pts_s) else max(self.duration_s, t_s)

    def span(self, first_s: float, last_s: float) -> tuple[float, float]:
        """A thing appears and goes somewhere between two samples: midway is the best guess."""
        at = int(np.searchsorted(self.pts_s, first_s - 1e-9))
        start = (self.pts_s[at - 1] + first_s) / 2 if at > 0 else first_s
        following = self.after(last_s)
        return start, following if last_s >= self.pts_s[-1] else (last_s + following) / 2


def events(tracks: Sequence[Track], clock: Clock, width: int, height: int, how: Judging) -> list[Event]:
    """One 'face' for each track, then its blinks and looks. ``attributes.face`` numbers the faces in order of
    appearance."""
    least = min(how.min_samples, len(clock.pts_s))
    kept = [track.looks for track in tracks if len(track.looks) >= least]
    found: list[Event] = []
    for number, looks in enumerate(kept):
        closed = closed_at(looks, how)
        blinks = list(_blinks(looks, closed, clock, how, number))
        states = directions(looks, closed, how)
        eyes = irises(looks, closed)
        found += [_face(looks, eyes, clock, width, height, number, len(blinks), states), *blinks]
        found += _looks(looks, states, clock, how, number)
    return found


def closed_at(looks: Sequence[Look], how: Judging) -> NDArray[np.bool_]:
    """Where the eyes are clearly less open than usual: the 70th percentile of what lies around each instant."""
    times, openness = (np.array([getattr(one, name) for one in looks]) for name in ("t_s", "openness"))
    usual = np.array([np.percentile(openness[np.abs(times - t) <= _AROUND_S], 70) for t in times])
    shut: NDArray[np.bool_] = openness < how.blink * usual
    return shut


def irises(looks: Sequence[Look], closed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """n × 4: where both irises are. Behind closed lids none is seen: it is taken to lie in its socket as between the
    samples before and after, turned and scaled with the line between the sockets."""
    found = np.array([one.eyes for one in looks], np.float64)
    if closed.all() or not closed.any():
        return found
    sockets = np.array([one.sockets for one in looks], np.float64) @ _AS_COMPLEX
    apart = sockets[:, 1:] - sockets[:, :1]
    apart[apart == 0] = 1
    offsets = (found @ _AS_COMPLEX - sockets) / apart
    times = np.array([one.t_s for one in looks])
    for eye in range(2):
        offsets[closed, eye] = np.interp(times[closed], times[~closed], offsets[~closed, eye])
    hidden = (sockets + offsets * apart)[closed]
    found[closed] = np.stack([hidden.real, hidden.imag], axis=-1).reshape(-1, 4)
    return found


def directions(looks: Sequence[Look], closed: NDArray[np.bool_], how: Judging) -> list[str]:
    """'camera', 'left', 'right', 'up' or 'down' in the picture; closed eyes look where they looked before."""
    states: list[str] = []
    for one, shut in zip(looks, closed, strict=True):
        states.append(states[-1] if shut and states else _direction(one, how))
    return states


def _direction(one: Look, how: Judging) -> str:
    side, down = one.gaze_yaw / how.yaw, one.gaze_pitch / how.pitch
    if max(abs(side), abs(down)) <= 1:
        return "camera"
    if abs(side) >= abs(down):
        return "right" if side > 0 else "left"
    return "down" if down > 0 else "up"


def _blinks(
    looks: Sequence[Look], closed: NDArray[np.bool_], clock: Clock, how: Judging, number: int
) -> Iterator[Event]:
    at = 0
    for shut, group in groupby(closed):
        run = looks[at : at + len(list(group))]
        at += len(run)
        start, end = run[0].t_s, clock.after(run[-1].t_s)
        # The first samples say nothing of when the eyes closed, nor the last ones of when they open.
        if shut and at - len(run) > 0 and at < len(looks) and end - start <= how.longest_blink_s:
            deepest = min(one.openness for one in run)
            usual = float(np.median([one.openness for one in looks]))
            depth = float(np.clip(1 - deepest / usual, 0, 1)) if usual > 0 else 0.0
            yield Event(
                start_s=start,
                end_s=end,
                label=BLINK,
                score=round(depth, 3),
                attributes={"face": number, "openness": round(deepest, 3)},
            )


def _looks(looks: Sequence[Look], states: Sequence[str], clock: Clock, how: Judging, number: int) -> Iterator[Event]:
    for direction, run in _runs(looks, states, clock, how.least_s):
        start, end = run[0].t_s, clock.after(run[-1].t_s)
        middle = {
            name: round(float(np.median([getattr(one, name) for one in run])), 1)
            for name in ("yaw", "pitch", "gaze_yaw", "gaze_pitch")
        }
        yield Event(
            start_s=start,
            end_s=end,
            label=LOOKING if direction == "camera" else AWAY,
            score=round(float(np.mean([one.score for one in run])), 3),
            attributes={
                "face": number,
                "direction": direction,
                "head_yaw_deg": middle["yaw"],
                "head_pitch_deg": middle["pitch"],
                "gaze_yaw_deg": middle["gaze_yaw"],
                "gaze_pitch_deg": middle["gaze_pitch"],
            },
        )


def _runs(
    looks: Sequence[Look], states: Sequence[str], clock: Clock, least_s: float
) -> list[tuple[str, Sequence[Look]]]:
    """Stretches of one direction; one that is shorter than ``least_s`` joins the one before it."""
    runs: list[tuple[str, list[Look]]] = []
    for direction, group in groupby(zip(states, looks, strict=True), key=lambda pair: pair[0]):
        run = [one for _, one in group]
        short = clock.after(run[-1].t_s) - run[0].t_s < least_s - 1e-6
        if runs and (short or runs[-1][0] == direction):
            runs[-1][1].extend(run)
        else:
            runs.append((direction, run))
    return [(direction, run) for direction, run in runs]


def _face(
    looks: Sequence[Look],
    eyes: NDArray[np.float64],
    clock: Clock,
    width: int,
    height: int,
    number: int,
    blinks: int,
    states: Sequence[str],
) -> Event:
    start, end = clock.span(looks[0].t_s, looks[-1].t_s)
    keys = tuple(BoxAt(t_s=one.t_s, box=inside(one.box, width, height), score=one.score) for one in looks)
    best = max(keys, key=lambda key: key.score)
    return Event(
        start_s=start,
        end_s=end,
        label=FACE,
        score=best.score,
        box=best.box,
        track=keys,
        attributes={
            "face": number,
            "samples": len(looks),
            "blinks": blinks,
            "looking_share": round(states.count("camera") / len(states), 3),
            # One row for each sample: t_s, x and y of the iris further left in the picture, x and y of the other one.
            "eyes": [
                [round(one.t_s, 4), *(round(value, 1) for value in row)]
                for one, row in zip(looks, eyes.tolist(), strict=True)
            ],
            # t_s, openness, gaze yaw, gaze pitch, head roll in degrees.
            "looks": [
                [
                    round(one.t_s, 4),
                    round(one.openness, 3),
                    *(round(v, 1) for v in (one.gaze_yaw, one.gaze_pitch, one.roll)),
                ]
                for one in looks
            ],
        },
    )


def inside(box: Box, width: int, height: int) -> Box:
    """The part of a box that lies in the frame."""
    x1, y1, x2, y2 = box
    return (
        min(max(x1, 0.0), width),
        min(max(y1, 0.0), height),
        min(max(x2, 0.0), width),
        min(max(y2, 0.0), height),
    )
