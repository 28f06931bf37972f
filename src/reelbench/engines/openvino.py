"""OpenVINO on the CPU: FP32, bfloat16 or INT8, one batch after the other (`OpenVINO`) or several at once (`OpenVINOAsync`).

The network is converted (and for INT8 calibrated) once a machine; what is kept is found again by a key that holds the file's hash,
the versions and the options.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt

from reelbench.engines.base import Availability, Evidence, Tensors
from reelbench.engines.capabilities import Calibration
from reelbench.engines.fingerprint import fingerprint
from reelbench.engines.lowered import Feed, LoweredNetwork
from reelbench.engines.openvino_convert import Network, convert
from reelbench.engines.openvino_executed import precisions
from reelbench.engines.openvino_parity import lowered, save
from reelbench.engines.openvino_quantize import Quantization, quantize
from reelbench.engines.proofs import proven
from reelbench.errors import AnalyzerError, ConfigError
from reelbench.paths import write_text
from reelbench.settings import FieldsOf

Precision = Literal["fp32", "bf16", "int8"]
_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
"""What layers that are not INT8 compute in. Said explicitly: by default a CPU with bfloat16 would use it unasked."""
_FACTS = "quantization.json"
"""Beside the quantized network: how it was calibrated, and what NNCF left in FP32."""


class OpenVINO:
    """One batch at a time, with all cores on it.

    ``network`` is `openvino_convert.Network` as a mapping; ``quantization`` `openvino_quantize.Quantization` (INT8 only). ``batch`` is
    the size that the network is compiled for: smaller batches are padded. ``threads`` 0 leaves OpenVINO's own choice. ``cache``
    keeps the compiled network beside the converted one, for quicker loading.
    """

    _hint = "LATENCY"

    def __init__(
        self,
        network: Annotated[Mapping[str, Any], FieldsOf(Network)],
        precision: Precision = "fp32",
        batch: PositiveInt = 1,
        threads: NonNegativeInt = 0,
        streams: NonNegativeInt = 0,
        quantization: Annotated[Mapping[str, Any], FieldsOf(Quantization)] | None = None,
        cache: bool = True,
    ) -> None:
        if precision not in _HINTS:
            raise ConfigError(f"engine.precision is {precision!r}", f"one of {', '.join(_HINTS)}")
        try:
            self._network = Network(**network)
            self._quantization = Quantization.of(quantization or {})
        except TypeError as error:
            raise ConfigError(f"engine: {error}") from error
        self._precision, self._batch, self._cache = precision, batch, cache
        self._threads, self._streams = threads, streams
        self._facts: dict[str, Any] = {}
        self._compiled: Any = None
        self._request: Any = None

    def available(self) -> Availability:
        for package in ("openvino", "nncf") if self._precision == "int8" else ("openvino",):
            if importlib.util.find_spec(package) is None:
                return Availability(False, f"{package} is not installed", f"pip install {package}")
        return proven(Availability(True), "openvino", "CPU", self._precision, "openvino")

    def key(self, model: Path, calibration: str) -> str:
        kind = "int8" if self._precision == "int8" else "float"
        parts = [fingerprint(model), importlib.metadata.version("openvino"), str(self._network)]
        if kind == "int8":
            parts += [importlib.metadata.version("nncf"), str(self._quantization), calibration]
        return f"openvino-{model.stem}-{kind}-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:16]}"

    def prepare(self, folder: Path, model: Path, calibration: Calibration) -> None:
        """Converts in some 7 s; INT8 calibration takes some 50 ms an image more (2 cores), accuracy control minutes."""
        target = folder / "network.xml"
        if not target.is_file():
            network = convert(model, self._network)
            save(self._quantized(network, calibration, folder) if self._precision == "int8" else network, target)

    def lowered(self, folder: Path, model: Path, calibration: Calibration) -> Iterator[LoweredNetwork]:
        if self._precision == "fp32":
            return
        quantized = self._precision == "int8"
        yield lowered(
            folder,
            model.name,
            self._precision,
            reference=lambda: convert(model, self._network),
            inputs=lambda: self._parity_inputs(calibration if quantized else None),
            requantize=partial(self._again, model, calibration, folder) if quantized else None,
        )

    def _quantized(self, network: Any, calibration: Calibration, folder: Path, kept: Sequence[str] = ()) -> Any:
        made, facts = quantize(network, calibration, self._quantization, kept)
        write_text(folder / _FACTS, json.dumps(facts, indent=1))
        return made

    def _again(self, model: Path, calibration: Calibration, folder: Path, kept: Sequence[str]) -> Any:
        return self._quantized(convert(model, self._network), calibration, folder, kept)

    def _parity_inputs(self, calibration: Calibration | None) -> Iterator[Feed]:
        """What the network was calibrated on, in whole batches; noise where it was not calibrated."""
        if calibration is None:
            dice = np.random.default_rng(0)
            batches: Iterable[NDArray[Any]] = [
                dice.integers(0, 256, (self._batch, *self._network.shape), np.uint8) for _ in range(4)
            ]
        else:
            images = [image for batch in calibration() for image in np.asarray(batch)]
            starts = range(0, len(images), self._batch)
            batches = [self._whole(np.stack(images[at : at + self._batch])) for at in starts]
        for batch in batches:
            yield {self._network.input: batch}

    def load(self, model: Path, **files: Path) -> None:
        """``derived``: the folder that `prepare` filled."""
        import openvino as ov

        source = files["derived"] / "network.xml"
        if not source.is_file():
            raise AnalyzerError(f"{model.name} was not converted for OpenVINO", "run prepare() first")
        facts = source.with_name(_FACTS)
        self._facts = json.loads(facts.read_text()) if facts.is_file() else {}
        core = ov.Core()
        options = {"PERFORMANCE_HINT": self._hint, "INFERENCE_PRECISION_HINT": _HINTS[self._precision]}
        if self._threads:
            options["INFERENCE_NUM_THREADS"] = str(self._threads)
        if self._streams:
            options["NUM_STREAMS"] = str(self._streams)
        if self._cache and os.access(files["derived"], os.W_OK):
            options["CACHE_DIR"] = str(files["derived"] / "compiled")
        network = core.read_model(source)
        network.reshape([self._batch, *self._network.shape])
        self._compiled = core.compile_model(network, "CPU", options)
        self._names = [output.get_any_name() for output in self._compiled.outputs]
        self._request = self._compiled.create_infer_request()

    def infer(self, batch: NDArray[Any]) -> Tensors:
        self._request.infer([self._whole(batch)], share_inputs=True)
        return self._answer(self._request, len(batch))

    def infer_many(self, batches: Iterable[NDArray[Any]]) -> Iterator[Tensors]:
        for batch in batches:
            yield self.infer(batch)

    def evidence(self) -> Evidence:
        """Devices and options as the compiled network reports them, and the precision in which each convolution really ran."""
        ran = precisions(self._compiled, ("Convolution",))
        precision = ran.most_common(1)[0][0] if ran else "unknown"
        total = sum(ran.values())
        share = ran[self._precision] / total if total else 0.0
        asked = {"fp32": "FP32", "bf16": "bfloat16", "int8": "INT8"}[self._precision]
        wrong = share < 0.5
        return Evidence(
            engine="openvino",
            device=",".join(self._property("EXECUTION_DEVICES", ["CPU"])),
            precision=precision,
            version=importlib.metadata.version("openvino"),
            batch=self._batch,
            contradiction=f"{asked} was asked for, but only {share:.0%} of the convolutions ran in it" if wrong else "",
            details={
                "convolutions": dict(sorted(ran.items())),
                "convolutions_as_asked": round(share, 3),
                "inference_precision": str(self._property("INFERENCE_PRECISION_HINT", "unknown")),
                "streams": int(self._property("NUM_STREAMS", 0)),
                "threads": int(self._property("INFERENCE_NUM_THREADS", 0)),
                "performance_hint": str(self._property("PERFORMANCE_HINT", "unknown")),
                "mode": "asynchronous" if isinstance(self, OpenVINOAsync) else "synchronous",
                **({"quantization": self._facts} if self._facts else {}),
            },
        )

    def close(self) -> None:
        self._request = self._compiled = None

    def _whole(self, batch: NDArray[Any]) -> NDArray[Any]:
        """The batch, padded with its last image to the size that the network was compiled for."""
        if batch.shape[1:] != tuple(self._network.shape) or not 0 < len(batch) <= self._batch:
            wanted = "×".join(map(str, (self._batch, *self._network.shape)))
            raise AnalyzerError(f"the network was compiled for {wanted}, not for a batch of shape {batch.shape}")
        missing = self._batch - len(batch)
        return np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)]) if missing else batch

    def _answer(self, request: Any, count: int) -> Tensors:
        """Copies: the request's own memory is written again by its next batch."""
        return {name: np.array(request.get_output_tensor(i).data[:count]) for i, name in enumerate(self._names)}

    def _property(self, name: str, default: Any) -> Any:
        return (
            self._compiled.get_property(name)
            if name in self._compiled.get_property("SUPPORTED_PROPERTIES")
            else default
        )


