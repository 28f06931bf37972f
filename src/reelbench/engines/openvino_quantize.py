"""Post-training quantization to INT8 with NNCF, and what it made."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt

from reelbench.engines.capabilities import Calibration
from reelbench.engines.openvino_accuracy import AccuracyControl, Agreement, Judge, control
from reelbench.errors import AnalyzerError, ConfigError

_CONVOLUTIONS = ("Convolution", "GroupConvolution")
_SAME_VALUES = ("Transpose", "Reshape", "Pad")
"""What may stand between the values and a convolution of them without changing in what precision they are."""


@dataclass(frozen=True, slots=True)
class Quantization:
    """How to quantize.

    ``preset`` 'mixed' uses symmetric weights and asymmetric activations. Left in FP32 are the convolutions that feed an output in
    ``keep_outputs`` directly (a network's heads) and those at the positions ``keep_convolutions`` (from 0, in the order of execution).
    ``accurate_bias`` corrects biases layer by layer (slow) instead of all at once. ``accuracy`` lets NNCF find the layers itself.
    """

    preset: Literal["mixed", "performance"] = "mixed"
    keep_outputs: Sequence[str] = ()
    keep_convolutions: Sequence[NonNegativeInt] = ()
    accurate_bias: bool = False
    accuracy: AccuracyControl | None = None

    def __post_init__(self) -> None:
        if self.preset not in ("mixed", "performance"):
            raise ConfigError(f"engine.quantization.preset is {self.preset!r}", "one of mixed, performance")

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Quantization:
        """From a configuration. Raises TypeError for an unknown key, ConfigError for a value that makes no sense."""
        accuracy = options.get("accuracy")
        return cls(**{**options, "accuracy": None if accuracy is None else AccuracyControl(**accuracy)})

    def __str__(self) -> str:
        kept = f"{','.join(self.keep_outputs)}|{','.join(map(str, self.keep_convolutions))}"
        return f"{self.preset}|{kept}|{self.accurate_bias}|{self.accuracy or ''}"


def quantize(
    model: Any, calibration: Calibration, how: Quantization, also_kept: Sequence[str] = ()
) -> tuple[Any, dict[str, Any]]:
    """``model`` (an ``openvino.Model``) with INT8 weights and activations, and what is to be known of it.

    ``also_kept`` names further nodes that stay in FP32. Deterministic for equal images. Each image of ``calibration`` counts; it
    must be a `Judge` where ``how`` wants accuracy control.
    """
    import nncf

    nncf.set_log_level(logging.ERROR)
    images = [image[None] for batch in calibration() for image in np.asarray(batch)]
    kept = sorted({*_kept(model, how), *also_kept})
    presets = {"mixed": nncf.QuantizationPreset.MIXED, "performance": nncf.QuantizationPreset.PERFORMANCE}
    options = {
        "preset": presets[how.preset],
        "subset_size": len(images),
        "fast_bias_correction": not how.accurate_bias,
        "ignored_scope": nncf.IgnoredScope(names=kept) if kept else None,
    }
    facts: dict[str, Any] = {
        "method": "accuracy control" if how.accuracy else "post-training",
        "preset": how.preset,
        "accurate_bias": how.accurate_bias,
        "images": len(images),
        "images_sha256": _digest(images),
    }
    agreement = _agreement(model, calibration) if how.accuracy else None
    # NNCF draws its own progress bars on the terminal; ours is the runner's.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        if how.accuracy and agreement:
            made = control(model, images, agreement, how.accuracy, options)
            plain = nncf.quantize(model, nncf.Dataset(images), **options)
            facts |= {
                "validation_images": len(agreement.images),
                "validation_images_sha256": _digest(agreement.images),
                "max_drop": how.accuracy.max_drop,
                "drop_without_control": round(1 - agreement.of(plain), 4),
                "drop": round(1 - agreement.of(made), 4),
            }
        else:
            made = nncf.quantize(model, nncf.Dataset(images), **options)
    return made, facts | {"float_convolutions": list(float_convolutions(made))}


def convolutions(model: Any) -> list[Any]:
    """The nodes that convolve, in the order of execution."""
    return [node for node in model.get_ordered_ops() if node.get_type_name() in _CONVOLUTIONS]


def float_convolutions(model: Any) -> Iterator[int]:
    """The positions of the convolutions whose input was not quantized."""
    for at, node in enumerate(convolutions(model)):
        source = node.input_value(0).get_node()
        while source.get_type_name() in _SAME_VALUES:
            source = source.input_value(0).get_node()
        if source.get_type_name() != "FakeQuantize":
            yield at


def last_convolutions(model: Any, output: str) -> Iterator[str]:
    """The names of the convolutions that are met first on every way back from ``output``, a name with or without its number (':0')."""
    named = {name: one for one in model.outputs for name in one.get_names()}
    start = named.get(output) or named.get(f"{output}:0")
    if start is None:
        raise ConfigError(f"engine.quantization.keep_outputs: no output '{output}'", f"there are: {', '.join(named)}")
    waiting = [start.get_node()]
    met = set()
    while waiting:
        node = waiting.pop()
        name = node.get_friendly_name()
        # A reshape asks for the shape of what it was computed from: that way leads past the head.
        if name in met or node.get_type_name() == "ShapeOf":
            continue
        met.add(name)
        if node.get_type_name() in _CONVOLUTIONS:
            yield name
        else:
            waiting += [source.get_source_output().get_node() for source in node.inputs()]


def _kept(model: Any, how: Quantization) -> list[str]:
    names = {name for output in how.keep_outputs for name in last_convolutions(model, output)}
    if how.keep_convolutions:
        there = convolutions(model)
        for at in how.keep_convolutions:
            if not 0 <= at < len(there):
                hint = f"the network has {len(there)} convolutions, counted from 0"
                raise ConfigError(f"engine.quantization.keep_convolutions: no convolution {at}", hint)
            names.add(there[at].get_friendly_name())
    return sorted(names)


def _agreement(model: Any, calibration: Calibration) -> Agreement:
    if not isinstance(calibration, Judge):
        raise AnalyzerError(
            "accuracy control was asked for, and the analyzer cannot judge answers",
            "leave out engine.quantization.accuracy",
        )
    return Agreement.with_(model, calibration)


def _digest(images: Sequence[NDArray[Any]]) -> str:
    """Sixteen hex digits that stand for the images, in their order."""
    sha = hashlib.sha256()
    for image in images:
        sha.update(np.ascontiguousarray(image).tobytes())
    return sha.hexdigest()[:16]
