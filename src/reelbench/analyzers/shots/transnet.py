"""TransNetV2 over a stream of frames, executed by OpenVINO on the CPU in FP32 or INT8."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveFloat

from reelbench.analyzers.base import Phases, WeightsSource
from reelbench.analyzers.shots.network import HEIGHT, WIDTH, build, histograms
from reelbench.engines.base import Availability, Evidence
from reelbench.engines.fingerprint import digest, fingerprint
from reelbench.engines.lowered import LoweredNetwork
from reelbench.engines.openvino_executed import precisions
from reelbench.engines.openvino_parity import lowered, save
from reelbench.engines.proofs import proven
from reelbench.engines.torch_file import read_tensors
from reelbench.errors import AnalyzerError, ConfigError
from reelbench.media.frames import FrameStream
from reelbench.media.types import DecodeOptions, Frame, FrameRequest, Limits, Sampling

WEIGHTS = "transnetv2/transnetv2-pytorch-weights.pth"
CALIBRATION = "footage/test.mp4"
"""Footage on which nothing is measured: INT8 ranges are taken from it."""
WINDOW = 100
CALIBRATION_WINDOWS = 12


@dataclass(slots=True)
class Looked:
    """For each frame at ``times``: how likely the shot ends with it (``single``), that it is part of a transition (``many``), and its
    27×48 RGB picture."""

    times: list[float]
    single: NDArray[np.float32]
    many: NDArray[np.float32]
    pictures: Sequence[NDArray[np.uint8]]


class TransNet:
    """Windows of 100 frames, of which the first and last ``context`` only lend their surroundings (25 as published).

    ``precision``: 'fp32' or 'int8' (calibrated by NNCF on footage; Intel's and AMD's VNNI make that four times faster). ``threads`` 0
    leaves OpenVINO its own choice. ``rate`` is that at which calibration footage is sampled: the one at which frames will come.
    """

    size = (WIDTH, HEIGHT)

    def __init__(
        self,
        precision: Literal["fp32", "int8"] = "fp32",
        context: int = 25,
        threads: NonNegativeInt = 1,
        rate: PositiveFloat | None = None,
    ) -> None:
        if precision not in ("fp32", "int8"):
            raise ConfigError(f"analyzer.detector.network.precision is {precision!r}", "give fp32 or int8")
        if not 0 <= context <= 40:
            raise ConfigError(f"analyzer.detector.network.context is {context}", "give 0 to 40 frames")
        self._precision, self._context, self._threads, self._rate = precision, context, threads, rate
        self.weights = (WEIGHTS, CALIBRATION) if precision == "int8" else (WEIGHTS,)
        self._compiled: Any = None
        self._request: Any = None

    def available(self) -> Availability:
        for package in ("openvino", "nncf") if self._precision == "int8" else ("openvino",):
            if importlib.util.find_spec(package) is None:
                return Availability(False, f"{package} is not installed", f"pip install {package}")
        return proven(Availability(True), "openvino", "CPU", self._precision, "openvino")

    def prepare(self, store: WeightsSource) -> None:
        """Builds the network from its weights in a second or two; INT8 calibration takes some 20 s (2 cores) more."""
        target = self._file(store)
        if not target.is_file():
            network = self._built(store)
            save(self._quantized(store, network) if self._precision == "int8" else network, target)

    def lowered(self, store: WeightsSource) -> Iterator[LoweredNetwork]:
        if self._precision == "int8":
            yield lowered(
                self._file(store).parent,
                "TransNetV2",
                self._precision,
                reference=lambda: self._built(store),
                inputs=lambda: self._calibration(store),
                requantize=lambda kept: self._quantized(store, self._built(store), kept),
            )

    def _built(self, store: WeightsSource) -> Any:
        return build(read_tensors(store.path(WEIGHTS)), WINDOW)

    def _quantized(self, store: WeightsSource, network: Any, kept: Sequence[str] = ()) -> Any:
        return _quantized(network, list(self._calibration(store)), kept)

    def load(self, store: WeightsSource) -> None:
        import openvino as ov

        source = self._file(store)
        if not source.is_file():
            raise AnalyzerError("TransNetV2 was not built for OpenVINO", "run prepare() first")
        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        if self._threads:
            options["INFERENCE_NUM_THREADS"] = str(self._threads)
        core = ov.Core()
        self._compiled = core.compile_model(core.read_model(source), "CPU", options)
        self._request = self._compiled.create_infer_request()

    def look(self, frames: Iterator[Frame], phases: Phases) -> Looked:
        """Before the first and after the last frame these are repeated, as published."""
        times: list[float] = []
        pictures: list[NDArray[np.uint8]] = []
        answers: list[NDArray[np.float32]] = []
        fresh = WINDOW - 2 * self._context
        for frame in frames:
            times.append(frame.pts_s)
            pictures.append(frame.image)
            if len(pictures) - self._context >= fresh * (len(answers) + 1):
                answers.append(self._window(pictures, len(answers) * fresh, phases))
        while fresh * len(answers) < len(times):
            answers.append(self._window(pictures, len(answers) * fresh, phases))
        both = np.concatenate(answers, axis=1)[:, : len(times)] if answers else np.zeros((2, 0), np.float32)
        return Looked(times, both[0], both[1], pictures)

    def evidence(self) -> Evidence:
        """The precision in which each convolution really ran."""
        ran = precisions(self._compiled, ("Convolution",))
        share = ran[self._precision] / max(1, ran.total())
        wrong = (
            f"{self._precision} was asked for, but only {share:.0%} of the convolutions ran in it"
            if share < 0.5
            else ""
        )
        return Evidence(
            engine="openvino",
            device=",".join(self._compiled.get_property("EXECUTION_DEVICES")),
            precision=ran.most_common(1)[0][0] if ran else "unknown",
            version=importlib.metadata.version("openvino"),
            contradiction=wrong,
            details={
                "network": "TransNetV2",
                "convolutions": dict(sorted(ran.items())),
                "window": WINDOW,
                "context": self._context,
                "threads": int(self._compiled.get_property("INFERENCE_NUM_THREADS")),
            },
        )

    def close(self) -> None:
        self._request = self._compiled = None

    def _window(self, pictures: Sequence[NDArray[np.uint8]], start: int, phases: Phases) -> NDArray[np.float32]:
        """Both answers for the frames from ``start`` on, without the context: 2×fresh."""
        last = len(pictures) - 1
        with phases("preprocess", items=0):
            span = range(start - self._context, start - self._context + WINDOW)
            window = np.stack([pictures[min(max(at, 0), last)] for at in span])
            colours = histograms(window)
        with phases("infer", items=min(WINDOW - 2 * self._context, len(pictures) - start)):
            self._request.infer([window, colours], share_inputs=True)
            inner = slice(self._context, WINDOW - self._context)
            return np.stack([self._request.get_output_tensor(i).data[inner] for i in (0, 1)])

    def _file(self, store: WeightsSource) -> Path:
        parts = [fingerprint(store.path(WEIGHTS)), importlib.metadata.version("openvino"), str(WINDOW)]
        if self._precision == "int8":
            parts += [importlib.metadata.version("nncf"), fingerprint(store.path(CALIBRATION)), str(self._rate)]
        return store.derived(f"openvino-transnetv2-{self._precision}-{digest('|'.join(parts))}") / "network.xml"

    def _calibration(self, store: WeightsSource) -> Iterator[dict[str, NDArray[Any]]]:
        """Windows spread over the footage."""
        sampling = Sampling(every=1) if self._rate is None else Sampling(rate=self._rate)
        with FrameStream(
            store.path(CALIBRATION), FrameRequest(sampling, self.size), DecodeOptions(), Limits()
        ) as stream:
            windows = iter(lambda: [frame.image for frame in islice(stream, WINDOW)], [])
            whole = [np.stack(one) for one in windows if len(one) == WINDOW]
        taken = np.linspace(0, len(whole) - 1, CALIBRATION_WINDOWS).round().astype(int)
        for at in dict.fromkeys(taken.tolist()):
            yield {"frames": whole[at], "colours": histograms(whole[at])}


def _quantized(network: Any, windows: list[dict[str, NDArray[Any]]], kept: Sequence[str]) -> Any:
    import nncf

    nncf.set_log_level(logging.ERROR)
    # NNCF draws its own progress bars on the terminal; ours is the runner's.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        return nncf.quantize(
            network,
            nncf.Dataset(windows),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(windows),
            ignored_scope=nncf.IgnoredScope(names=list(kept)) if kept else None,
        )
