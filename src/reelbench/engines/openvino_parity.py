"""How a network of lowered precision in OpenVINO is compared with FP32 (`reelbench.engines.lowered`).

Before one is refused, convolutions of rarer kinds, for which libraries may have faulty code on some processors, are given back to
FP32 (`REMEDIES`), as long as most of the network stays as it was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from reelbench.engines.base import Tensors
from reelbench.engines.fingerprint import fingerprint
from reelbench.engines.lowered import Feed, LoweredNetwork, Remedy, pictures
from reelbench.engines.openvino_quantize import convolutions
from reelbench.paths import atomic_path

PACKAGES = ("openvino",)
_HINTS = {"int8": "f32", "bf16": "bf16", "fp32": "f32"}


def _dilated(node: Any) -> bool:
    return any(step != 1 for step in node.get_attributes().get("dilations", ()))


def _three_dimensional(node: Any) -> bool:
    return len(node.get_output_partial_shape(0)) == 5


REMEDIES: Mapping[str, Callable[[Any], bool]] = {
    "dilated convolutions in FP32": _dilated,
    "three-dimensional convolutions in FP32": _three_dimensional,
}
"""Tried in this order before a network is refused."""


def lowered(
    folder: Path,
    name: str,
    precision: str,
    reference: Callable[[], Any],
    inputs: Callable[[], Iterable[Feed]],
    requantize: Callable[[Sequence[str]], Any] | None = None,
) -> LoweredNetwork:
    """The network that was converted (and quantized) into ``folder``. ``reference`` gives it in FP32, ``inputs`` what it was calibrated
    on. ``requantize`` makes it again with the named nodes left in FP32; None where that cannot be done."""
    network = folder / "network.xml"
    return LoweredNetwork(
        folder=folder,
        name=name,
        precision=precision,
        packages=PACKAGES,
        identity=lambda: fingerprint(network.with_suffix(".bin")),
        inputs=inputs,
        answers=lambda feeds: answers(read_network(network), precision, feeds),
        reference=lambda feeds: answers(reference(), "fp32", feeds),
        remedies=lambda: _remedies(network, precision, reference(), requantize) if requantize else (),
    )


def published(folder: Path, model: Path) -> LoweredNetwork:
    """A network of pictures that was published in INT8. In FP32 its rounding is computed as it is written there, step by step."""
    return LoweredNetwork(
        folder=folder,
        name=model.name,
        precision="int8",
        packages=PACKAGES,
        identity=lambda: fingerprint(model),
        inputs=lambda: _pictures(model),
        answers=lambda feeds: answers(read_network(model), "int8", feeds),
        # Otherwise the plug-in merges rounding and convolution into one INT8 kernel.
        reference=lambda feeds: answers(read_network(model), "fp32", feeds, LP_TRANSFORMS_MODE="NO"),
    )


def _pictures(model: Path) -> Iterator[Feed]:
    """Bytes with the channels last, as TensorFlow Lite's networks take them."""
    source = read_network(model).input()
    batch, high, wide, channels = source.get_shape()
    for one in pictures((batch, channels, high, wide)):
        yield {source.get_any_name(): np.ascontiguousarray(one.transpose(0, 2, 3, 1) * 255).astype(np.uint8)}


def read_network(model: Path) -> Any:
    """The network in a file, not compiled yet."""
    import openvino as ov

    return ov.Core().read_model(model)


def save(model: Any, target: Path) -> None:
    """Write both files of a network. The last to be put in place is what tells another process that all is there: the .xml."""
    import openvino as ov

    with atomic_path(target) as xml_part, atomic_path(target.with_suffix(".bin")) as bin_part:
        ov.serialize(model, str(xml_part), str(bin_part))


def answers(model: Any, precision: str, feeds: Sequence[Feed], **options: Any) -> Iterator[Tensors]:
    """What a network that was not compiled yet answers, compiled for this precision; outputs are numbered."""
    import openvino as ov

    model.reshape({model.input(name): list(values.shape) for name, values in feeds[0].items()})
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": _HINTS[precision], **options})
    for feed in feeds:
        found = compiled(dict(feed))
        yield {str(at): np.array(found[output]) for at, output in enumerate(compiled.outputs)}


def _remedies(
    network: Path, precision: str, reference: Any, requantize: Callable[[Sequence[str]], Any]
) -> Iterator[Remedy]:
    """Each leaves some kind of convolution in FP32; only those that leave more than half as they were."""
    there = convolutions(reference)
    for name, is_kept in REMEDIES.items():
        kept = [node.get_friendly_name() for node in there if is_kept(node)]
        if kept and len(kept) * 2 < len(there):
            made = requantize(kept)
            yield Remedy(name, partial(answers, made, precision), partial(save, made, network))
