"""PP-OCR by RapidOCR (https://github.com/RapidAI/RapidOCR), on ONNX Runtime or OpenVINO.

Its detector and its recogniser are used one after the other, so that frames go through the detector in batches and a line that was
read before need not be read again. Its own downloads never happen: the weights are files of the model store.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import NonNegativeInt, PositiveInt

from reelbench.analyzers.overlay import rapidocr_parity
from reelbench.analyzers.overlay.reader import Region, Spelling
from reelbench.engines.base import Availability, Evidence
from reelbench.engines.lowered import LoweredNetwork
from reelbench.engines.openvino_executed import precisions
from reelbench.engines.proofs import proven
from reelbench.errors import AnalyzerError, ConfigError, UnavailableError
from reelbench.media.types import Colour, Image

MEND = 'pip install "rapidocr>=3.10"'
_PACKAGES = {"onnxruntime": "onnxruntime", "openvino": "openvino"}
_ENGINES = {"onnxruntime": "onnx_runtime", "openvino": "openvino"}
_HINTS = {"fp32": "f32", "bf16": "bf16"}
_PARTLY_KNOWN = (("αβγδεζηθικλμνξοπρστυφχψω", 3, "άς"), ("ơư", 1, "ạế"))
"""Letters by which Greek and Vietnamese are told, how many of them tell it, and letters without which neither is written. A recogniser
that has the former only (PP-OCR has Greek for its formulas) spells such a line with holes, and is sure of it."""


class RapidOCRReader:
    """Finds lines on a frame that is shrunk to ``side`` pixels at its longer side, and spells them from the frame itself.

    ``engine``: 'onnxruntime' (FP32) or 'openvino'. ``precision``: 'fp32', or for OpenVINO 'bf16' or 'native' (what OpenVINO prefers on
    this processor; the evidence says which that is). ``threads`` 0 leaves the engine's own choice. ``lines``: so many lines are spelled
    in one batch.
    """

    colour: Colour = "bgr"

    def __init__(
        self,
        engine: Literal["onnxruntime", "openvino"] = "onnxruntime",
        precision: Literal["fp32", "bf16", "native"] = "fp32",
        side: PositiveInt = 1280,
        threads: NonNegativeInt = 0,
        lines: PositiveInt = 6,
    ) -> None:
        if engine not in _PACKAGES:
            raise ConfigError(f"analyzer.reader.engine is '{engine}'", f"one of {', '.join(_PACKAGES)}")
        if precision not in (*_HINTS, "native"):
            raise ConfigError(f"analyzer.reader.precision is '{precision}'", f"one of {', '.join(_HINTS)}, native")
        if engine == "onnxruntime" and precision != "fp32":
            raise ConfigError(f"ONNX Runtime runs these weights in FP32, not in {precision}", "engine: openvino")
        if side < 64 or lines < 1:
            raise ConfigError(f"analyzer.reader: side {side}, lines {lines}", "side is 64 or more, lines 1 or more")
        self._engine, self._precision = engine, precision
        self._side, self._threads, self._lines = side, threads, lines
        self._detector: Any = None
        self._recogniser: Any = None
        self._batch = 0

    def available(self) -> Availability:
        for package in ("rapidocr", _PACKAGES[self._engine]):
            if importlib.util.find_spec(package) is None:
                mend = MEND if package == "rapidocr" else f"pip install {package}"
                return Availability(False, f"{package} is not installed", mend)
        precision = "fp32" if self._precision == "native" else self._precision
        return proven(Availability(True), _ENGINES[self._engine], "CPU", precision, _PACKAGES[self._engine])

    def lowered(self, files: Mapping[str, Path], derived: Callable[[str], Path]) -> Iterable[LoweredNetwork]:
        return rapidocr_parity.lowered(files, self._precision, derived) if self._engine == "openvino" else ()

    def load(self, files: Mapping[str, Path]) -> None:
        state = self.available()
        if not state.ok:
            raise UnavailableError(f"RapidOCR: {state.reason}", state.mend)
        from rapidocr import EngineType, RapidOCR

        kind = EngineType(self._engine)
        limits = "intra_op_num_threads" if self._engine == "onnxruntime" else "inference_num_threads"
        settings = {
            # Its log would go to the terminal.
            "Global.log_level": "critical",
            "Det.engine_type": kind,
            "Det.model_path": str(files["detector"]),
            "Det.limit_type": "max",
            "Det.limit_side_len": self._side,
            "Rec.engine_type": kind,
            "Rec.model_path": str(files["recogniser"]),
            "Rec.rec_batch_num": self._lines,
            f"EngineConfig.{self._engine}.{limits}": self._threads or -1,
        }
        try:
            library: Any = RapidOCR(params=settings)
            self._detector, self._recogniser = library._load_det_model(), library._load_rec_model()
        # ONNX Runtime's own exceptions have no common root below Exception; OpenVINO raises RuntimeError.
        except Exception as error:
            raise AnalyzerError(f"RapidOCR cannot load its networks: {error}") from error
        if self._engine == "openvino" and self._precision != "native":
            for part in (self._detector, self._recogniser):
                part.session.session = self._compiled(part.session.model).create_infer_request()

    def prepare(self, image: Image) -> Any:
        """The detector's input, 1×3×H×W float32 with H and W multiples of 32; None for a frame that is too thin to hold any text."""
        return self._detector.get_preprocess()(image)

    def find(self, images: Sequence[Image], prepared: Sequence[Any]) -> list[list[Region]]:
        if any(part is None for part in prepared):
            return [[] for _ in images]
        self._batch = max(self._batch, len(prepared))
        maps = self._run(self._detector.session, np.concatenate(prepared))
        return [self._regions(maps[i : i + 1], image.shape[:2]) for i, image in enumerate(images)]

    def spell(self, image: Image, prepared: Any, regions: Sequence[Region]) -> list[Spelling]:
        if not regions:
            return []
        from rapidocr.ch_ppocr_rec import TextRecInput
        from rapidocr.utils.process_img import get_rotate_crop_image

        crops = [get_rotate_crop_image(image, region.quad.copy()) for region in regions]
        # What is upright may run either way.
        doubtful = [at for at, region in enumerate(regions) if region.upright]
        both = [*crops, *(np.ascontiguousarray(crops[at][::-1, ::-1]) for at in doubtful)]
        answer = self._run(self._recogniser, TextRecInput(img=both, return_word_box=False))
        spelled = [
            Spelling(" ".join(text.split()), min(1.0, max(0.0, float(score))), self._whole(text))
            for text, score in zip(answer.txts, answer.scores, strict=True)
        ]
        for at, turned in zip(doubtful, spelled[len(crops) :], strict=True):
            spelled[at] = max(spelled[at], turned, key=lambda one: one.score)
        return spelled[: len(crops)]

    def evidence(self) -> Evidence:
        """OpenVINO: device, and the precision in which each layer of the executable graphs ran. ONNX Runtime: its providers and the
        type of the networks' inputs."""
        sessions = [part.session.session for part in (self._detector, self._recogniser)]
        if self._engine == "openvino":
            device, ran, more = _openvino(sessions)
        else:
            device, ran, more = _onnx_runtime(sessions)
        precision = ran.most_common(1)[0][0] if ran else "unknown"
        asked = precision if self._precision == "native" else self._precision
        return Evidence(
            engine=f"rapidocr/{self._engine}",
            device=device,
            precision=precision,
            version=importlib.metadata.version(_PACKAGES[self._engine]),
            batch=max(1, self._batch),
            contradiction="" if precision == asked else f"asked for {asked}, most of it ran in {precision}",
            details={"rapidocr": importlib.metadata.version("rapidocr"), "executed": dict(sorted(ran.items())), **more},
        )

    def close(self) -> None:
        self._detector = self._recogniser = None

    def _regions(self, scores: Any, shape: tuple[int, ...]) -> list[Region]:
        """A probability map to regions, as the library does it: from top to bottom and from left to right."""
        quads, sure = self._detector.postprocess_op(scores, shape)
        regions = [Region(np.asarray(quad, np.float32), float(one)) for quad, one in zip(quads, sure, strict=True)]
        return sorted(regions, key=lambda region: (region.box[1], region.box[0]))

    def _whole(self, text: str) -> bool:
        """Whether the recogniser has the letters that a text of this language needs."""
        small, known = text.casefold(), self._recogniser.postprocess_op.character
        return not any(
            sum(letter in signs for letter in small) >= least and not all(letter in known for letter in needed)
            for signs, least, needed in _PARTLY_KNOWN
        )

    def _compiled(self, model: Any) -> Any:
        """RapidOCR would let OpenVINO choose the precision, which is bfloat16 on processors that have it: it is said here."""
        import openvino as ov

        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": _HINTS[self._precision]}
        if self._threads:
            options["INFERENCE_NUM_THREADS"] = str(self._threads)
        return ov.Core().compile_model(model, "CPU", options)

    def _run(self, network: Any, given: Any) -> Any:
        try:
            return network(given)
        # RapidOCR wraps what its engines raise into an exception of its own for each engine, with no common root.
        except Exception as error:
            last = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            raise AnalyzerError(f"RapidOCR failed on a batch: {last[0]}") from error


def _openvino(requests: Sequence[Any]) -> tuple[str, Counter[str], dict[str, Any]]:
    compiled = [request.get_compiled_model() for request in requests]
    ran = sum((precisions(model) for model in compiled), Counter())
    devices = compiled[0].get_property("EXECUTION_DEVICES")
    threads = compiled[0].get_property("INFERENCE_NUM_THREADS")
    return ",".join(devices), ran, {"threads": threads}


def _onnx_runtime(sessions: Sequence[Any]) -> tuple[str, Counter[str], dict[str, Any]]:
    providers = [session.get_providers() for session in sessions]
    kinds = Counter(one.type for session in sessions for one in session.get_inputs())
    ran = Counter({("fp32" if kind == "tensor(float)" else kind): count for kind, count in kinds.items()})
    device = "CPU" if all(names == ["CPUExecutionProvider"] for names in providers) else str(providers)
    return device, ran, {"providers": providers}
