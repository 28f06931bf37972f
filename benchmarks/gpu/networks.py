"""Networks of other analyzers with seeded random weights: YOLO11n, SegFormer-B0, CLIP, Whisper."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from reelbench.errors import UnavailableError

SEED = 0
GENTLE = 0.2
"""Weight of YOLO's batch norms. With the usual 1 a network of random weights is chaotic: it makes the
rounding of FP16 a hundred times larger on the way to its answer, which trained networks do not."""
Tensors = tuple[torch.Tensor, ...]


class Named(torch.nn.Module):
    """A network with one way to call it."""

    def __init__(self, network: torch.nn.Module, call: Callable[..., Any]) -> None:
        super().__init__()
        self.network, self.call = network, call

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.call(self.network, *inputs)


@dataclass(frozen=True)
class Subject:
    """A network to measure. ``build(size, device)`` makes it in FP32, on any device; ``item`` names one
    element of a batch; ``inputs(size, batch, seed, device)`` makes what one call takes, with the batch
    first in each tensor. ``prefix`` begins the names of its arms."""

    part: str
    name: str
    item: str
    build: Callable[[str, str], Named]
    inputs: Callable[[str, int, int, str], Tensors]
    prefix: str = ""


def leaves(answer: Any) -> list[torch.Tensor]:
    """All tensors of floating-point numbers in an answer."""
    return [leaf for leaf in tree_leaves(answer) if torch.is_tensor(leaf) and leaf.is_floating_point()]


def _generator(seed: int, device: str) -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)


def _pictures(full: int, tiny: int) -> Callable[[str, int, int, str], Tensors]:
    def made(size: str, batch: int, seed: int, device: str) -> Tensors:
        return (_picture(batch, full if size == "full" else tiny, seed, device),)

    return made


def _picture(batch: int, side: int, seed: int, device: str) -> torch.Tensor:
    """Blotches of colour under a little noise, in 0…1. To a network pictures of noise alone look alike."""
    dice = _generator(seed, device)
    blotches = torch.rand(batch, 3, 6, 6, generator=dice, device=device)
    large = torch.nn.functional.interpolate(blotches, (side, side), mode="bilinear")
    return 0.9 * large + 0.1 * torch.rand(batch, 3, side, side, generator=dice, device=device)


def _seeded(make: Callable[[], torch.nn.Module], device: str) -> torch.nn.Module:
    """Made where it is to run: a GPU draws a billion weights in no time.

    Weights of layers are drawn wider than transformers does (0.02 whatever the width): with those a layer
    hardly changes what goes through, and a wrong one would not be seen in the answer.
    """
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(SEED)
        network = make()
        for layer in network.modules():
            if isinstance(layer, (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d)):
                torch.nn.init.normal_(layer.weight, std=layer.weight[0].numel() ** -0.5)
        return network


def _yolo(size: str, device: str) -> Named:
    """Ultralytics' own network, with batch norms that one pass over noise has set.

    As it is drawn, signals die out on their way through it, and every picture gives the same answer.
    """
    from reelbench.engines.ultralytics import open_yolo

    try:
        network = open_yolo(Path("yolo11n.yaml"), SEED).model
    except ModuleNotFoundError as error:
        # Ultralytics itself is there, and imports OpenCV and matplotlib.
        raise UnavailableError(f"not installed: {error.name}, which Ultralytics needs") from error
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
        norm.reset_running_stats()
        torch.nn.init.constant_(norm.weight, GENTLE)
    network.train()
    with torch.no_grad():
        network(_picture(4, 256, SEED, "cpu"))
    return Named(network.eval().fuse(verbose=False), _call)


def _call(network: torch.nn.Module, *inputs: torch.Tensor) -> Any:
    return network(*inputs)


def _architecture(name: str, tiny: Callable[[], torch.nn.Module]) -> Callable[[str, str], Named]:
    """A module of `reelbench.engines.architectures`; ``tiny`` makes a small network of the same kind."""

    def built(size: str, device: str) -> Named:
        module = importlib.import_module(f"reelbench.engines.architectures.{name}")
        return Named(_seeded(module.network if size == "full" else tiny, device), module.forward)

    return built


def _tiny_segformer() -> torch.nn.Module:
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    return SegformerForSemanticSegmentation(
        SegformerConfig(num_labels=5, hidden_sizes=[8, 16, 16, 16], depths=[1, 1, 1, 1], decoder_hidden_size=16)
    )


def _tiny_vision() -> torch.nn.Module:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    # One layer: it is also compiled in a rehearsal, which takes a CPU long.
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    return CLIPVisionModelWithProjection(CLIPVisionConfig(projection_dim=16, image_size=64, **small))


def _tiny_text() -> torch.nn.Module:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    return CLIPTextModelWithProjection(CLIPTextConfig(projection_dim=16, eos_token_id=49407, **small))


def _words(size: str, batch: int, seed: int, device: str) -> Tensors:
    """77 tokens each, the last of which ends the text."""
    drawn = torch.randint(0, 49000, (batch, 77), generator=_generator(seed, device), device=device)
    drawn[:, -1] = 49407
    return (drawn,)


@dataclass(frozen=True)
class Whisper:
    """Sizes of Whisper: ``places`` is the length of the encoder's answer, ``past`` the tokens that a decoding step looks back on."""

    width: int
    encoder: int
    decoder: int
    words: int
    mels: int
    places: int
    past: int

    @property
    def heads(self) -> int:
        return self.width // 64

    def network(self) -> Any:
        from transformers import WhisperConfig, WhisperForConditionalGeneration

        return WhisperForConditionalGeneration(
            WhisperConfig(
                vocab_size=self.words,
                num_mel_bins=self.mels,
                d_model=self.width,
                encoder_layers=self.encoder,
                decoder_layers=self.decoder,
                encoder_attention_heads=self.heads,
                decoder_attention_heads=self.heads,
                encoder_ffn_dim=4 * self.width,
                decoder_ffn_dim=4 * self.width,
                max_source_positions=self.places,
                max_target_positions=448,
                pad_token_id=0,
                bos_token_id=0,
                eos_token_id=0,
                decoder_start_token_id=0,
            )
        )


