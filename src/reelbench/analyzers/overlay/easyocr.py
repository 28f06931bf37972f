"""EasyOCR (https://github.com/JaidedAI/EasyOCR): CRAFT finds words, a CRNN spells them. In PyTorch; needs the extra ``easyocr``.

Its own downloads never happen: the weights are files of the model store. They are pickles, so only files whose sha256 the catalog
pins are read.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import NonNegativeInt, PositiveInt

from reelbench.analyzers.overlay.reader import Region, Spelling
from reelbench.engines.base import Availability, Evidence
from reelbench.engines.proofs import proven
from reelbench.errors import AnalyzerError, UnavailableError
from reelbench.media.types import Colour, Image

MEND = 'pip install "reelbench[easyocr]"'


class EasyOCRReader:
    """English EasyOCR in FP32 on ``device`` 'cpu' or 'cuda'. ``lines``: on a GPU, so many lines are spelled in one batch (on the CPU
    EasyOCR itself takes one at a time). ``threads`` 0 leaves PyTorch's own choice."""

    colour: Colour = "rgb"

    def __init__(self, device: str = "cpu", lines: PositiveInt = 8, threads: NonNegativeInt = 0) -> None:
        self._device, self._lines, self._threads = device, lines, threads
        self._reader: Any = None
        self._batch = 0

    def available(self) -> Availability:
        missing = [name for name in ("easyocr", "torch") if importlib.util.find_spec(name) is None]
        if missing:
            return Availability(False, f"not installed: {', '.join(missing)}", MEND)
        if self._device.startswith("cuda"):
            from reelbench.engines.nvidia import gpu

            return proven(gpu(), "torch", "CUDA", "fp32", "torch")
        return proven(Availability(True), "torch", "CPU", "fp32", "torch")

    def load(self, files: Mapping[str, Path]) -> None:
        state = self.available()
        if not state.ok:
            raise UnavailableError(f"EasyOCR: {state.reason}", state.mend)
        folder = files["detector"].parent
        if files["recogniser"].parent != folder:
            raise AnalyzerError("EasyOCR wants its weights in one folder")
        import torch

        easyocr = importlib.import_module("easyocr")
        if self._threads:
            torch.set_num_threads(self._threads)
        if self._device.startswith("cuda") and not torch.cuda.is_available():
            raise UnavailableError("this PyTorch sees no CUDA device", "https://pytorch.org/get-started/locally/")
        try:
            self._reader = easyocr.Reader(
                ["en"],
                gpu=self._device if self._device.startswith("cuda") else False,
                model_storage_directory=str(folder),
                # Else it makes a folder in the user's home.
                user_network_directory=str(folder),
                download_enabled=False,
                verbose=False,
                # Its default on a CPU is an INT8 recogniser.
                quantize=False,
            )
        except (OSError, RuntimeError, KeyError, FileNotFoundError) as error:
            raise AnalyzerError(f"EasyOCR cannot load its networks: {error}") from error

    def prepare(self, image: Image) -> Any:
        """The grey picture from which lines are spelled. CRAFT's own scaling is part of `find`: the library offers no seam there."""
        import cv2

        return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)

    def find(self, images: Sequence[Image], prepared: Sequence[Any]) -> list[list[Region]]:
        self._batch = max(self._batch, len(images))
        stacked = images[0] if len(images) == 1 else np.stack(images)
        level, free = self._run(lambda: self._reader.detect(stacked, reformat=False))
        return [
            [_level(one) for one in of_frame] + [Region(np.asarray(one, np.float32)) for one in tilted]
            for of_frame, tilted in zip(level, free, strict=True)
        ]

    def spell(self, image: Image, prepared: Any, regions: Sequence[Region]) -> list[Spelling]:
        if not regions:
            return []
        answers = self._run(
            lambda: self._reader.recognize(
                prepared,
                [_sides(region) for region in regions if _is_level(region)],
                [region.quad.tolist() for region in regions if not _is_level(region)],
                batch_size=self._lines if self._device.startswith("cuda") else 1,
                reformat=False,
            )
        )
        if len(answers) != len(regions):
            raise AnalyzerError(f"EasyOCR spelled {len(answers)} of {len(regions)} lines")
        # It sorts them anew and clips them to the frame, so each region takes the answer that lies nearest.
        corners = np.array([answer[0] for answer in answers], np.float32)
        nearest = [int(np.abs(corners - region.quad).sum(axis=(1, 2)).argmin()) for region in regions]
        return [Spelling(" ".join(answers[i][1].split()), float(answers[i][2])) for i in nearest]

    def evidence(self) -> Evidence:
        import torch

        parameters = [*self._reader.detector.parameters(), *self._reader.recognizer.parameters()]
        kinds = sorted({str(one.dtype).removeprefix("torch.") for one in parameters})
        devices = sorted({one.device.type for one in parameters})
        precision = {"float32": "fp32", "float16": "fp16"}.get("+".join(kinds), "+".join(kinds))
        wanted = self._device.split(":")[0]
        return Evidence(
            engine="easyocr",
            device="+".join(devices).replace("cuda", "CUDA").replace("cpu", "CPU"),
            precision=precision,
            version=importlib.metadata.version("easyocr"),
            batch=max(1, self._batch),
            contradiction="" if devices == [wanted] else f"asked for {wanted}, the parameters lie on {devices}",
            details={"torch": str(torch.__version__), "threads": torch.get_num_threads(), "parameter_types": kinds},
        )

    def close(self) -> None:
        self._reader = None

    def _run(self, call: Any) -> Any:
        import cv2

        try:
            return call()
        except (RuntimeError, ValueError, cv2.error) as error:
            raise AnalyzerError(f"EasyOCR failed: {error}") from error


def _level(sides: Sequence[int]) -> Region:
    x1, x2, y1, y2 = sides
    return Region(np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float32))


def _is_level(region: Region) -> bool:
    (x1, y1), (x2, y2), (x3, y3), (x4, y4) = region.quad
    return bool(y1 == y2 and x2 == x3 and y3 == y4 and x4 == x1)


def _sides(region: Region) -> list[int]:
    x1, y1, x2, y2 = (int(value) for value in region.box)
    return [x1, x2, y1, y2]