class OpenVINOAsync(OpenVINO):
    """Several batches in flight, a core or two each; answers in the order of submission. ``queue`` more wait than run at once."""

    _hint = "THROUGHPUT"

    def __init__(self, network: Mapping[str, Any], queue: int = 1, **options: Any) -> None:
        super().__init__(network, **options)
        self._queue = queue
        self._free: list[Any] = []
        self._busy: deque[tuple[Any, NDArray[Any], int]] = deque()

    def load(self, model: Path, **files: Path) -> None:
        super().load(model, **files)
        parallel = int(self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._free = [self._compiled.create_infer_request() for _ in range(parallel + self._queue)]

    @property
    def depth(self) -> int:
        return len(self._free) + len(self._busy)

    def submit(self, batch: NDArray[Any]) -> None:
        if not self._free:
            raise AnalyzerError(f"{len(self._busy)} batches are in flight; collect one first")
        request, whole = self._free.pop(), self._whole(batch)
        request.start_async([whole], share_inputs=True)
        self._busy.append((request, whole, len(batch)))

    def collect(self) -> Tensors:
        request, _, count = self._busy.popleft()
        request.wait()
        answer = self._answer(request, count)
        self._free.append(request)
        return answer

    def infer_many(self, batches: Iterable[NDArray[Any]]) -> Iterator[Tensors]:
        for batch in batches:
            if not self._free:
                yield self.collect()
            self.submit(batch)
        while self._busy:
            yield self.collect()

    def close(self) -> None:
        for request, _, _ in self._busy:
            request.cancel()
        self._busy.clear()
        self._free.clear()
        super().close()
