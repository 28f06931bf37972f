"""Vision-language networks (Qwen2-VL and its successors) in PyTorch by Hugging Face transformers. Needs the extra ``vlm``.

Windows of a clip go in as frames, one text each comes out. Decoding is greedy, so equal inputs give equal texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt

from reelbench.engines import transformers_vlm_parity
from reelbench.engines.base import Availability, Evidence
from reelbench.engines.capabilities import Calibration
from reelbench.engines.lowered import LoweredNetwork
from reelbench.engines.transformers_vlm_available import available
from reelbench.engines.transformers_vlm_evidence import (
    ATTENTION,
    Meter,
    compiled_graphs,
    family,
    kernels,
    linear_types,
)
from reelbench.engines.transformers_vlm_load import QUANTIZED, Form, begin, from_configuration, from_folder
from reelbench.engines.transformers_vlm_prefix import Caches, forget_positions
from reelbench.engines.transformers_vlm_types import Answer, Decoding, Encoded, Prompt, Video
from reelbench.errors import AnalyzerError, ConfigError

PRECISIONS = ("auto", "fp32", "bf16", "fp16", *QUANTIZED)


class TransformersVLM:
    """One vision-language network.

    ``attention``: transformers' attn_implementation. ``precision`` 'auto' is bf16 on a GPU and fp32 on a CPU; 'int8' (LLM.int8()) and
    'nf4' quantize the linear layers by bitsandbytes. ``compiled``: decoding by torch.compile with a cache of fixed size.
    ``prefix_cache``: keys and values of the instructions are computed once. ``threads`` 0 leaves PyTorch's own choice. ``seed`` is that
    of random weights.
    """

    def __init__(
        self,
        attention: Literal["eager", "sdpa", "flash_attention_2"] = "eager",
        precision: Literal["auto", "fp32", "bf16", "fp16", "int8", "nf4"] = "auto",
        device: str = "cpu",
        compiled: bool = False,
        prefix_cache: bool = False,
        threads: NonNegativeInt = 0,
        seed: NonNegativeInt = 0,
    ) -> None:
        for name, given, known in (("attention", attention, ATTENTION), ("precision", precision, PRECISIONS)):
            if given not in known:
                raise ConfigError(f"analyzer.engine.{name} is '{given}'", f"give one of {', '.join(known)}")
        self._attention, self._device = attention, device
        self._compiled, self._prefix_cache, self._threads, self._seed = compiled, prefix_cache, threads, seed
        own = "bf16" if self._cuda else "fp32"
        self._form = Form(attention, own if precision == "auto" else precision, device)
        self._backend = "inductor"
        self._network: Any = None
        self._caches: Any = None
        self._last: tuple[Encoded, Decoding] | None = None
        self._most = 0
        self._batches: list[int] = []
        self._halved: list[int] = []
        self._tokens = 0

    @property
    def _cuda(self) -> bool:
        return self._device.startswith("cuda")

    def available(self) -> Availability:
        return available(self._form, self._compiled)

    def lowered(self, folder: Path, model: Path, calibration: Calibration) -> Iterator[LoweredNetwork]:
        """``model``: the folder of the weights, or the name of the architecture that `build` takes."""
        if self._form.precision == "fp32":
            return
        yield transformers_vlm_parity.lowered(folder, str(model), self._form, partial(self._other, model))

    def _other(self, model: Path, attention: str, precision: str) -> TransformersVLM:
        """The same network with another attention, in another precision."""
        # Both are of the names that the constructor takes.
        one = TransformersVLM(attention, precision, self._device, threads=self._threads, seed=self._seed)  # type: ignore[arg-type]
        if model.is_dir():
            one.load(model)
        else:
            one.build(model.name)
        return one

    def logits(self, video: Video, prompt: Prompt, tokens: int) -> NDArray[np.float32]:
        """Those behind each of the last ``tokens`` of the prompt on one video: tokens×vocabulary."""
        import torch

        with torch.no_grad():
            forget_positions(self._network)
            found = self._network(**self.encode([video], 2.0, prompt).inputs, use_cache=False).logits
            return np.asarray(found[0, -tokens:].float().cpu())

    def load(self, model: Path, **files: Path) -> None:
        """``model``: a folder as Hugging Face lays it out (`transformers_vlm_load.from_folder`)."""
        begin(self._device, self._threads)
        with _fitting():
            self._settle(*from_folder(model, self._form))

    def build(self, architecture: str) -> None:
        """As `load`, with seeded random weights in one of `transformers_vlm_sizes`. A text never ends early."""
        begin(self._device, self._threads)
        with _fitting():
            self._settle(*from_configuration(architecture, self._form, self._seed), endless=True)

    def encode(self, videos: Sequence[Video], fps: float, prompt: Prompt) -> Encoded:
        """Frames to patches and the prompt to tokens, on the device. All ``videos`` have the same shape; ``fps`` is their own rate."""
        frames, height, width = videos[0].shape[:3]
        factor = self._processor.video_processor.patch_size * self._processor.video_processor.merge_size
        # The frames come in the wanted size: the processor shall only round it to whole patches, up or down.
        size = {"shortest_edge": factor**2, "longest_edge": frames * (height + 2 * factor) * (width + 2 * factor)}
        about = {"total_num_frames": frames, "fps": fps, "frames_indices": list(range(frames))}
        inputs = self._processor(
            text=[self._ask(prompt)] * len(videos),
            videos=list(videos),
            videos_kwargs={"do_sample_frames": False, "size": size, "video_metadata": [about] * len(videos)},
            return_tensors="pt",
        ).to(self._device)
        video = inputs["input_ids"][0] == self._network.config.video_token_id
        return Encoded(dict(inputs), len(videos), int(video.int().argmax()))

    def generate(self, encoded: Encoded, decoding: Decoding) -> list[Answer]:
        """One answer a window. Where the GPU's memory does not suffice, the batch is halved, for good; `evidence` tells."""
        import torch

        answers: list[Answer] = []
        while len(answers) < encoded.count:
            at = len(answers)
            part = encoded.rows(at, min(at + (self._most or encoded.count), encoded.count))
            try:
                answers += self._generate(part, decoding)
                continue
            except torch.OutOfMemoryError as error:
                if part.count == 1:
                    raise AnalyzerError(
                        "the GPU's memory does not suffice for one window",
                        "take smaller or fewer frames (analyzer.size, analyzer.windows.frames), or variant=nf4",
                    ) from error
            self._most = part.count // 2
            self._halved.append(self._most)
            self._caches.forget()
            torch.cuda.empty_cache()
        return answers

    def evidence(self) -> Evidence:
        """Types are those of the weights, kernels PyTorch's own record of one more window, the batch that of the answers' logits."""
        import torch

        types = linear_types(self._network)
        precision = max(types, key=lambda kind: types[kind]) if types else ""
        last = self._last
        found = {} if last is None else kernels(lambda: self._once(*last), self._cuda)
        first = next(self._network.parameters())
        device = str(first.device)
        details: dict[str, Any] = {
            "network": type(self._network).__name__,
            "processor": type(self._processor).__name__,
            "parameters": sum(parameter.numel() for parameter in self._network.parameters()),
            "linear_types": types,
            "attention": family(found),
            "attention_kernels": found,
            "tokens_generated": self._tokens,
            "prompt_tokens": 0 if last is None else int(last[0].inputs["input_ids"].shape[1]),
            "prefix_tokens_reused": self._caches.reused,
            "batches_halved_to": self._halved,
            "compiled_graphs": compiled_graphs() - self._graphs_before if self._compiled else 0,
            "transformers": version("transformers"),
        }
        if self._cuda:
            details |= {"gpu": torch.cuda.get_device_name(), "peak_bytes": torch.cuda.max_memory_allocated()}
        return Evidence(
            engine="transformers",
            device=device.upper() if first.device.type == "cpu" else device.replace("cuda", "CUDA"),
            precision=precision,
            version=str(torch.__version__),
            batch=max(self._batches, default=0),
            contradiction=self._contradiction(precision, first.device.type, details),
            details=details,
        )

    def close(self) -> None:
        self._network = self._last = self._caches = None

    def _settle(self, processor: Any, network: Any, endless: bool = False) -> None:
        from transformers import GenerationConfig

        ends = None if endless else network.generation_config.eos_token_id
        # A checkpoint's own settings (sampling, temperature) shall not mix with what is asked for here.
        network.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=processor.tokenizer.pad_token_id)
        self._ends = [ends] if isinstance(ends, int) else list(ends or ())
        self._processor, self._network = processor, network.eval().requires_grad_(False)
        self._graphs_before = compiled_graphs() if self._compiled else 0
        self._caches = Caches(network, static=self._compiled, shared=self._prefix_cache)

    def _ask(self, prompt: Prompt) -> str:
        messages = [
            {"role": "system", "content": [{"type": "text", "text": prompt.instructions}]},
            {"role": "user", "content": [{"type": "video"}, {"type": "text", "text": prompt.question}]},
        ]
        return str(self._processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    def _generate(self, encoded: Encoded, decoding: Decoding) -> list[Answer]:
        meter, written = self._once(encoded, decoding)
        self._last = (encoded.rows(0, 1), decoding)
        self._batches.append(meter.batch)
        rows = [self._until_end(row) for row in written.tolist()]
        self._tokens += sum(len(row) for row in rows)
        texts = self._processor.tokenizer.batch_decode(rows, skip_special_tokens=True)
        scores = meter.scores([len(row) for row in rows])
        return [
            Answer(text.strip(), score, len(row), tuple(row))
            for text, score, row in zip(texts, scores, rows, strict=True)
        ]

    def _once(self, encoded: Encoded, decoding: Decoding) -> tuple[Meter, Any]:
        """The tokens written for each window (N×T), and what was noted meanwhile."""
        import torch

        meter = Meter()
        ids = encoded.inputs["input_ids"]
        with torch.no_grad():
            cache = self._caches.take(ids, encoded.prefix, decoding.max_new_tokens)
            forget_positions(self._network)
            written = self._network.generate(
                **encoded.inputs,
                **({} if cache is None else {"past_key_values": cache}),
                generation_config=self._settings(decoding),
                logits_processor=[*self._avoiding(decoding, ids.device), meter],
            )
        return meter, written[:, ids.shape[1] :]

    def _settings(self, decoding: Decoding) -> Any:
        from transformers import CompileConfig, GenerationConfig

        own = self._network.generation_config
        settings = GenerationConfig(
            do_sample=False,
            max_new_tokens=decoding.max_new_tokens,
            repetition_penalty=decoding.repetition_penalty,
            no_repeat_ngram_size=decoding.no_repeat_ngram,
            eos_token_id=own.eos_token_id,
            pad_token_id=own.pad_token_id,
            disable_compile=not self._compiled,
        )
        if self._compiled:
            settings.compile_config = CompileConfig(backend=self._backend)
            # transformers compiles on accelerators only, unless told so by this attribute.
            settings.compile_config._compile_all_devices = True
        return settings

    def _avoiding(self, decoding: Decoding, device: Any) -> list[Any]:
        from transformers import EncoderNoRepeatNGramLogitsProcessor

        size = decoding.no_repeat_ngram
        known = [self._processor.tokenizer(text, return_tensors="pt")["input_ids"] for text in decoding.avoid if text]
        return [
            EncoderNoRepeatNGramLogitsProcessor(size, ids.to(device)) for ids in known if size and ids.shape[1] >= size
        ]

    def _until_end(self, row: list[int]) -> list[int]:
        """The tokens up to the one that ends the text, that one included; what follows is padding."""
        ends = [at for at, token in enumerate(row) if token in self._ends]
        return row[: ends[0] + 1] if ends else row

    def _contradiction(self, precision: str, device: str, details: Mapping[str, Any]) -> str:
        wanted = {
            "precision": (self._form.precision, precision),
            "device": (self._device.split(":")[0], device),
            "attention": (ATTENTION[self._attention], details["attention"]),
        }
        for what, (asked, found) in wanted.items():
            if self._last is not None and asked != found:
                return f"asked for {what} {asked}, it was {found}"
        if self._last is not None and self._compiled and not details["compiled_graphs"]:
            return "asked for compiled decoding, nothing was compiled"
        if self._last is not None and self._prefix_cache and not details["prefix_tokens_reused"]:
            return "asked for a prefix cache, no token was taken from it"
        return ""


@contextmanager
def _fitting() -> Iterator[None]:
    """A network that the GPU's memory cannot hold is one line."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise AnalyzerError(
            "the GPU's memory does not suffice for the network", "take variant=nf4, or a smaller network"
        ) from error
