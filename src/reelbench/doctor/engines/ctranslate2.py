"""CTranslate2: Whisper's encoder with known random weights against NumPy, and the store's Whisper against itself in FP32.

No other engine here reads CTranslate2's files: of the published network only the lowered precisions are compared.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reelbench.doctor.engine_check import EngineCheck, Found, Material
from reelbench.engines import nvidia, whisper_random
from reelbench.engines.base import Availability
from reelbench.engines.ctranslate2_parity import encode, noise, open_whisper
from reelbench.engines.parity import compare

_COMPUTE = {"fp32": "float32", "int8": "int8", "fp16": "float16"}
_REAL = ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt")
_STORE = "whisper_tiny_en"
_SIZE = "tiny"


def checks() -> Iterator[EngineCheck]:
    """FP32 and INT8 on both, FP16 on a GPU."""
    for device, precision in (("cpu", "fp32"), ("cpu", "int8"), ("cuda", "fp32"), ("cuda", "fp16"), ("cuda", "int8")):
        name = "CPU" if device == "cpu" else "CUDA:0"
        here, run = partial(_available, device), partial(_run, device, precision)
        yield EngineCheck("ctranslate2", name, precision, here, partial(version, "ctranslate2"), run)


def _available(device: str) -> Availability:
    for module, package in (("ctranslate2", "ctranslate2"), ("faster_whisper", "faster-whisper")):
        if importlib.util.find_spec(module) is None:
            return Availability(False, f"{package} is not installed", f"pip install {package}")
    return nvidia.gpu() if device == "cuda" else Availability(True)


def _run(device: str, precision: str, material: Material) -> Iterator[Found]:
    size = whisper_random.SIZES[_SIZE]
    specification, tokenizer = whisper_random.build(size, 0)
    sound = noise(specification.encoder.conv1.weight.shape[1])
    expected = _encoded(specification.encoder, sound[0], size.width // 64)
    folder = material.folder / "whisper"
    whisper_random.write(folder, specification, tokenizer)
    found = encode(open_whisper(folder, device, _COMPUTE[precision]), sound)
    yield "known Whisper encoder", compare(precision, [{"y": expected}], [{"y": np.asarray(found, np.float32)}])
    files = [material.file(f"{_STORE}/{name}") for name in _REAL]
    if precision != "fp32" and all(files) and files[0] is not None:
        kinds = (("cpu", "float32"), (device, _COMPUTE[precision]))
        one, other = (np.asarray(encode(open_whisper(files[0].parent, *kind), noise(80))) for kind in kinds)
        yield _STORE, compare(precision, [{"y": one}], [{"y": other}])


def _encoded(encoder: Any, sound: NDArray[np.float32], heads: int) -> NDArray[np.float64]:
    """What the encoder computes (Radford et al. 2022), in double precision: 1×1500×width."""
    values = _gelu(_along(sound.astype(np.float64), encoder.conv1, 1))
    values = _gelu(_along(values, encoder.conv2, 2)).T
    values = values + encoder.position_encodings.encodings.astype(np.float64)[: len(values)]
    for layer in encoder.layer:
        values = values + _attention(_norm(values, layer.self_attention.layer_norm), layer.self_attention, heads)
        inner = _gelu(_linear(_norm(values, layer.ffn.layer_norm), layer.ffn.linear_0))
        values = values + _linear(inner, layer.ffn.linear_1)
    return _norm(values, encoder.layer_norm)[None]


def _along(values: NDArray[np.float64], part: Any, stride: int) -> NDArray[np.float64]:
    """A convolution of three steps in time over channels×time."""
    wide = np.pad(values, ((0, 0), (1, 1)))
    steps = values.shape[1]
    weights = part.weight.astype(np.float64)
    taken = [weights[:, :, at] @ wide[:, at : at + steps : stride] for at in range(3)]
    answer: NDArray[np.float64] = sum(taken) + part.bias.astype(np.float64)[:, None]
    return answer


def _attention(values: NDArray[np.float64], part: Any, heads: int) -> NDArray[np.float64]:
    steps, width = values.shape
    queries, keys, contents = np.split(_linear(values, part.linear[0]), 3, axis=1)
    split = [one.reshape(steps, heads, -1).transpose(1, 0, 2) for one in (queries, keys, contents)]
    scores = split[0] @ split[1].transpose(0, 2, 1) / sqrt(width // heads)
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = (shares / shares.sum(-1, keepdims=True)) @ split[2]
    return _linear(mixed.transpose(1, 0, 2).reshape(steps, width), part.linear[1])


def _linear(values: NDArray[np.float64], part: Any) -> NDArray[np.float64]:
    answer: NDArray[np.float64] = values @ part.weight.astype(np.float64).T + part.bias.astype(np.float64)
    return answer


def _norm(values: NDArray[np.float64], part: Any) -> NDArray[np.float64]:
    centred = values - values.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    answer: NDArray[np.float64] = scaled * part.gamma.astype(np.float64) + part.beta.astype(np.float64)
    return answer


def _gelu(values: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import erf

    answer: NDArray[np.float64] = values * 0.5 * (1 + erf(values / sqrt(2)))
    return answer
