"""NNCF's accuracy control: quantize, then give layers back to FP32, the most harmful first, until the answers agree well enough.

What 'agree' means is the analyzer's to say: it hands the engine a `Judge`. The network in FP32 is the reference, so that no ground
truth is wanted, and the images must be none on which quality is measured later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from reelbench.engines.base import Tensors
from reelbench.errors import ConfigError

Images = Sequence[NDArray[Any]]
"""Each 1×…: one image as the network is fed it."""


@runtime_checkable
class Judge(Protocol):
    """A `capabilities.Calibration` that also knows other images, and how alike two answers to one of them are."""

    def __call__(self) -> Iterable[NDArray[Any]]: ...

    def validation(self) -> Iterable[NDArray[Any]]:
        """Batches of images that are not among those of the calibration."""
        ...

    def agreement(self, reference: Tensors, found: Tensors) -> float:
        """0…1 for the answers to one image; 1 where nobody would notice a difference."""
        ...


@dataclass(frozen=True, slots=True)
class AccuracyControl:
    """Layers go back to FP32 until the mean agreement with FP32 is at least 1 - ``max_drop``; at most ``most`` steps (0: any number).

    Which one hurts most is found on the ``ranked`` validation images on which INT8 differs most. Takes minutes (2 cores).
    """

    max_drop: float = 0.05
    ranked: int = 24
    most: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.max_drop < 1 or self.ranked < 1 or self.most < 0:
            raise ConfigError(
                "engine.quantization.accuracy wants 0 < max_drop < 1, ranked >= 1 and most >= 0",
                "leave the key out for plain quantization",
            )

    def __str__(self) -> str:
        return f"{self.max_drop:g}/{self.ranked}/{self.most}"


@dataclass(slots=True)
class Agreement:
    """How well a network agrees with the one in FP32, on the validation images."""

    judge: Judge
    images: Images
    reference: list[Tensors] = field(default_factory=list)

    @classmethod
    def with_(cls, model: Any, judge: Judge) -> Agreement:
        """``model`` is the network in FP32. Raises ConfigError where there is no image."""
        images = [image[None] for batch in judge.validation() for image in np.asarray(batch)]
        if not images:
            raise ConfigError(
                "accuracy control has no image to validate on", "give analyzer.validation clips or photographs"
            )
        compiled = _compiled(model)
        return cls(judge, images, [_answer(compiled, image) for image in images])

    def of(self, model: Any) -> float:
        """The mean agreement of a network that was not compiled yet."""
        return self.on(_compiled(model), enumerate(self.images))[0]

    def on(self, compiled: Any, items: Iterable[tuple[int, NDArray[Any]]]) -> tuple[float, list[float]]:
        """NNCF's ``validation_fn``: the mean over (number, image), and each."""
        each = [self.judge.agreement(self.reference[at], _answer(compiled, image)) for at, image in items]
        return float(np.mean(each)), each


def control(model: Any, images: Images, agreement: Agreement, how: AccuracyControl, options: dict[str, Any]) -> Any:
    """``model`` in INT8 but for the layers that were given back. ``options`` are those of ``nncf.quantize``."""
    import nncf

    restorer = {"ranking_subset_size": min(how.ranked, len(agreement.images))}
    if how.most:
        restorer["max_num_iterations"] = how.most
    return nncf.quantize_with_accuracy_control(
        model,
        nncf.Dataset(images),
        nncf.Dataset(list(enumerate(agreement.images))),
        agreement.on,
        max_drop=how.max_drop,
        advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(**restorer),
        **options,
    )


def _compiled(model: Any) -> Any:
    import openvino as ov

    # Said explicitly, as NNCF does for its own passes: a processor with bfloat16 would use it unasked, and the reference would drift.
    return ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def _answer(compiled: Any, image: NDArray[Any]) -> Tensors:
    found = compiled([image])
    return {output.get_any_name(): np.array(found[output]) for output in compiled.outputs}
