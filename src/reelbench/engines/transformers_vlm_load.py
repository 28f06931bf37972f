"""Vision-language networks from a folder of weights, or from a configuration with random ones; quantized by bitsandbytes or not."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

from reelbench.errors import AnalyzerError, UnavailableError

QUANTIZED = ("int8", "nf4")


@dataclass(frozen=True, slots=True)
class Form:
    """How a network is to be held: ``attention`` is transformers' attn_implementation; ``precision`` is never 'auto' here."""

    attention: str
    precision: str
    device: str

    @property
    def dtype(self) -> Any:
        """Type of what is not quantized. bitsandbytes computes in half precision on a GPU."""
        import torch

        if self.precision in QUANTIZED:
            return torch.bfloat16 if self.device.startswith("cuda") else torch.float32
        return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[self.precision]

    @property
    def settings(self) -> dict[str, Any]:
        """What from_pretrained takes."""
        taken: dict[str, Any] = {"dtype": self.dtype, "attn_implementation": self.attention}
        if self.precision in QUANTIZED:
            from transformers import BitsAndBytesConfig

            four = self.precision == "nf4"
            taken["quantization_config"] = (
                BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=self.dtype)
                if four
                else BitsAndBytesConfig(load_in_8bit=True)
            )
            taken["device_map"] = {"": self.device}
        return taken


def from_folder(folder: Path, form: Form) -> tuple[Any, Any]:
    """(processor, network) of a folder as Hugging Face lays it out, with safetensors. Nothing is looked for on the network.

    Raises AnalyzerError where the folder holds no such network, a pickle, or not all of its weights.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForImageTextToText, AutoProcessor

    _refuse_pickle(folder)
    try:
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
        network, report = AutoModelForImageTextToText.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, output_loading_info=True, **form.settings
        )
    except torch.OutOfMemoryError:
        raise
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        raise AnalyzerError(
            f"transformers cannot load {folder.name}: {_short(error)}",
            "a file may be damaged: 'reelbench models verify' tells, 'reelbench models pull' fetches it again",
        ) from error
    # transformers draws at random what a checkpoint lacks, and only warns.
    if lacking := sorted(report["missing_keys"]):
        raise AnalyzerError(f"{folder.name} lacks weights: {', '.join(lacking[:3])}")
    return processor, network if form.precision in QUANTIZED else network.to(form.device)


def from_configuration(architecture: str, form: Form, seed: int) -> tuple[Any, Any]:
    """(processor, network) in one of `transformers_vlm_sizes`, with random weights."""
    from reelbench.engines import transformers_vlm_random as random

    network = random.network(architecture, seed, form.dtype, form.device, form.attention)
    if form.precision in QUANTIZED:
        kind, config, state = type(network), network.config, network.state_dict()
        network = kind.from_pretrained(None, config=config, state_dict=state, **form.settings)
    return random.processor(architecture), network


def begin(device: str, threads: int) -> None:
    """Quieten transformers, set PyTorch's threads, and see that the device is there."""
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    # It says for every matrix product that the input is cast, which LLM.int8() is about.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    if threads:
        torch.set_num_threads(threads)
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UnavailableError("this PyTorch sees no CUDA device", "https://pytorch.org/get-started/locally/")


def _short(error: Exception) -> str:
    """The first sentence or two: transformers adds tables and links."""
    return shorten(" ".join(str(error).split()), 200, placeholder=" …") or type(error).__name__


def _refuse_pickle(folder: Path) -> None:
    if not folder.is_dir():
        raise AnalyzerError(f"{folder} is no folder of weights")
    if any(folder.glob("*.safetensors")):
        return
    pickles = [path.name for path in sorted(folder.iterdir()) if path.suffix in (".bin", ".pt", ".pth")]
    if pickles:
        raise AnalyzerError(
            f"{folder.name} holds {pickles[0]}, a pickle, and no safetensors",
            "pickles can run code when they are read; convert it to safetensors",
        )
    raise AnalyzerError(f"{folder.name} holds no safetensors")
