"""Opening clips safely, probing them, and decoding each of them once.

The names below are loaded when they are first used: PyAV and OpenCV stay out of programs that only import this package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reelbench.media.audio import read_audio
    from reelbench.media.dedup import NearDuplicates
    from reelbench.media.fanout import FanOut, decode_for
    from reelbench.media.frames import FrameStream
    from reelbench.media.probing import probe
    from reelbench.media.safe_probe import probe_safely

_HOME = {
    "FanOut": "fanout",
    "FrameStream": "frames",
    "NearDuplicates": "dedup",
    "decode_for": "fanout",
    "probe": "probing",
    "probe_safely": "safe_probe",
    "read_audio": "audio",
}

__all__ = ["FanOut", "FrameStream", "NearDuplicates", "decode_for", "probe", "probe_safely", "read_audio"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
