"""A Whisper network whose weights CTranslate2 lowers to INT8 or FP16, and how it is compared with FP32 (`engines.lowered`).

Compared are what the encoder makes of half a minute of noise, and the decoder's first step on it. The weights are rounded when they
are loaded, so that there is no calibration set.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reelbench.engines.base import Tensors
from reelbench.engines.fingerprint import fingerprint
from reelbench.engines.lowered import Feed, LoweredNetwork

START = "<|startoftranscript|>"
STEPS = 3000
"""Half a minute in Whisper's spectrograms."""


def key(model: Path) -> str:
    """Names the folder of the store that keeps the records of a network."""
    return f"parity-ctranslate2-{fingerprint(model)}"


def lowered(folder: Path, model: Path, device: str, compute: str, precision: str) -> LoweredNetwork:
    """``model`` is the .bin file, ``compute`` CTranslate2's compute type, of which most is in ``precision``."""
    return LoweredNetwork(
        folder=folder,
        name=model.parent.name,
        precision=precision,
        packages=("ctranslate2",),
        identity=lambda: f"{fingerprint(model)} {compute}",
        inputs=lambda: [{"sound": noise(_bands(model))}],
        answers=partial(_answers, model.parent, device, compute),
        reference=partial(_answers, model.parent, "cpu", "float32"),
        where="" if device == "cpu" else device,
    )


def noise(bands: int) -> NDArray[np.float32]:
    """Half a minute of noise as a spectrogram, 1×bands×3000."""
    return np.random.default_rng(5).standard_normal((1, bands, STEPS), np.float32)


def open_whisper(folder: Path, device: str, compute: str) -> Any:
    """CTranslate2's own model, without faster-whisper."""
    import ctranslate2

    return ctranslate2.models.Whisper(str(folder), device=device, compute_type=compute)


def encode(model: Any, sound: NDArray[np.float32]) -> Any:
    """What the encoder of a network makes of a spectrogram, as CTranslate2's array in the main memory."""
    import ctranslate2

    return model.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(sound)), to_cpu=True)


def _answers(folder: Path, device: str, compute: str, feeds: Sequence[Feed]) -> Iterator[Tensors]:
    model = open_whisper(folder, device, compute)
    for feed in feeds:
        heard = encode(model, feed["sound"])
        yield {"encoder": np.asarray(heard, np.float32), "decoder": _first_step(model, heard)}


def _first_step(model: Any, heard: Any) -> NDArray[np.float32]:
    """The decoder's logits for the first token after the start."""
    import ctranslate2

    answer = model.generate(
        heard,
        [[START]],
        beam_size=1,
        max_length=2,
        return_logits_vocab=True,
        suppress_tokens=[],
        suppress_blank=False,
    )[0]
    logits = answer.logits[0]
    first = logits[0] if isinstance(logits, list) else logits
    return np.asarray(first.to_device(ctranslate2.Device.cpu), np.float32)


def _bands(model: Path) -> int:
    return int(open_whisper(model.parent, "cpu", "float32").n_mels)
