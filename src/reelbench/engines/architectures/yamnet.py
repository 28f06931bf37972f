"""YAMNet (Plakal & Ellis 2019): log-mel patches of a waveform into MobileNetV1 (Howard et al., arXiv 1704.04861), 521 classes.

PyTorch has no such model to build on, so that the layers are written out here. The published file is INT8 inside; this is FP32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLES = 15600
CLASSES = 521
_RATE, _WINDOW, _HOP, _FFT = 16000, 400, 160, 512
_MELS, _LOW_HZ, _HIGH_HZ, _OFFSET = 64, 125.0, 7500.0, 0.001
_FIRST = 32
_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
"""Channels and stride of each depthwise separable block."""


def network() -> Any:
    import torch

    # Without PyTorch installed its types are unknown.
    class Front(torch.nn.Module):  # type: ignore[misc]
        """A waveform to 1×1×96×64: the logarithm of 64 mel bands every 10 ms."""

        def __init__(self) -> None:
            super().__init__()
            starts = torch.arange(0, SAMPLES - _WINDOW + 1, _HOP)
            self.register_buffer("at", starts[:, None] + torch.arange(_WINDOW))
            self.register_buffer("window", torch.hann_window(_WINDOW))
            self.register_buffer("mel", torch.from_numpy(mel_weights()))

        def forward(self, waveform: torch.Tensor) -> torch.Tensor:
            # OpenVINO's transform does not pad by itself.
            windows = torch.nn.functional.pad(waveform[self.at] * self.window, (0, _FFT - _WINDOW))
            return torch.log(torch.fft.rfft(windows).abs() @ self.mel + _OFFSET)[None, None]

    class Same(torch.nn.Module):  # type: ignore[misc]
        """TensorFlow's padding: with a stride of two all of it is at the end."""

        def __init__(self, stride: int) -> None:
            super().__init__()
            self.sides = (1, 1, 1, 1) if stride == 1 else (0, 1, 0, 1)

        def forward(self, picture: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.pad(picture, self.sides)

    def layer(size: int, into: int, out: int, stride: int = 1, groups: int = 1) -> list[Any]:
        convolution = torch.nn.Conv2d(into, out, size, stride, groups=groups, bias=False)
        # What PyTorch starts with fades to nothing over 27 layers, and every sound would score alike.
        torch.nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        padding = [Same(stride)] if size > 1 else []
        return [*padding, convolution, torch.nn.BatchNorm2d(out, eps=1e-4), torch.nn.ReLU()]

    layers, before = layer(3, 1, _FIRST, 2), _FIRST
    for channels, stride in _BLOCKS:
        layers += layer(3, before, before, stride, groups=before) + layer(1, before, channels)
        before = channels
    head = [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(before, CLASSES), torch.nn.Sigmoid()]
    return torch.nn.Sequential(Front(), *layers, *head)


def forward(network: Any, waveform: Any) -> dict[str, Any]:
    """15600 samples at 16 kHz in -1…1 in, scores 1×521 out."""
    return {"scores": network(waveform)}


def example() -> tuple[Any, ...]:
    import torch

    return (torch.zeros(SAMPLES),)


def mel_weights() -> NDArray[np.float32]:
    """Bins × mel bands: triangles of equal width on the mel scale (HTK's: 1127 ln(1 + f/700)), that overlap by half. As TensorFlow
    computes them, the bin of 0 Hz is in none."""

    def mel(hertz: Any) -> NDArray[np.float64]:
        return np.asarray(1127.0 * np.log1p(np.asarray(hertz) / 700.0))

    edges = np.linspace(mel(_LOW_HZ), mel(_HIGH_HZ), _MELS + 2)
    bins = mel(np.linspace(0, _RATE / 2, _FFT // 2 + 1))[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0, np.minimum(rising, falling))
    weights[0] = 0
    return weights.astype(np.float32)
