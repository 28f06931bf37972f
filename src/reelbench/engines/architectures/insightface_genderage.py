"""A network of the size of InsightFace's genderage: MobileNet (Howard et al., arXiv 1704.04861) for a face of 96×96.

The published one is called MobileNet-0.25 with 0.3 million parameters (InsightFace's model zoo); its layers are not published other
than in the file. A width of 0.3125 gives 0.33 million, as the file's 1.3 MB hold, and more arithmetic than 0.25 would."""

from __future__ import annotations

from typing import Any

_SIDE, _WIDTH = 96, 0.3125


def network() -> Any:
    from transformers import MobileNetV1Config, MobileNetV1ForImageClassification

    return MobileNetV1ForImageClassification(
        MobileNetV1Config(depth_multiplier=_WIDTH, image_size=_SIDE, num_labels=3, classifier_dropout_prob=0.0)
    )


def forward(network: Any, data: Any) -> dict[str, Any]:
    """1×3×96×96 of 0 to 255 in; out, as fc1, 1×3: how much speaks for female and for male, and the age in centuries."""
    # As in the published graph, which brings its own scale.
    return {"fc1": network((data - 127.5) / 128).logits}


def example() -> tuple[Any, ...]:
    import torch

    return (torch.zeros(1, 3, _SIDE, _SIDE),)
