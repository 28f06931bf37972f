"""OpenVINO: convolutions and matrix products of the compiled graphs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reelbench.bench.executed import Ran, live
from reelbench.engines.openvino_executed import precisions

ENGINE = "openvino"


def ran(module: Any) -> Iterator[Ran]:
    for model in live(module.CompiledModel):
        device = "+".join(str(one) for one in model.get_property("EXECUTION_DEVICES"))
        for precision, count in precisions(model).items():
            yield device, precision, count
