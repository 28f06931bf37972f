"""Frames in memory for analyzers that look at motion: windows onto seeded textures, handed over as a decoder would."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reelbench.analyzers.base import Analyzer, Material
from reelbench.media.types import ClipInfo, Frame
from reelbench.results import AnalyzerResult
from support.contract import StrictPhases

Picture = NDArray[np.uint8]
WIDTH, HEIGHT, FPS = 90, 160, 30.0


def texture(seed: int, side: int = 480) -> Picture:
    """Coloured blobs of two sizes, as wide and high as ``side``: corners everywhere, and colours of its own."""
    import cv2

    random = np.random.default_rng(seed)
    coarse = cv2.resize(random.integers(0, 256, (side // 40, side // 40, 3)).astype(np.uint8), (side, side))
    fine = cv2.resize(random.integers(0, 256, (side // 4, side // 4, 3)).astype(np.uint8), (side, side))
    tint = random.uniform(0.4, 1.0, 3)
    return np.clip((0.5 * coarse + 0.5 * fine) * tint, 0, 255).astype(np.uint8)


def window(picture: Picture, x: float, y: float = 100.0, zoom: float = 1.0) -> Picture:
    """What a camera at (``x``, ``y``), its left and upper edge at zoom 1, sees of ``picture``."""
    import cv2

    middle_x, middle_y = x + WIDTH / 2, y + HEIGHT / 2
    matrix = np.array([[zoom, 0, WIDTH / 2 - zoom * middle_x], [0, zoom, HEIGHT / 2 - zoom * middle_y]])
    return np.asarray(cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR), np.uint8)


def given(analyzer: Analyzer, pictures: Iterable[Picture], fps: float = FPS) -> AnalyzerResult:
    """The analyzer's answer to these frames, in the colour that it asks for."""
    import cv2

    request = analyzer.needs.frames
    assert request is not None
    frames = []
    for index, picture in enumerate(pictures):
        image = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) if request.colour == "gray" else picture
        frames.append(Frame(np.asarray(image, np.uint8), index / fps, index))
    info = ClipInfo(Path("made.mp4"), WIDTH, HEIGHT, len(frames) / fps, fps, "h264", "yuv420p")
    return analyzer.analyze(Material("made", info, StrictPhases(), iter(frames)))
