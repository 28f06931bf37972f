"""Post-training quantization to INT8 with NNCF."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Quantization:
    """How to quantize. The convolutions that feed an output in ``keep_outputs`` directly (a network's last ones) stay FP32.

    ``preset`` 'mixed' uses symmetric weights and asymmetric activations; ``accurate_bias`` corrects biases layer by layer (slow)
    instead of all at once.
    """

    preset: Literal["mixed", "performance"] = "mixed"
    keep_outputs: tuple[str, ...] = field(default_factory=tuple)
    accurate_bias: bool = False

    def __str__(self) -> str:
        return f"{self.preset}|{','.join(self.keep_outputs)}|{self.accurate_bias}"


def quantize(model: Any, inputs: Iterable[NDArray[Any]], how: Quantization) -> Any:
    """``model`` (an ``openvino.Model``) with INT8 weights and activations. Deterministic for equal inputs.

    ``inputs`` are batches of any size; each image counts.
    """
    import nncf

    nncf.set_log_level(logging.ERROR)
    images = [image[None] for batch in inputs for image in np.asarray(batch)]
    presets = {"mixed": nncf.QuantizationPreset.MIXED, "performance": nncf.QuantizationPreset.PERFORMANCE}
    kept = sorted({name for output in how.keep_outputs for name in last_convolutions(model, output)})
    # NNCF draws its own progress bars on the terminal; ours is the runner's.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        return nncf.quantize(
            model,
            nncf.Dataset(images),
            preset=presets[how.preset],
            subset_size=len(images),
            fast_bias_correction=not how.accurate_bias,
            ignored_scope=nncf.IgnoredScope(names=kept) if kept else None,
        )


def last_convolutions(model: Any, output: str) -> Iterator[str]:
    """The names of the convolutions that are met first on every way back from ``output``."""
    waiting = [model.output(output).get_node()]
    met = set()
    while waiting:
        node = waiting.pop()
        name = node.get_friendly_name()
        if name in met:
            continue
        met.add(name)
        if node.get_type_name() in ("Convolution", "GroupConvolution"):
            yield name
        else:
            waiting += [source.get_source_output().get_node() for source in node.inputs()]
