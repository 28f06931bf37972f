"""Mixes the sound of a script and knows what is in it. The same script and seed give the same samples."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from reelbench.corpus import music, noises
from reelbench.corpus.clip import TruthMusic, TruthSpan, TruthWord
from reelbench.corpus.noises import Samples
from reelbench.corpus.sound_script import Event, Line, Music, Noise, SoundScript
from reelbench.corpus.speech import Phrase, Spoken, speak
from reelbench.errors import InputError

SOUND_VERSION = 1
"""Raised whenever the same ``sound`` would give other samples or another truth: kept clips are then rendered anew."""
Mixed = NDArray[np.float64]
RATE = 44100
PAUSE_S = 0.2
"""A shorter silence between two words belongs to the speech."""
EDGE_S = 0.01
"""Noise and music that begin or end within the clip do so in this time."""
SILENT_LUFS = -70.0
"""BS.1770 measures nothing below."""


@dataclass(frozen=True, slots=True)
class Said:
    """A line from the start of its first word to the end of its last."""

    line: Line
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Soundtrack:
    """``samples`` at ``RATE`` Hz, mono (both channels of the clip), and everything in them."""

    samples: Samples
    words: tuple[TruthWord, ...]
    speech: tuple[TruthSpan, ...]
    sounds: tuple[TruthSpan, ...]
    music: tuple[TruthMusic, ...]
    loudness_lufs: float | None
    said: tuple[Said, ...] = ()


def mix(script: SoundScript, seconds: float, seed: int, name: str = "") -> Soundtrack:
    """Make the sound of a clip of ``seconds``. InputError (``name`` begins its line): what is said does not fit, or all is too loud."""
    track = np.zeros(round(seconds * RATE))
    sounds, beats = [], []
    for number, bed in enumerate(script.noise):
        start, end = _extent(bed, track)
        sound = noises.noise(bed.kind, end - start, RATE, _random(seed, 1, number))
        _lay(track, _edged(sound, start, track), start, bed)
        sounds.append(_span(start, end, "noise", bed.kind))
    for number, tune in enumerate(script.music):
        start, end = _extent(tune, track)
        sound = music.bed(tune.tempo_bpm, end - start, RATE, _random(seed, 2, number), tune.key)
        _lay(track, _edged(sound, start, track), start, tune)
        span = {"start_s": _seconds(start), "end_s": _seconds(end)}
        beats.append(TruthMusic(**span, tempo_bpm=tune.tempo_bpm, key=tune.key))
    for number, event in enumerate(script.events):
        start = min(round(event.at * RATE), len(track) - 1)
        sound = noises.event(event.kind, event.seconds, RATE, _random(seed, 3, number))[: len(track) - start]
        _lay(track, sound, start, event)
        sounds.append(_span(start, start + len(sound), event.kind))
    words, said = _say(track, script, name)
    peak = float(np.abs(track).max(initial=0.0))
    if peak > 1:
        raise InputError(
            f"{name or 'script'}: sound: {20 * np.log10(peak):.1f} dB over full scale", "lower the level of a part"
        )
    samples = track.astype(np.float32)
    return Soundtrack(
        samples,
        tuple(words),
        tuple(intervals(words)),
        tuple(sorted(sounds, key=lambda span: (span.start_s, span.end_s))),
        tuple(beats),
        loudness(samples),
        tuple(said),
    )


def intervals(words: list[TruthWord]) -> list[TruthSpan]:
    """Where somebody speaks: words with less than ``PAUSE_S`` between them are one interval."""
    if not words:
        return []
    breaks = [(a.end_s, b.start_s) for a, b in pairwise(words) if b.start_s - a.end_s >= PAUSE_S - 1e-9]
    starts = [words[0].start_s, *(start for _, start in breaks)]
    ends = [*(end for end, _ in breaks), words[-1].end_s]
    return [TruthSpan(start_s=start, end_s=end, label="speech") for start, end in zip(starts, ends, strict=True)]


def loudness(samples: Samples) -> float | None:
    """Integrated loudness (ITU-R BS.1770) in LUFS of ``samples`` on both channels, by FFmpeg; None where there is silence."""
    import av

    if not len(samples):
        return None
    graph = av.filter.Graph()
    source = graph.add_abuffer(format="fltp", sample_rate=RATE, layout="stereo", time_base=Fraction(1, RATE))
    graph.link_nodes(source, graph.add("ebur128", "metadata=1"), graph.add("abuffersink")).configure()
    frame = av.AudioFrame.from_ndarray(np.stack([samples, samples]), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
    graph.push(frame)
    graph.push(None)
    measured = SILENT_LUFS
    while True:
        try:
            measured = float(graph.pull().metadata.get("lavfi.r128.I", measured))
        except (av.BlockingIOError, av.EOFError):
            break
    return round(measured, 1) if measured > SILENT_LUFS else None


def _say(track: Mixed, script: SoundScript, name: str) -> tuple[list[TruthWord], list[Said]]:
    """Add all lines to ``track``; their words, and when each line is said."""
    from scipy.signal import resample_poly

    phrases = [
        Phrase(words, line.voice, line.words_per_minute, line.manner)
        for line in script.speech
        for words, _ in line.phrases
    ]
    try:
        spoken = iter(speak(phrases))
    except InputError as error:
        raise InputError(f"{name or 'script'}: sound.speech: {error.message}", error.hint) from error
    found: list[TruthWord] = []
    said: list[Said] = []
    free_from = 0.0
    for number, line in enumerate(script.speech):
        where = f"{name or 'script'}: sound.speech[{number}]"
        parts = [(next(spoken), pause) for _, pause in line.phrases]
        at = free_from + line.gap if line.start is None else line.start
        if at < free_from:
            raise InputError(f"{where}.start: {at:g} lies before the line before it ends at {free_from:.2f} s")
        gain = 10 ** (line.level / 20) / _level([part for part, _ in parts])
        first = len(found)
        for part, pause in parts:
            start = round(at * RATE)
            sound = resample_poly(part.sound.astype(np.float64), RATE, part.rate)
            if start + len(sound) > len(track):
                raise InputError(
                    f"{where}: it lasts until {at + part.seconds:.2f} s, the clip {len(track) / RATE:g} s", "say less"
                )
            track[start : start + len(sound)] += gain * sound
            found += [
                TruthWord(
                    start_s=round(start / RATE + word.start_s, 6),
                    end_s=round(start / RATE + word.end_s, 6),
                    text=word.text,
                    syllables=word.syllables,
                )
                for word in part.words
            ]
            free_from = at + part.seconds
            at = free_from + pause
        said.append(Said(line, found[first].start_s, found[-1].end_s))
    return found, said


def _level(parts: list[Spoken]) -> float:
    """Root mean square of the words, without the silence between them."""
    heard = [
        part.sound[round(word.start_s * part.rate) : round(word.end_s * part.rate)]
        for part in parts
        for word in part.words
    ]
    return float(np.sqrt(np.mean(np.concatenate(heard).astype(np.float64) ** 2)))


def _random(seed: int, part: int, number: int) -> np.random.Generator:
    """Each noise, tune and event has its own, so that one more changes none of the others."""
    return np.random.Generator(np.random.PCG64([seed, part, number]))


def _extent(bed: Noise | Music, track: Mixed) -> tuple[int, int]:
    """The samples that it covers, at least one."""
    end = len(track) if bed.end is None else min(round(bed.end * RATE), len(track))
    return min(round(bed.start * RATE), end - 1), end


def _lay(track: Mixed, sound: Samples, start: int, part: Noise | Music | Event) -> None:
    track[start : start + len(sound)] += 10 ** (part.level / 20) * sound


def _edged(sound: Samples, start: int, track: Mixed) -> Samples:
    """What begins or ends within the clip does so softly."""
    ramp = np.linspace(0, 1, min(round(EDGE_S * RATE), len(sound)), dtype=np.float32)
    if start > 0:
        sound[: len(ramp)] *= ramp
    if start + len(sound) < len(track):
        sound[len(sound) - len(ramp) :] *= ramp[::-1]
    return sound


def _seconds(samples: int) -> float:
    return round(samples / RATE, 6)


def _span(start: int, end: int, label: str, text: str | None = None) -> TruthSpan:
    return TruthSpan(start_s=_seconds(start), end_s=_seconds(end), label=label, text=text)
