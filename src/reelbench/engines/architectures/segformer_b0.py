"""SegFormer-B0 with the 150 classes of ADE20K, as transformers builds it (Xie et al., arXiv 2105.15203)."""

from __future__ import annotations

from typing import Any

_SIDE = 512


def network() -> Any:
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    return SegformerForSemanticSegmentation(SegformerConfig(num_labels=150))


def forward(network: Any, pixel_values: Any) -> dict[str, Any]:
    """1×3×512×512 in, logits 1×150×128×128 out."""
    return {"logits": network(pixel_values).logits}


def example() -> tuple[Any, ...]:
    import torch

    return (torch.zeros(1, 3, _SIDE, _SIDE),)
