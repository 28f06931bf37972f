"""YOLO networks in PyTorch, loaded by Ultralytics. Needs the extra ``torch``.

Ultralytics is licensed under AGPL-3.0 (or commercially): that is why it is an extra (docs/engines/ultralytics.md). Here it loads or
builds the network; frames go in and raw answers come out, so that its time is comparable with that of the other engines.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from reelbench.engines import nvidia
from reelbench.engines.base import Availability, Evidence, Tensors
from reelbench.engines.capabilities import Calibration
from reelbench.engines.fingerprint import fingerprint
from reelbench.engines.lowered import Feed, LoweredNetwork, pictures
from reelbench.engines.proofs import proven
from reelbench.errors import AnalyzerError, UnavailableError

MEND = 'pip install "reelbench[torch]"'


def torch_extra() -> Availability:
    """Whether the extra ``torch`` is installed. Looks only, imports nothing."""
    missing = [name for name in ("torch", "ultralytics") if importlib.util.find_spec(name) is None]
    if missing:
        return Availability(False, f"not installed: {', '.join(missing)}", MEND)
    return Availability(True)


def quiet() -> None:
    """Keep Ultralytics from the network, from pip, from unpickling freely and from the user's own settings.

    It reads these when it is first imported. What the user has set stays.
    """
    import platformdirs

    folder = Path(platformdirs.user_cache_dir("reelbench")) / "ultralytics"
    for name, value in {
        "YOLO_OFFLINE": "true",
        "YOLO_AUTOINSTALL": "false",
        "YOLO_VERBOSE": "false",
        "ULTRALYTICS_SAFE_LOAD": "true",
        "YOLO_CONFIG_DIR": str(folder),
    }.items():
        os.environ.setdefault(name, value)
    if "YOLO_CONFIG_DIR" in os.environ:
        Path(os.environ["YOLO_CONFIG_DIR"]).mkdir(parents=True, exist_ok=True)


def open_yolo(model: Path, seed: int) -> Any:
    """An ``ultralytics.YOLO``: weights from a .pt file, or random ones where ``model`` names a configuration (yolo11n.yaml).

    Random weights depend on ``seed`` only. Raises UnavailableError without the extra, AnalyzerError for a file that is no YOLO network.
    """
    state = torch_extra()
    if not state.ok:
        raise UnavailableError(f"Ultralytics: {state.reason}", state.mend)
    if model.suffix != ".yaml" and not model.is_file():
        # Ultralytics would look for it in other folders and on the network.
        raise AnalyzerError(f"{model} does not exist")
    quiet()
    import torch
    from ultralytics import YOLO

    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return YOLO(str(model), task="detect", verbose=False)
    except (OSError, RuntimeError, TypeError, ValueError, SyntaxError, AttributeError) as error:
        raise AnalyzerError(f"Ultralytics cannot read {model.name}: {error}") from error


class UltralyticsYOLO:
    """One YOLO detection network in PyTorch.

    ``device``: 'cpu', 'cuda' or 'cuda:n'. ``precision``: 'fp32' or 'fp16' (weights and arithmetic; on a GPU). ``threads`` 0 leaves
    PyTorch's own choice. ``seed`` is that of random weights.
    """

    def __init__(
        self, device: str = "cpu", precision: Literal["fp32", "fp16"] = "fp32", threads: int = 0, seed: int = 0
    ) -> None:
        self._device, self._precision, self._threads, self._seed = device, precision, threads, seed
        self._network: Any = None
        self._shape: tuple[int, ...] = ()

    def available(self) -> Availability:
        state = torch_extra()
        if state.ok and self._device.startswith("cuda"):
            state = nvidia.gpu()
        return proven(state, "torch", self._device.upper(), self._precision, "torch")

    def lowered(self, folder: Path, model: Path, calibration: Calibration) -> Iterator[LoweredNetwork]:
        if self._precision == "fp32":
            return
        yield LoweredNetwork(
            folder=folder,
            name=model.name,
            precision=self._precision,
            packages=("torch", "ultralytics"),
            identity=partial(fingerprint, model, self._seed),
            inputs=lambda: [{"images": one} for one in pictures((1, 3, 320, 320))],
            answers=partial(self._answers, model, self._precision),
            reference=partial(self._answers, model, "fp32"),
            where="" if self._device == "cpu" else self._device,
        )

    def _answers(self, model: Path, precision: Literal["fp32", "fp16"], given: Sequence[Feed]) -> Iterator[Tensors]:
        one = UltralyticsYOLO(self._device, precision, self._threads, self._seed)
        one.load(model)
        yield from one.infer_many(feed["images"] for feed in given)
        one.close()

    def load(self, model: Path, **files: Path) -> None:
        """``model``: a .pt file of Ultralytics, or the name of a configuration such as yolo11n.yaml for random weights."""
        yolo = open_yolo(model, self._seed)
        import torch

        if self._threads:
            torch.set_num_threads(self._threads)
        if self._device.startswith("cuda") and not torch.cuda.is_available():
            raise UnavailableError("this PyTorch sees no CUDA device", "https://pytorch.org/get-started/locally/")
        kind = torch.float16 if self._precision == "fp16" else torch.float32
        network = yolo.model.fuse(verbose=False).eval()
        self._network = network.requires_grad_(False).to(device=self._device, dtype=kind)

    def infer(self, batch: NDArray[Any]) -> Tensors:
        import torch

        self._shape = batch.shape
        try:
            with torch.inference_mode():
                answer = self._network(self._tensor(batch))
                # Outside of export the network also answers with its raw feature maps.
                boxes = answer[0] if isinstance(answer, (tuple, list)) else answer
                # Copying to the host waits for the device.
                return {"output0": np.asarray(boxes.float().cpu())}
        except RuntimeError as error:
            raise AnalyzerError(f"PyTorch failed on a batch of shape {batch.shape}: {error}") from error

    def infer_many(self, batches: Iterable[NDArray[Any]]) -> Iterator[Tensors]:
        for batch in batches:
            yield self.infer(batch)

    def evidence(self) -> Evidence:
        """Device and type are those of the parameters; the kernels are PyTorch's own record of one more inference."""
        import torch

        first = next(self._network.parameters())
        kinds = sorted({str(parameter.dtype).removeprefix("torch.") for parameter in self._network.parameters()})
        precision = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}.get("".join(kinds), "+".join(kinds))
        device = str(first.device).upper() if first.device.type == "cpu" else str(first.device).replace("cuda", "CUDA")
        return Evidence(
            engine="ultralytics",
            device=device,
            precision=precision,
            version=str(torch.__version__),
            batch=self._shape[0] if self._shape else 0,
            contradiction=self._contradiction(precision, first.device.type),
            details={
                "parameter_types": kinds,
                "parameters": sum(parameter.numel() for parameter in self._network.parameters()),
                "kernels": self._kernels(),
                **_torch_details(first.device.type),
            },
        )

    def close(self) -> None:
        self._network = None

    def _tensor(self, batch: NDArray[Any]) -> Any:
        import torch

        kind = torch.float16 if self._precision == "fp16" else torch.float32
        return torch.from_numpy(np.ascontiguousarray(batch)).to(device=self._device, dtype=kind)

    def _contradiction(self, precision: str, device: str) -> str:
        wanted = self._device.split(":")[0]
        if device != wanted:
            return f"asked for {wanted}, the parameters lie on {device}"
        return "" if precision == self._precision else f"asked for {self._precision}, the parameters are {precision}"

    def _kernels(self) -> dict[str, int]:
        """The convolution and matrix kernels of one inference, by name: how often each ran."""
        import torch
        from torch.profiler import ProfilerActivity, profile

        activities = [ProfilerActivity.CPU]
        if torch.cuda.is_available() and self._device.startswith("cuda"):
            activities.append(ProfilerActivity.CUDA)
        with profile(activities=activities) as record, torch.inference_mode():
            self._network(self._tensor(np.zeros(self._shape or (1, 3, 64, 64), np.float32)))
        words = ("conv", "gemm", "matmul", "bmm")
        return {event.key: event.count for event in record.key_averages() if any(w in event.key.lower() for w in words)}


def _torch_details(device: str) -> dict[str, Any]:
    import torch
    from ultralytics import __version__ as ultralytics_version

    details: dict[str, Any] = {"ultralytics": ultralytics_version, "threads": torch.get_num_threads()}
    if device == "cpu":
        details["cpu_capability"] = torch.backends.cpu.get_cpu_capability()
        details["onednn"] = torch.backends.mkldnn.is_available()
    else:
        details["gpu"] = torch.cuda.get_device_name(0)
        details["cuda"] = torch.version.cuda
        details["cudnn"] = torch.backends.cudnn.version()
        details["tf32"] = torch.backends.cudnn.allow_tf32
    return details
