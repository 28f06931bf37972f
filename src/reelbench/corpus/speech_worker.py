"""``python -m reelbench.corpus.speech_worker``: speaks with eSpeak NG and says when each word sounds.

Reads ``[{"voice": …, "words_per_minute": …, "text": …}, …]`` on stdin, perhaps with a ``pitch`` and a ``range`` (0 … 100). Answers
one JSON line, ``{"rate": …, "parts": [{"samples": …, "words": [[character, start, end, syllables], …]}, …]}`` or ``{"error": …}``, and
after it the samples of all parts (int16, mono). Starts and ends count samples of the part.

The library keeps a random state between utterances and offers no way to reset it (its own seeding function changes nothing; seen with
eSpeak NG 1.52): a process of its own makes the samples the same every time.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from reelbench.processes import die_with_parent

AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_PHONEME_EVENTS, INITIALIZE_PHONEME_IPA, INITIALIZE_DONT_EXIT = 0x0001, 0x0002, 0x8000
PARAMETER_RATE, PARAMETER_PITCH, PARAMETER_RANGE = 1, 3, 4
POSITION_CHARACTER, CHARS_UTF8 = 1, 1
USUAL_PITCH = USUAL_RANGE = 50
EVENT_END_OF_LIST, EVENT_WORD, EVENT_PHONEME = 0, 1, 7
VOWELS = frozenset("iyɨʉɯuɪʏʊᵻeøɘɵɤoəɛœɜɞʌɔæɐaɶɑɒɚɝ")
SYLLABIC = "\N{COMBINING VERTICAL LINE BELOW}"
HEARD = 8
"""Samples up to this size, of 32767, are silence: the last of a resonance that rings off."""
ENCODED = 8
"""The library keeps this many bytes of a phoneme's name, perhaps half of its last letter."""


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_void_p), ("string", ctypes.c_char * ENCODED))


class _Event(ctypes.Structure):
    """``espeak_EVENT`` of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Engine:
    """libespeak-ng with the voices beside it. Only one can live in a process."""

    def __init__(self, library: Path, data: Path) -> None:
        self._library = ctypes.CDLL(str(library))
        self._data = data
        self._sound = bytearray()
        self._events: list[tuple[int, int, int, str]] = []
        self._manner = (USUAL_PITCH, USUAL_RANGE)
        self._keep = _Callback(self._receive)
        options = INITIALIZE_PHONEME_EVENTS | INITIALIZE_PHONEME_IPA | INITIALIZE_DONT_EXIT
        self.rate = self._library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, str(data).encode(), options)
        if self.rate <= 0:
            raise OSError(f"eSpeak NG does not find its voices in {data}")
        self._library.espeak_SetSynthCallback(self._keep)

    def manner(self, pitch: int = USUAL_PITCH, range_: int = USUAL_RANGE) -> None:
        """How high, and with how much melody, it speaks from here on; a library that was never told keeps to the usual."""
        if (pitch, range_) != self._manner:
            self._library.espeak_SetParameter(PARAMETER_PITCH, pitch, 0)
            self._library.espeak_SetParameter(PARAMETER_RANGE, range_, 0)
            self._manner = (pitch, range_)

    def speak(self, voice: str, words_per_minute: int, text: str) -> tuple[bytes, list[tuple[int, ...]]]:
        """The samples and the words of ``text``. Raises ValueError for a voice that is not there."""
        _, _, variant = voice.partition("+")
        # The library passes over a variant that it does not have.
        known = not variant or (self._data / "voices" / "!v" / variant).is_file()
        if not known or self._library.espeak_SetVoiceByName(voice.encode()):
            raise ValueError(f"no voice '{voice}'")
        self._library.espeak_SetParameter(PARAMETER_RATE, words_per_minute, 0)
        self._sound.clear()
        self._events.clear()
        encoded = text.encode()
        status = self._library.espeak_Synth(
            encoded,
            ctypes.c_size_t(len(encoded) + 1),
            ctypes.c_uint(0),
            POSITION_CHARACTER,
            ctypes.c_uint(0),
            ctypes.c_uint(CHARS_UTF8),
            None,
            None,
        )
        if status:
            raise ValueError(f"eSpeak NG cannot speak {text!r}")
        return bytes(self._sound), words(self._events, np.frombuffer(bytes(self._sound), np.int16))

    def _receive(self, sound: Any, count: int, events: Any) -> int:
        index = 0
        while events[index].type != EVENT_END_OF_LIST:
            event = events[index]
            name = event.id.string.decode(errors="ignore") if event.type == EVENT_PHONEME else ""
            self._events.append((event.type, event.text_position, event.sample, name))
            index += 1
        if sound and count > 0:
            self._sound += ctypes.string_at(sound, 2 * count)
        return 0


def words(events: list[tuple[int, int, int, str]], sound: np.ndarray[Any, np.dtype[np.int16]]) -> list[tuple[int, ...]]:
    """(character of the text, start, end, syllables) of each word that sounds.

    A word lasts from the first to the last sample that can be heard between the start of its first phoneme and the end of its
    last; a phoneme without a name is silence. Each phoneme with a vowel, or with a consonant that carries a syllable, is a syllable:
    a diphthong is one.
    """
    found: list[tuple[int, ...]] = []
    phonemes: list[tuple[int, int, str]] = []
    character = 0

    def close() -> None:
        if not phonemes:
            return
        start, end = phonemes[0][0], phonemes[-1][1]
        heard = np.flatnonzero(np.abs(sound[start:end]) > HEARD)
        if len(heard):
            syllables = sum(any(letter in VOWELS for letter in name) or SYLLABIC in name for _, _, name in phonemes)
            found.append((character, int(start + heard[0]), int(start + heard[-1] + 1), syllables))
        phonemes.clear()

    starts = [sample for kind, _, sample, _ in events if kind == EVENT_PHONEME] + [len(sound)]
    seen = 0
    for kind, position, sample, name in events:
        if kind == EVENT_WORD:
            close()
            character = position - 1
        elif kind == EVENT_PHONEME:
            seen += 1
            if name:
                phonemes.append((sample, starts[seen], name))
    close()
    return found


def main() -> None:
    die_with_parent()
    loader: Any = importlib.import_module("espeakng_loader")
    lines = json.load(sys.stdin)
    sounds, parts = [], []
    try:
        engine = Engine(Path(loader.get_library_path()), Path(loader.get_data_path()))
        for line in lines:
            engine.manner(line.get("pitch", USUAL_PITCH), line.get("range", USUAL_RANGE))
            sound, found = engine.speak(line["voice"], line["words_per_minute"], line["text"])
            sounds.append(sound)
            parts.append({"samples": len(sound) // 2, "words": found})
        answer: dict[str, object] = {"rate": engine.rate, "parts": parts}
    except (OSError, ValueError) as error:
        answer, sounds = {"error": str(error)}, []
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + b"".join(sounds))


if __name__ == "__main__":
    main()
