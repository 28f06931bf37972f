"""YOLO weights to ONNX, by Ultralytics' own exporter. Needs the extra ``torch``; what it wrote needs it no more."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import PositiveInt

from reelbench.engines.base import Availability
from reelbench.engines.fingerprint import fingerprint
from reelbench.engines.ultralytics import MEND, open_yolo, torch_extra
from reelbench.errors import AnalyzerError, UnavailableError
from reelbench.owners import temporary_folder
from reelbench.paths import atomic_path, write_text


class YOLOExport:
    """Writes ``model.onnx`` for inputs N×3×height×width.

    ``size`` is (width, height). ``batch`` fixes N, and with it every shape (what TensorRT likes best); null leaves N free.
    ``seed`` is that of random weights.
    """

    def __init__(
        self, size: Sequence[PositiveInt] = (640, 640), batch: PositiveInt | None = None, opset: int = 17, seed: int = 0
    ) -> None:
        self.size = (int(size[0]), int(size[1]))
        self.batch, self._opset, self._seed = batch, opset, seed

    def available(self) -> Availability:
        state = torch_extra()
        if state.ok and importlib.util.find_spec("onnx") is None:
            return Availability(False, "not installed: onnx", MEND)
        return state

    def key(self, model: Path) -> str:
        """Equal keys: the same network at the same size. The exporter's version is not in it, so that a kept export goes on
        working on a machine without the exporter; ``export.json`` beside the file says who wrote it."""
        width, height = self.size
        free = f"b{self.batch}" if self.batch else "bN"
        return f"{fingerprint(model, self._seed)}-{width}x{height}-{free}-op{self._opset}"

    def write(self, model: Path, folder: Path) -> Path:
        """Export into ``folder`` unless it is there; the file's path. Raises UnavailableError or AnalyzerError."""
        target = folder / "model.onnx"
        if target.is_file():
            return target
        state = self.available()
        if not state.ok:
            raise UnavailableError(f"the ONNX export of {model.name}: {state.reason}", state.mend)
        yolo = open_yolo(model, self._seed)
        # The exporter writes beside the weights, or into the working folder: neither is ours to write into.
        with temporary_folder("reelbench-export-") as scratch:
            yolo.model.pt_path = str(scratch / "model.pt")
            written = self._export(yolo, model)
            # The network goes last: once it is there, everything is.
            write_text(folder / "export.json", json.dumps(self._provenance(model), indent=2, sort_keys=True))
            with atomic_path(target) as temporary:
                shutil.copyfile(written, temporary)
        return target

    def _export(self, yolo: Any, model: Path) -> Path:
        width, height = self.size
        try:
            written = yolo.export(
                format="onnx",
                imgsz=(height, width),
                batch=self.batch or 1,
                dynamic=self.batch is None,
                opset=self._opset,
                simplify=importlib.util.find_spec("onnxslim") is not None,
                device="cpu",
                verbose=False,
            )
        except (OSError, RuntimeError, TypeError, ValueError, ImportError) as error:
            raise AnalyzerError(f"Ultralytics cannot export {model.name} to ONNX: {error}") from error
        return Path(str(written))

    def _provenance(self, model: Path) -> dict[str, Any]:
        return {
            "source": model.name,
            "size": self.size,
            "batch": self.batch,
            "opset": self._opset,
            "written_by": {name: version(name) for name in ("ultralytics", "torch", "onnx")},
        }