WHISPER = {
    "full": Whisper(1280, 32, 4, 51866, 128, 1500, 64),  # large-v3-turbo
    "tiny": Whisper(64, 2, 2, 100, 16, 30, 5),
}


def _whisper_encoder(size: str, device: str) -> Named:
    return Named(_seeded(lambda: WHISPER[size].network().model.encoder, device), _encode)


def _encode(encoder: Any, sound: torch.Tensor) -> Any:
    return encoder(sound).last_hidden_state


def _sound(size: str, batch: int, seed: int, device: str) -> Tensors:
    """30 s as a log-mel spectrogram."""
    about = WHISPER[size]
    shape = (batch, about.mels, 2 * about.places)
    return (torch.randn(shape, generator=_generator(seed, device), device=device),)


class Step:
    """One more token after ``past`` others: the call of Whisper's decoder that transcription makes most often.

    The keys and values of the past are inputs (those of self-attention, layer by layer, then those over
    the sound). They are not changed, so that the same call can be made again, and recorded as a CUDA
    graph.
    """

    def __init__(self, layers: int) -> None:
        self._layers = layers

    def __call__(self, network: Any, token: torch.Tensor, *past: torch.Tensor) -> Any:
        from transformers import DynamicCache, EncoderDecoderCache
        from transformers.cache_utils import DynamicLayer

        caches = []
        for first in (0, 2 * self._layers):
            held = DynamicCache()
            for at in range(first, first + 2 * self._layers, 2):
                layer = DynamicLayer()
                # Not by `update`, which copies what it is given.
                layer.keys, layer.values = past[at], past[at + 1]
                layer.dtype, layer.device, layer.is_initialized = past[at].dtype, past[at].device, True
                held.layers.append(layer)
            caches.append(held)
        # Of the sound only the keys and values are read; that something is given asks for them.
        sound = past[-1].new_zeros(token.shape[0], 1, network.config.d_model)
        answer = network.model.decoder(
            input_ids=token, encoder_hidden_states=sound, past_key_values=EncoderDecoderCache(*caches), use_cache=True
        )
        return network.proj_out(answer.last_hidden_state)


def _whisper_decoder(size: str, device: str) -> Named:
    def made() -> torch.nn.Module:
        network = WHISPER[size].network()
        # Decoding does not use it, and its weights would count as if it did.
        network.model.encoder = torch.nn.Identity()
        return network

    return Named(_seeded(made, device), Step(WHISPER[size].decoder))


def _past(size: str, batch: int, seed: int, device: str) -> Tensors:
    """A token, and random keys and values."""
    about, dice = WHISPER[size], _generator(seed, device)
    token = torch.randint(0, about.words, (batch, 1), generator=dice, device=device)
    lengths = [about.past] * 2 * about.decoder + [about.places] * 2 * about.decoder
    shapes = [(batch, about.heads, length, 64) for length in lengths]
    return (token, *(torch.randn(shape, generator=dice, device=device) for shape in shapes))


YOLO = Subject("yolo11n", "yolo11n", "pictures", _yolo, _pictures(640, 32))
SEGFORMER = Subject(
    "segformer_b0", "segformer_b0", "pictures", _architecture("segformer_b0", _tiny_segformer), _pictures(512, 64)
)
CLIP_VISION = Subject(
    "clip_vit_b32", "clip_vision", "pictures", _architecture("clip_vision", _tiny_vision), _pictures(224, 64)
)
CLIP_TEXT = Subject("clip_vit_b32", "clip_text", "texts", _architecture("clip_text", _tiny_text), _words, "text ")
ENCODER = Subject("whisper_large_v3_turbo", "whisper_encoder", "segments", _whisper_encoder, _sound, "encoder ")
DECODER = Subject("whisper_large_v3_turbo", "whisper_decoder", "tokens", _whisper_decoder, _past, "decoder step ")
