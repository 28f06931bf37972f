"""The architectures that can be built without weights: Qwen2-VL, Qwen2.5-VL and Qwen3-VL in published and in test sizes.

Layers, widths and vocabulary of the published sizes are those of their config.json, so that the number of parameters is the
published one. ``tiny`` sizes are for tests; ``small`` (35 million parameters) is what a CPU can be measured with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reelbench.errors import ConfigError


def _text(
    hidden: int, intermediate: int, layers: int, heads: int, kv: int, vocabulary: int, sections: list[int], **more: Any
) -> dict[str, Any]:
    rope = {"rope_type": "default", "mrope_section": sections, "rope_theta": 1000000.0}
    return {
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "vocab_size": vocabulary,
        "rope_parameters": rope | more.pop("rope", {}),
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 32768,
        **more,
    }


def _windowed(depth: int, hidden: int, intermediate: int, heads: int, out: int, full: list[int]) -> dict[str, Any]:
    """Qwen2.5-VL's: attention within windows but for the layers ``full``."""
    return {
        "depth": depth,
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_heads": heads,
        "out_hidden_size": out,
        "fullatt_block_indexes": full,
        "window_size": 112 if depth > 2 else 56,
    }


def _deep(depth: int, hidden: int, intermediate: int, heads: int, out: int, stacked: list[int]) -> dict[str, Any]:
    """Qwen3-VL's: the outputs of the layers ``stacked`` go into the text's first layers."""
    return {
        "depth": depth,
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_heads": heads,
        "out_hidden_size": out,
        "deepstack_visual_indexes": stacked,
        "num_position_embeddings": 2304 if depth > 2 else 64,
    }


_MROPE, _INTERLEAVED = [16, 24, 24], {"rope_theta": 5000000.0, "mrope_interleaved": True}
_Parts = tuple[str, dict[str, Any], dict[str, Any], bool]
_SIZES: dict[str, _Parts] = {
    # name: (family in transformers, text, vision, whether the head is the embedding)
    "tiny": (
        "Qwen2VL",
        _text(64, 128, 2, 4, 2, 320, [2, 3, 3]),
        {"depth": 2, "embed_dim": 64, "num_heads": 2, "mlp_ratio": 2, "hidden_size": 64},
        False,
    ),
    "small": (
        "Qwen2VL",
        _text(512, 2048, 8, 8, 2, 8192, [8, 12, 12]),
        {"depth": 4, "embed_dim": 256, "num_heads": 4, "mlp_ratio": 4, "hidden_size": 512},
        False,
    ),
    "2b": (
        "Qwen2VL",
        _text(1536, 8960, 28, 12, 2, 151936, _MROPE),
        {"depth": 32, "embed_dim": 1280, "num_heads": 16, "mlp_ratio": 4, "hidden_size": 1536},
        True,
    ),
    "7b": (
        "Qwen2VL",
        _text(3584, 18944, 28, 28, 4, 152064, _MROPE),
        {"depth": 32, "embed_dim": 1280, "num_heads": 16, "mlp_ratio": 4, "hidden_size": 3584},
        False,
    ),
    "qwen2_5_vl_tiny": (
        "Qwen2_5_VL",
        _text(64, 128, 2, 4, 2, 320, [2, 3, 3]),
        _windowed(2, 64, 128, 2, 64, [1]),
        False,
    ),
    "qwen2_5_vl_3b": (
        "Qwen2_5_VL",
        _text(2048, 11008, 36, 16, 2, 151936, _MROPE),
        _windowed(32, 1280, 3420, 16, 2048, [7, 15, 23, 31]),
        True,
    ),
    "qwen2_5_vl_7b": (
        "Qwen2_5_VL",
        _text(3584, 18944, 28, 28, 4, 152064, _MROPE),
        _windowed(32, 1280, 3420, 16, 3584, [7, 15, 23, 31]),
        False,
    ),
    "qwen3_vl_tiny": (
        "Qwen3VL",
        _text(64, 128, 2, 4, 2, 320, [2, 3, 3], head_dim=16, rope=_INTERLEAVED),
        _deep(2, 64, 128, 2, 64, [0]),
        False,
    ),
    "qwen3_vl_2b": (
        "Qwen3VL",
        _text(2048, 6144, 28, 16, 8, 151936, [24, 20, 20], head_dim=128, rope=_INTERLEAVED),
        _deep(24, 1024, 4096, 16, 2048, [5, 11, 17]),
        True,
    ),
}


def family(size: str) -> str:
    """'Qwen2VL', 'Qwen2_5_VL' or 'Qwen3VL', as transformers' classes begin. ConfigError for an unknown size."""
    if size not in _SIZES:
        raise ConfigError(f"analyzer.architecture is '{size}'", f"give one of {', '.join(_SIZES)}")
    return _SIZES[size][0]


def configuration(size: str, tokens: Mapping[str, int]) -> Any:
    """The configuration of transformers for one of the sizes. ``tokens``: the ids of Qwen2's special tokens, '<|im_end|>' …

    ConfigError for an unknown size.
    """
    import transformers

    name = family(size)
    _, text, vision, tied = _SIZES[size]
    if name == "Qwen2VL":
        vision = vision | {"patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2}
    ends = {"bos_token_id": None, "eos_token_id": tokens["<|im_end|>"], "pad_token_id": tokens["<|endoftext|>"]}
    return getattr(transformers, f"{name}Config")(
        text_config=text | ends | {"tie_word_embeddings": tied},
        vision_config=vision,
        tie_word_embeddings=tied,
        image_token_id=tokens["<|image_pad|>"],
        video_token_id=tokens["<|video_pad|>"],
        vision_start_token_id=tokens["<|vision_start|>"],
        vision_end_token_id=tokens["<|vision_end|>"],
    )
