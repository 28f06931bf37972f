"""Speech with exact word times, by eSpeak NG (the package ``espeakng-loader`` brings the library and its voices)."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reelbench.errors import InputError, ReelBenchError, UnavailableError

Samples = NDArray[np.float32]
PACKAGE = "espeakng_loader"
MEND = 'pip install "reelbench[speech]"'
VOICES = "voices: en-us, en-gb-x-rp, en-gb-scotland and others, with +m1 … +m8 or +f1 … +f5 for another speaker; docs/corpus.md"
COMMAND = (sys.executable, "-m", "reelbench.corpus.speech_worker")
TIMEOUT_S = 300.0
APART = "\N{NO-BREAK SPACE}"
"""Between the words of a phrase: eSpeak speaks 'of the' and others like it as one word unless told that they are two."""

PUNCTUATION = '.,;:!?…"()“”—–'
FADE_S = 0.004
"""The last word ends this gently, where the voice has an echo that would go on."""


@dataclass(frozen=True, slots=True)
class Manner:
    """eSpeak's ``pitch`` and pitch ``range``, 0 … 100; it speaks with 50 of both unless told otherwise."""

    pitch: int
    range: int


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that are spoken in one breath, at about ``words_per_minute``."""

    words: tuple[str, ...]
    voice: str
    words_per_minute: int
    manner: Manner | None = None

    @property
    def text(self) -> str:
        """As eSpeak gets it: a space after punctuation lets it make its own short pause there."""
        return "".join(word + (APART if word[-1].isalnum() else " ") for word in self.words).rstrip()


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """Seconds of the phrase's sound. ``text`` is without punctuation."""

    start_s: float
    end_s: float
    text: str
    syllables: int


@dataclass(frozen=True, slots=True)
class Spoken:
    """The sound of a phrase at ``rate`` Hz, mono, −1 … 1. It begins and ends with the sound of its first and last word."""

    sound: Samples
    rate: int
    words: tuple[SpokenWord, ...]

    @property
    def seconds(self) -> float:
        return len(self.sound) / self.rate


def require() -> None:
    """UnavailableError where eSpeak NG is not installed."""
    if importlib.util.find_spec(PACKAGE) is None:
        raise UnavailableError("speech cannot be rendered: the package espeakng-loader is not installed", MEND)


def speak(phrases: Sequence[Phrase]) -> list[Spoken]:
    """Speak phrases in their order; the same list gives the same samples. InputError: no such voice. UnavailableError: no eSpeak NG."""
    if not phrases:
        return []
    require()
    work = [
        {"voice": phrase.voice, "words_per_minute": phrase.words_per_minute, "text": phrase.text}
        | (asdict(phrase.manner) if phrase.manner else {})
        for phrase in phrases
    ]
    try:
        done = subprocess.run(COMMAND, input=json.dumps(work).encode(), capture_output=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise ReelBenchError(f"eSpeak NG took longer than {TIMEOUT_S:g} s and was given up") from error
    head, newline, samples = done.stdout.partition(b"\n")
    if done.returncode or not newline:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        raise ReelBenchError(f"eSpeak NG failed with status {done.returncode}: {last[0]}")
    answer: dict[str, Any] = json.loads(head)
    if "error" in answer:
        raise InputError(answer["error"], VOICES)
    sound = (np.frombuffer(samples, np.int16) / 32768).astype(np.float32)
    ends = np.cumsum([part["samples"] for part in answer["parts"]])
    return [
        _spoken(phrase, piece, answer["rate"], part["words"])
        for phrase, piece, part in zip(phrases, np.split(sound, ends[:-1]), answer["parts"], strict=True)
    ]


def _spoken(phrase: Phrase, sound: Samples, rate: int, words: list[list[int]]) -> Spoken:
    """Give each word of the text its time. What eSpeak speaks as one, though it is two, stays one with both in its text."""
    if not words:
        raise InputError(f"'{phrase.text}' has no sound in the voice '{phrase.voice}'", "write words")
    first, last = words[0][1], words[-1][2]
    begins = [0, *accumulate(len(word) + 1 for word in phrase.words)][:-1]
    owners = [bisect_right(begins, word[0]) - 1 for word in words]
    starts = sorted(set(owners))
    found = []
    for number, (owner, until) in enumerate(pairwise([*starts, len(phrase.words)])):
        mine = [word for word, of in zip(words, owners, strict=True) if of == owner]  # A hyphen may make two of one.
        texts = phrase.words[owner if number else 0 : until]
        found.append(
            SpokenWord(
                (mine[0][1] - first) / rate,
                (mine[-1][2] - first) / rate,
                " ".join(text.strip(PUNCTUATION) for text in texts),
                sum(word[3] for word in mine),
            )
        )
    piece = sound[first:last].copy()
    fade = min(len(piece), round(FADE_S * rate))
    piece[len(piece) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return Spoken(piece, rate, tuple(found))
