"""CLIP's image tower ViT-B/32 with its projection, as transformers builds it (Radford et al., arXiv 2103.00020)."""

from __future__ import annotations

from typing import Any

_SIDE = 224


def network() -> Any:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    # The defaults are those of ViT-B/32: 12 layers of width 768, patches of 32.
    return CLIPVisionModelWithProjection(CLIPVisionConfig(projection_dim=512))


def forward(network: Any, pixel_values: Any) -> dict[str, Any]:
    """1×3×224×224 in; the picture's place in the common space, 1×512, out."""
    return {"image_embeds": network(pixel_values=pixel_values).image_embeds}


def example() -> tuple[Any, ...]:
    import torch

    return (torch.zeros(1, 3, _SIDE, _SIDE),)
