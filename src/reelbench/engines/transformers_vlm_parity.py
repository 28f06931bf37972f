"""A vision-language network in less than FP32, and how it is compared with FP32 (`engines.lowered`).

Compared are the logits of the prompt's last tokens behind a short made-up video, with plain attention in FP32: before a word is
written, so that both see the same. FP32 needs twice the memory of bfloat16, seven times that of NF4; where there is not so much,
nothing is compared, and the evidence says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reelbench.engines.base import Tensors
from reelbench.engines.fingerprint import digest
from reelbench.engines.lowered import Answers, Feed, LoweredNetwork, NotComparedError, pictures
from reelbench.engines.transformers_vlm_load import Form
from reelbench.engines.transformers_vlm_types import Prompt
from reelbench.errors import AnalyzerError

PACKAGES = ("torch", "transformers", "bitsandbytes")
_PROMPT = Prompt("Describe the action in one short sentence.", "What happens?")
_TOKENS = 8
_FRAMES, _SIDE = 4, 56


class Network(Protocol):
    """What is asked of the engine."""

    def logits(self, video: NDArray[np.uint8], prompt: Prompt, tokens: int) -> NDArray[np.float32]: ...

    def close(self) -> None: ...


def lowered(folder: Path, source: str, form: Form, opened: Callable[[str, str], Network]) -> LoweredNetwork:
    """``source``: the folder of the weights, or the name of an architecture with random ones. ``opened`` loads the network with some
    attention in some precision."""

    def answers(attention: str, precision: str) -> Answers:
        def ask(feeds: Sequence[Feed]) -> Iterator[Tensors]:
            with closing(opened(attention, precision)) as network:
                for feed in feeds:
                    yield {"logits": network.logits(feed["video"], _PROMPT, _TOKENS)}

        return ask

    def reference(feeds: Sequence[Feed]) -> list[Tensors]:
        _must_fit(Path(source), form)
        try:
            return list(answers("eager", "fp32")(feeds))
        except AnalyzerError as error:
            if type(error.__cause__).__name__ != "OutOfMemoryError":
                raise
            raise NotComparedError(f"the memory of {form.device} does not suffice for FP32") from error

    return LoweredNetwork(
        folder=folder,
        name=Path(source).name,
        precision=form.precision,
        packages=PACKAGES,
        identity=lambda: f"{identity(source)} {form.attention}",
        inputs=_videos,
        answers=answers(form.attention, form.precision),
        reference=reference,
        where="" if form.device == "cpu" else form.device,
    )


def identity(source: str) -> str:
    """Of a folder: names and sizes of its files, which the catalog pins; gigabytes are not read again."""
    folder = Path(source)
    if not folder.is_dir():
        return source
    return digest(" ".join(f"{one.name}:{one.stat().st_size}" for one in sorted(folder.iterdir()) if one.is_file()))


def _must_fit(folder: Path, form: Form) -> None:
    """Raises NotComparedError where the network in FP32, as the size of its files tells, is larger than the free memory."""
    import psutil
    import torch

    # Published weights are in bfloat16.
    wanted = 2 * sum(one.stat().st_size for one in folder.glob("*.safetensors"))
    cuda = form.device.startswith("cuda")
    free: Any = torch.cuda.mem_get_info(form.device)[0] if cuda else psutil.virtual_memory().available
    if wanted > free:
        raise NotComparedError(
            f"{folder.name} in FP32 takes {wanted / 1e9:.1f} GB, {free / 1e9:.1f} GB are free on {form.device}"
        )


def _videos() -> Iterator[Feed]:
    for one in pictures((_FRAMES, 3, _SIDE, _SIDE), count=2):
        yield {"video": np.ascontiguousarray(one.transpose(0, 2, 3, 1) * 255).astype(np.uint8)}
