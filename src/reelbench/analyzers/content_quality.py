"""content_quality: how sharp, well exposed, noisy and blocky the picture is, second by second, and BRISQUE's opinion of it (with
``opposites`` CLIP-IQA's, too)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from reelbench.analyzers.base import Material, Needs, Plain, WeightsSource, naming
from reelbench.analyzers.clip.compare import ROLES
from reelbench.analyzers.networks import given
from reelbench.analyzers.picture.brisque import Brisque
from reelbench.analyzers.picture.measures import Measures
from reelbench.analyzers.picture.opinion import Opinion
from reelbench.engines.base import Availability, Evidence
from reelbench.engines.openvino_small import evidence_of
from reelbench.errors import ConfigError
from reelbench.media.types import FrameRequest, Sampling
from reelbench.results import AnalyzerResult, Event
from reelbench.settings import FieldsOf

NAME = "content_quality"


class ContentQuality(Plain):
    """``window_s``: one event for so many seconds, with the medians of its frames. ``crop``: the side in pixels of the square in the
    middle that is looked at in full detail (null: the whole picture); scaling it down would hide what is measured.
    ``brisque`` false leaves BRISQUE out; ``weights`` are its two files. ``opposites``: pairs of sentences that CLIP-IQA compares the
    whole picture with (`picture.opinion`), which needs the weights and ``architecture`` of `clip.compare.Clip`."""

    def __init__(
        self,
        sampling: Annotated[Mapping[str, Any], FieldsOf(Sampling)],
        weights: Mapping[str, str | None],
        crop: PositiveInt | None = None,
        brisque: bool = True,
        window_s: PositiveFloat = 1.0,
        opposites: Mapping[str, Sequence[str]] | None = None,
        architecture: Mapping[str, str] | None = None,
        threads: NonNegativeInt = 1,
    ) -> None:
        if (crop is not None and crop < 64) or window_s <= 0:
            raise ConfigError(
                "analyzer.crop or window_s makes no sense", "crop of 64 or more, or null; window_s above 0"
            )
        with naming("sampling"):
            sampled = Sampling(**sampling)
        files = given(weights)
        towers = {role: files.pop(role) for role in ROLES if role in files}
        self._opinion = Opinion(opposites, towers, threads, architecture) if opposites is not None else None
        self._request = FrameRequest(sampled, colour="rgb" if self._opinion else "gray")
        self._crop, self._window_s, self._files = crop, window_s, files
        self._with_brisque = brisque
        self._brisque: Brisque | None = None
        own = tuple(files.values()) if brisque else ()
        self.weights = own + (self._opinion.weights if self._opinion else ())

    @property
    def needs(self) -> Needs:
        return Needs(frames=self._request)

    @property
    def quality_absent_reason(self) -> str:
        """Why the results must not be scored; empty where they may be."""
        return self._opinion.quality_absent_reason if self._opinion else ""

    def available(self) -> Availability:
        return self._opinion.available() if self._opinion else super().available()

    def prepare(self, store: WeightsSource) -> None:
        if self._opinion:
            self._opinion.prepare(store)

    def load(self, store: WeightsSource) -> None:
        if self._opinion:
            self._opinion.load(store)
        if self._with_brisque:
            self._brisque = Brisque(store.path(self._files["model"]), store.path(self._files["ranges"]))
        self._measured(np.zeros((64, 64), np.float32))

    def analyze(self, material: Material) -> AnalyzerResult:
        sampled: list[float] = []
        windows: dict[int, list[dict[str, float]]] = {}
        for frame in material.frames:
            sampled.append(frame.pts_s)
            with material.phases("preprocess"):
                grey = self._middle(frame.image).astype(np.float32)
            with material.phases("infer"):
                found = self._measured(grey) | (self._opinion.of(frame.image) if self._opinion else {})
            windows.setdefault(int(frame.pts_s / self._window_s), []).append(found)
        duration = max([material.info.duration_s, *sampled[-1:]])
        return AnalyzerResult(
            analyzer=NAME,
            clip=material.clip,
            duration_s=material.info.duration_s,
            frames_sampled=len(sampled),
            frames_inferred=len(sampled),
            sampled_s=tuple(sampled),
            events=tuple(self._event(index, rows, sampled, duration) for index, rows in windows.items()),
        )

    def evidence(self) -> Evidence:
        import cv2

        details: dict[str, Any] = {"crop": self._crop or "whole picture", "brisque": self._brisque is not None}
        if self._opinion:
            return evidence_of(self._opinion.networks, measures=f"opencv {cv2.__version__} + numpy", **details)
        return Evidence("opencv + numpy", "CPU", "fp32", cv2.__version__, details=details)

    def close(self) -> None:
        if self._opinion:
            self._opinion.close()

    def _middle(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The part of an H×W or H×W×3 picture that is looked at in full detail, in grey."""
        if self._crop is not None:
            # On a multiple of 8, so that the borders of coded blocks stay where they are.
            top, left = (max(0, side - self._crop) // 2 // 8 * 8 for side in image.shape[:2])
            image = image[top : top + self._crop, left : left + self._crop]
        return image if image.ndim == 2 else _grey(image)

    def _measured(self, grey: NDArray[np.float32]) -> dict[str, float]:
        found = asdict(Measures.of(grey))
        return found | {"brisque": self._brisque.score(grey)} if self._brisque else found

    def _event(self, index: int, rows: list[dict[str, float]], sampled: list[float], duration: float) -> Event:
        """``score`` is 1 for a picture with nothing wrong; the worst of what is wrong decides."""
        medians = {name: float(np.median([row[name] for row in rows])) for name in rows[0]}
        start = next(time for time in sampled if int(time / self._window_s) == index)
        return Event(
            start_s=start,
            end_s=max(start, min((index + 1) * self._window_s, duration)),
            label="quality",
            score=1 - max(_faults(medians)),
            attributes={name: round(value, 4) for name, value in medians.items()},
        )


def _grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    grey: NDArray[np.uint8] = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return grey


def _faults(found: Mapping[str, float]) -> list[float]:
    """How much each fault matters, 0…1, linear between a level that nobody minds and one that nobody accepts."""
    bounds = {
        "blur": (0.45, 0.9),
        "noise": (3.0, 20.0),
        "blockiness": (0.15, 1.5),
        "clipped_dark": (0.5, 1.0),
        "clipped_bright": (0.4, 1.0),
    }
    return [min(1.0, max(0.0, (found[name] - low) / (high - low))) for name, (low, high) in bounds.items()]
