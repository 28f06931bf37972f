"""color_analysis: the palette of each stretch of a clip, how warm, bright and contrasty it is, and words for that.

Each sampled frame is reduced to a few colours (k-means in CIELAB). A stretch ends where the picture's colours, region by region, become
others; its palette is that of its frames together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, PositiveInt

from reelbench.analyzers.base import Material, Needs, Plain, WeightsSource, naming
from reelbench.analyzers.colour.mood import Look
from reelbench.analyzers.colour.palette import Lab, Palette, hexes, pooled, quantized, to_lab
from reelbench.engines.base import Evidence
from reelbench.errors import ConfigError
from reelbench.media.types import Frame, FrameRequest, Sampling
from reelbench.results import AnalyzerResult, Event
from reelbench.settings import FieldsOf

NAME = "color_analysis"
_GRID = 3
"""Regions a side whose mean colours tell one stretch from the next."""


@dataclass
class _Stretch:
    start_s: float
    regions: Lab
    palettes: list[Palette] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)


class ColorAnalysis(Plain):
    """``colours``: at most so many in a palette. ``size`` (width, height) or null for full frames; ``stride``: every n-th pixel counts.
    ``alike``: colours nearer than this (CIE76) are one. ``change``: a stretch ends where regions move by so much on average (CIE76).
    """

    def __init__(
        self,
        sampling: Annotated[Mapping[str, Any], FieldsOf(Sampling)],
        size: tuple[PositiveInt, PositiveInt] | None = None,
        stride: PositiveInt = 1,
        colours: PositiveInt = 6,
        alike: NonNegativeFloat = 10.0,
        change: NonNegativeFloat = 14.0,
    ) -> None:
        if colours < 1 or stride < 1 or alike < 0 or change <= 0:
            raise ConfigError(
                "analyzer.colours, stride, alike or change makes no sense",
                "colours and stride of 1 or more, alike of 0 or more, change above 0",
            )
        with naming("sampling"):
            sampled = Sampling(**sampling)
        self._request = FrameRequest(sampled, tuple(size) if size else None)  # type: ignore[arg-type]
        self._stride, self._colours, self._alike, self._change = stride, colours, alike, change

    @property
    def needs(self) -> Needs:
        return Needs(frames=self._request)

    def load(self, store: WeightsSource) -> None:
        quantized(to_lab(np.zeros((8, 8, 3), np.uint8), 1), 1)

    def analyze(self, material: Material) -> AnalyzerResult:
        sampled: list[float] = []
        events: list[Event] = []
        stretch: _Stretch | None = None
        for frame in material.frames:
            sampled.append(frame.pts_s)
            with material.phases("preprocess"):
                lab = to_lab(frame.image, self._stride)
                regions = _regions(frame)
            if stretch is None or _distance(regions, stretch.regions) > self._change:
                events += self._events(stretch, frame.pts_s)
                stretch = _Stretch(frame.pts_s, regions)
            with material.phases("infer"):
                stretch.palettes.append(quantized(lab, self._colours))
                stretch.looks.append(Look.of(lab))
                stretch.regions = regions
        if sampled:
            events += self._events(stretch, max(material.info.duration_s, sampled[-1]))
        return AnalyzerResult(
            analyzer=NAME,
            clip=material.clip,
            duration_s=material.info.duration_s,
            frames_sampled=len(sampled),
            frames_inferred=len(sampled),
            sampled_s=tuple(sampled),
            events=tuple(events),
        )

    def evidence(self) -> Evidence:
        import cv2

        return Evidence("opencv", "CPU", "fp32", cv2.__version__, details={"method": "k-means in CIELAB"})

    def _events(self, stretch: _Stretch | None, end_s: float) -> Iterator[Event]:
        """``score`` is the share of the picture that the palette stands for."""
        if stretch is None:
            return
        palette, look = pooled(stretch.palettes, self._colours, self._alike), Look.mean(stretch.looks)
        colours = [
            {"hex": colour, "share": round(float(share), 4)}
            for colour, share in zip(hexes(palette.centres), palette.shares, strict=True)
        ]
        yield Event(
            start_s=stretch.start_s,
            end_s=end_s,
            label="palette",
            score=min(1.0, float(palette.shares.sum())),
            attributes={
                "colours": colours,
                "temperature": look.temperature,
                "mood": look.mood,
                "lightness": round(look.lightness, 2),
                "contrast": round(look.contrast, 2),
                "chroma": round(look.chroma, 2),
                "warmth": round(look.warmth, 2),
            },
        )


def _regions(frame: Frame) -> Lab:
    """The mean colour of each region of the picture, `_GRID` × `_GRID`, in CIELAB."""
    import cv2

    return to_lab(cv2.resize(frame.image, (_GRID, _GRID), interpolation=cv2.INTER_AREA), 1)


def _distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(a - b, axis=1).mean())
