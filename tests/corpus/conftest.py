"""A small studio: pictures whose content is known to the pixel, and scripts of a second or two at a reduced size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import yaml

from reelbench.corpus.synthetic import Job, make_job
from reelbench.models.store import ModelStore

RED = (220, 20, 20)


class Studio:
    """Writes pictures and scripts into ``folder``, and makes jobs of them with the real model store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = ModelStore()

    def picture(self, name: str, size: tuple[int, int], ground: int = 70, box: tuple[int, ...] = ()) -> dict[str, Any]:
        """A grey picture, with a red rectangle that fills ``box``; returns its entry for ``photographs``."""
        image = np.full((size[1], size[0], 3), ground, np.uint8)
        if box:
            image[box[1] : box[3], box[0] : box[2]] = RED
        cv2.imwrite(str(self.folder / f"{name}.png"), image[:, :, ::-1])
        objects = [{"label": "stop sign", "box": list(box)}] if box else []
        return {"file": f"{name}.png", "size": list(size), "objects": objects}

    def script(self, shots: list[dict[str, Any]], photographs: dict[str, Any], **more: Any) -> Path:
        content = {"size": [180, 320], "fps": 10, "crf": 8, "noise": 0, "seed": 3} | more
        path = self.folder / "test.yaml"
        path.write_text(yaml.safe_dump({**content, "shots": shots, "photographs": photographs}))
        return path

    def job(self, shots: list[dict[str, Any]], photographs: dict[str, Any], **more: Any) -> Job:
        path = self.script(shots, photographs, **more)
        if more.get("overlays"):
            self.store.ensure(["fonts/FredokaOne-Regular.ttf"])
        return make_job(path, self.store)


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


@pytest.fixture
def decode() -> Callable[[Path], list[tuple[float, np.ndarray]]]:
    def read(path: Path) -> list[tuple[float, np.ndarray]]:
        with av.open(str(path)) as container:
            return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]

    return read
