"""One frame through the same network on each engine that this machine has.

    pytest benchmarks/test_engines.py --benchmark-columns=min,median,max,rounds

pytest-benchmark prints the ratios to the fastest. What is timed is a variant's own engine and head: preprocessing, inference, decoding
of its outputs. No video is decoded. The rows are taken one after the other: for a claim, use side_by_side.py.
"""

from __future__ import annotations

from typing import Any

import cv2
import pytest

from reelbench.config import compose, instantiate
from reelbench.models.store import ModelStore
from reelbench.paths import conf_dir

VARIANTS = sorted(path.stem for path in conf_dir().glob("tuning/object_detection/*.yaml"))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.benchmark(group="object_detection, one frame", min_rounds=30, warmup=True)
def test_one_frame(variant: str, benchmark: Any) -> None:
    store, overrides = ModelStore(), [f"variant={variant}", "analyzer.batch=1"]
    config = compose(overrides)
    if config.analyzer.constructor.get("architecture"):
        config = compose([*overrides, "analyzer.weights=random"])
    analyzer = instantiate(config.analyzer.constructor)
    if not (verdict := analyzer.available()).ok:
        pytest.skip(f"unavailable here: {verdict.reason}")
    store.ensure([*analyzer.weights, "photographs/bus.jpg"])
    analyzer.prepare(store)
    analyzer.load(store)
    head, engine = analyzer._head, analyzer._engine
    image = cv2.imread(str(store.path("photographs/bus.jpg")))
    image = cv2.resize(image if head.colour == "bgr" else image[..., ::-1], head.size) if head.size else image

    def one() -> Any:
        return head.decode(engine.infer(head.batch([image])), 0.2)

    benchmark(one)
    benchmark.extra_info["evidence"] = str(analyzer.evidence())
    analyzer.close()
