"""wav2vec 2.0 large robust, cut to 12 layers, with a head for arousal, dominance and valence (Wagner et al., arXiv 2203.07378).

The sizes are those of the published ``audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim``; transformers builds the body."""

from __future__ import annotations

from typing import Any

RATE = 16000
_WEIGHT_NORM = {
    "conv.weight_g": "conv.parametrizations.weight.original0",
    "conv.weight_v": "conv.parametrizations.weight.original1",
}
_ONLY_TRAINING = "wav2vec2.masked_spec_embed"


def network(**changed: Any) -> Any:
    """With the published sizes but for those of `Wav2Vec2Config` that are ``changed``."""
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    sizes = {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 12,
        "num_attention_heads": 16,
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
        "conv_bias": True,
        # Masks are for training; without them there is no vector that stands for what is masked.
        "mask_time_prob": 0.0,
        "mask_feature_prob": 0.0,
    }
    config = Wav2Vec2Config(**(sizes | changed))
    head = {
        "dense": torch.nn.Linear(config.hidden_size, config.hidden_size),
        "out_proj": torch.nn.Linear(config.hidden_size, 3),
    }
    return torch.nn.ModuleDict({"wav2vec2": Wav2Vec2Model(config), "classifier": torch.nn.ModuleDict(head)})


def forward(network: Any, signal: Any) -> dict[str, Any]:
    """1×T samples at 16 kHz of zero mean and unit variance in, logits 1×3 out: arousal, dominance, valence, each about 0 to 1."""
    pooled = network["wav2vec2"](signal).last_hidden_state.mean(dim=1)
    head = network["classifier"]
    return {"logits": head["out_proj"](head["dense"](pooled).tanh())}


def example() -> tuple[Any, ...]:
    import torch

    return (torch.zeros(1, RATE),)


def shapes() -> list[list[int]]:
    """Any length of sound."""
    return [[1, -1]]


def renamed(name: str) -> str | None:
    """What a tensor of the published file is called here: weight normalization was no parametrization then. None: it is not used."""
    if name == _ONLY_TRAINING:
        return None
    for old, new in _WEIGHT_NORM.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name
