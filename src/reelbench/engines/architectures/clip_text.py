"""The text tower that belongs to CLIP ViT-B/32, with its projection, as transformers builds it (Radford et al., arXiv 2103.00020)."""

from __future__ import annotations

from typing import Any

_CONTEXT = 77
_END = 49407


def network() -> Any:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    # The defaults are those of ViT-B/32: 12 layers of width 512, 49408 tokens, 77 of them at most.
    return CLIPTextModelWithProjection(CLIPTextConfig(projection_dim=512, eos_token_id=_END))


def forward(network: Any, input_ids: Any) -> dict[str, Any]:
    """1×77 tokens in; the text's place in the common space, 1×512, out."""
    return {"text_embeds": network(input_ids=input_ids).text_embeds}


def example() -> tuple[Any, ...]:
    import torch

    ids = torch.zeros(1, _CONTEXT, dtype=torch.int64)
    ids[0, -1] = _END
    return (ids,)
