"""What RapidOCR's networks answer in bfloat16 and in FP32 to written lines, for the comparison of both (`engines.lowered`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reelbench.engines.fingerprint import fingerprint
from reelbench.engines.lowered import Feed, LoweredNetwork
from reelbench.engines.openvino_parity import PACKAGES, answers, read_network

_LINES = ("The quick brown fox", "jumps over 13 lazy dogs", "SALE -50% TODAY", "www.example.org")
_PAGE, _LINE = (384, 640), (48, 320)
"""Height and width of the detector's and of the recogniser's input."""


def lowered(files: Mapping[str, Path], precision: str, derived: Callable[[str], Path]) -> Iterator[LoweredNetwork]:
    """The detector and the recogniser in ``precision``, 'bf16' or 'native'; nothing where that is FP32 on this processor."""
    executed = _native() if precision == "native" else precision
    if executed == "fp32":
        return
    for role, inputs in (("detector", _pages), ("recogniser", _lines)):
        yield _network(files[role], executed, derived, inputs)


def _network(
    model: Path, precision: str, derived: Callable[[str], Path], inputs: Callable[[], Iterator[NDArray[np.float32]]]
) -> LoweredNetwork:
    def feeds() -> Iterator[Feed]:
        name = read_network(model).input().get_any_name()
        return ({name: one} for one in inputs())

    return LoweredNetwork(
        folder=derived(f"parity-openvino-{fingerprint(model)}"),
        name=model.name,
        precision=precision,
        packages=PACKAGES,
        identity=partial(fingerprint, model),
        inputs=feeds,
        answers=lambda given: answers(read_network(model), precision, given),
        reference=lambda given: answers(read_network(model), "fp32", given),
    )


def _native() -> str:
    """What OpenVINO computes in where it is not told."""
    import openvino as ov

    kind = ov.Core().get_property("CPU", "INFERENCE_PRECISION_HINT").get_type_name()
    return {"bf16": "bf16", "f16": "fp16"}.get(kind, "fp32")


def _pages() -> Iterator[NDArray[np.float32]]:
    """Pages with the lines, dark on light and light on dark."""
    import cv2

    high, wide = _PAGE
    for ink, paper in ((20, 235), (250, 60)):
        page = np.full((high, wide, 3), paper, np.uint8)
        for at, line in enumerate(_LINES):
            place = (24, 70 + 85 * at)
            cv2.putText(page, line, place, cv2.FONT_HERSHEY_SIMPLEX, 1.4, (ink, ink, ink), 3, cv2.LINE_AA)
        yield _normalized(page)


def _lines() -> Iterator[NDArray[np.float32]]:
    """Each line alone, as it is cut out to be spelled."""
    import cv2

    for line in _LINES:
        picture = np.full((*_LINE, 3), 235, np.uint8)
        cv2.putText(picture, line, (6, 34), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (20, 20, 20), 2, cv2.LINE_AA)
        yield _normalized(picture)


def _normalized(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """As PP-OCR's networks take pictures: 1×3×H×W between -1 and 1."""
    return np.ascontiguousarray((picture.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)[None])
