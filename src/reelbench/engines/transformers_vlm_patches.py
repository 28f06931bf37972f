"""Frames to the patches of Qwen2-VL and Qwen2.5-VL where torchvision, which transformers' own video processor needs, is not installed.

Only for random weights, so that speed can be measured on a machine that has torch and transformers alone. It gives what
`Qwen2VLProcessor` gives: the same patches where the frames' sides are multiples of 28, else the same up to rounding of the resizing.
Method: the processor of Qwen2-VL (arXiv 2409.12191): CLIP's normalization, two frames of 14×14 pixels a patch, 2×2 patches a token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from reelbench.engines.transformers_vlm_types import Video

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
"""CLIP's, of pixels in 0…1."""


class PatchProcessor:
    """Stands in for a `Qwen2VLProcessor` in `TransformersVLM.encode`. ``template`` is the chat template."""

    def __init__(self, tokenizer: Any, template: str) -> None:
        self.tokenizer = tokenizer
        self.video_processor = SimpleNamespace(patch_size=14, merge_size=2, temporal_patch_size=2)
        self._template = template

    def apply_chat_template(self, messages: Sequence[Mapping[str, Any]], **settings: Any) -> str:
        return str(self.tokenizer.apply_chat_template(messages, chat_template=self._template, **settings))

    def __call__(self, text: Sequence[str], videos: Sequence[Video], **settings: Any) -> Any:
        """``settings`` are those of the real processor; the frames come in the wanted size and are all used, so none matters here."""
        import torch
        from transformers import BatchFeature

        made = [self._patches(video) for video in videos]
        pad = self.tokenizer.convert_tokens_to_ids("<|video_pad|>")
        whole = [
            one.replace("<|video_pad|>", "<|video_pad|>" * (grid[0] * grid[1] * grid[2] // 4), 1)
            for one, (_, grid) in zip(text, made, strict=True)
        ]
        tokens = self.tokenizer(whole, return_tensors="pt", padding=True)
        return BatchFeature(
            {
                "input_ids": tokens["input_ids"],
                "attention_mask": tokens["attention_mask"],
                "mm_token_type_ids": (tokens["input_ids"] == pad).long() * 2,
                "pixel_values_videos": torch.cat([patches for patches, _ in made]),
                "video_grid_thw": torch.tensor([grid for _, grid in made]),
            }
        )

    def _patches(self, video: Video) -> tuple[Any, tuple[int, int, int]]:
        """T×H×W×3 to (patches × their 1176 values, (their number in time, down, across))."""
        import torch
        from torch.nn.functional import interpolate

        size, merge, pair = 14, 2, 2
        frames = torch.from_numpy(video).permute(0, 3, 1, 2).float()
        sides = [max(round(side / (size * merge)), 1) * size * merge for side in frames.shape[2:]]
        if sides != list(frames.shape[2:]):
            frames = interpolate(frames, sides, mode="bicubic", antialias=True).round().clamp(0, 255)
        if len(frames) % pair:
            frames = torch.cat([frames, frames[-1:]])
        mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
        frames = (frames / 255 - mean) / deviation
        times, down, across = len(frames) // pair, sides[0] // size, sides[1] // size
        blocks = frames.view(times, pair, 3, down // merge, merge, size, across // merge, merge, size)
        blocks = blocks.permute(0, 3, 6, 4, 7, 2, 1, 5, 8)
        return blocks.reshape(times * down * across, -1), (times, down, across)
