"""OpenVINO: convolutions and matrix products of the compiled graphs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reelbench.bench.executed import Ran, live
from reelbench.engines.openvino_executed import precisions

ENGINE = "openvino"


def ran(module: Any) -> Iterator[Ran]:
    # Some libraries keep the request alone (RapidOCR). Where networks live, requests are theirs, and would count twice.
    models = list(live(module.CompiledModel)) or [one.get_compiled_model() for one in live(module.InferRequest)]
    for model in models:
        device = "+".join(str(one) for one in model.get_property("EXECUTION_DEVICES"))
        for precision, count in precisions(model).items():
            yield device, precision, count
