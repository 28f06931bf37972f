"""Facts about a clip that only decoding reveals (its true duration, damage), and how they enter its record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from reelbench.bench.records import ClipRecord
from reelbench.media.types import ClipInfo, DecodeOptions

_KINDS = {"damaged_picture": "picture", "damaged_sound": "sound"}


class Decoded(Protocol):
    """A `media.decoder.Decoder` or a `media.frames.FrameStream` that was read."""

    @property
    def truncated(self) -> bool: ...
    @property
    def end_s(self) -> float: ...
    @property
    def damage(self) -> dict[str, Any]: ...


def decoded_facts(
    pictures: Decoded | None, sound_damage: Mapping[str, Any], options: DecodeOptions | None = None
) -> dict[str, Any]:
    """What a worker says with its answer, as builtin types: ``truncated``; ``damage`` ('damaged_picture', 'damaged_sound', each as
    `media.packets.Damage.facts`); ``end_s``, when the last frame ends: None where not all frames were decoded."""
    damage = {"damaged_picture": pictures.damage if pictures else {}, "damaged_sound": dict(sound_damage)}
    whole = pictures is not None and (options is None or options.skip == "none")
    return {
        "truncated": bool(pictures and pictures.truncated),
        "damage": {kind: found for kind, found in damage.items() if found},
        "end_s": (pictures.end_s or None) if pictures and whole else None,
    }


def corrected(info: ClipInfo, facts: Mapping[str, Any]) -> ClipInfo:
    """``info`` with the duration that decoding found; ``info`` itself where probing was right to half a frame."""
    end_s = facts.get("end_s")
    if end_s is None or abs(end_s - info.duration_s) <= 0.5 / info.fps:
        return info
    return replace(info, duration_s=end_s)


def note_facts(record: ClipRecord, facts: Mapping[str, Any]) -> list[str]:
    """Flag in ``record`` what decoding found. Returns a sentence for each thing that was not known before."""
    found: list[str] = []
    for kind, damage in facts.get("damage", {}).items():
        if kind not in record.flags:
            record.flags.append(kind)
            record.details[kind] = damage
            found.append(f"{record.name}: {_sentence(_KINDS[kind], damage)}")
    if facts.get("truncated") and "truncated" not in record.flags:
        record.flags.append("truncated")
        found.append(f"{record.name}: the file ends early or is damaged; what could be decoded was measured")
    return found


def _sentence(kind: str, damage: Mapping[str, Any]) -> str:
    count, places = damage["packets"], damage["at_s"]
    at = ", ".join(f"{time:.2f}" for time in places)
    more = " …" if count > len(places) > 0 else ""
    where = f" (at {at}{more} s)" if places else ""
    return f"{count} damaged {kind} packet{'s' if count != 1 else ''} left out{where}"
