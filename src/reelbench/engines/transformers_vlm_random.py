"""Qwen2-VL and its successors with seeded random weights, built from their configuration (`transformers_vlm_sizes`): good for speed
and memory, never for quality.

Nothing is downloaded. The tokenizer is a stand-in made here: one token for each byte and Qwen2's special tokens. So a prompt has more
tokens than with the real tokenizer (about four times), and the text that comes out is noise. The family's own processor turns frames
into patches, as with the real weights; without torchvision `transformers_vlm_patches` does.
"""

from __future__ import annotations

import importlib.util
from typing import Any

from reelbench.engines import transformers_vlm_sizes as sizes
from reelbench.engines.transformers_vlm_patches import PatchProcessor
from reelbench.errors import UnavailableError

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
"""Qwen2's, in this order after the 256 bytes."""

_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def configuration(size: str) -> Any:
    """The configuration of one of `transformers_vlm_sizes`, for the stand-in tokenizer. ConfigError for another one."""
    return sizes.configuration(size, {name: 256 + at for at, name in enumerate(SPECIAL)})


def processor(size: str = "tiny") -> Any:
    """The processor of the size's family around the stand-in tokenizer: transformers' own, or where torchvision is not installed, which
    that needs, one that makes the same patches."""
    import transformers

    family = sizes.family(size)
    if importlib.util.find_spec("torchvision") is None:
        if family == "Qwen3VL":
            raise UnavailableError("Qwen3-VL's processor needs torchvision", "pip install torchvision")
        return PatchProcessor(_tokenizer(), _TEMPLATE)
    videos = transformers.Qwen3VLVideoProcessor() if family == "Qwen3VL" else transformers.Qwen2VLVideoProcessor()
    return getattr(transformers, f"{family}Processor")(
        image_processor=transformers.Qwen2VLImageProcessor(),
        tokenizer=_tokenizer(),
        video_processor=videos,
        chat_template=_TEMPLATE,
    )


def network(size: str, seed: int, dtype: Any, device: str, attention: str) -> Any:
    """The network on its device, weights drawn with ``seed``: equal for equal size, seed, dtype and kind of device."""
    import torch
    from transformers import AutoModelForImageTextToText

    indices = [torch.cuda.current_device()] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=indices), torch.device(device):
        torch.manual_seed(seed)
        return AutoModelForImageTextToText.from_config(configuration(size), dtype=dtype, attn_implementation=attention)


def _tokenizer() -> Any:
    """One token for each byte, in the order of GPT-2's printable alphabet, and the special tokens after them."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE(vocab={char: at for at, char in enumerate(alphabet)}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|endoftext|>", padding_side="left"
    )
