"""How far INT8 lies from FP32 in OpenVINO on this machine, and which kernels compute it.

    python benchmarks/int8_parity.py             # the known fault on processors with AMX: the smallest reproduction
    python benchmarks/int8_parity.py --shipped   # the deviations of all shipped INT8 networks (docs/doctor.md), some minutes

The reproduction quantizes two small networks with known weights, one of them with three-dimensional convolutions, and
TransNetV2 where the model store has it. Each is compiled twice, in processes of their own: as OpenVINO chooses, and with
ONEDNN_MAX_CPU_ISA=AVX512_CORE_VNNI, which forbids AMX. The fault was reported from a processor with AMX (sum of TransNetV2's
outputs on one input 1.34 instead of 3.9); where this script was written there is no AMX, and both agree with FP32.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

LIMIT = "AVX512_CORE_VNNI"
SHIPPED = (
    "openvino_int8",
    "openvino_int8_naive",
    "openvino_int8_boxes",
    "openvino_int8_heads",
    "openvino_int8_first",
    "openvino_int8_footage",
    "openvino_int8_bias",
    "optimized",
)


def layers(compiled: Any) -> list[tuple[str, str, str]]:
    """(name, kernel, precision) of each convolution and matrix product, as the compiled graph tells."""
    found = []
    for node in compiled.get_runtime_model().get_ordered_ops():
        info = {key: node.get_rt_info()[key].astype(str) for key in ("layerType", "primitiveType", "runtimePrecision")}
        if info["layerType"] in ("Convolution", "FullyConnected", "MatMul"):
            found.append((node.get_friendly_name(), info["primitiveType"], info["runtimePrecision"]))
    return found


def networks(folder: Path) -> list[tuple[str, Any, Any, list[dict[str, Any]]]]:
    """(name, network in FP32, network in INT8, inputs)."""
    import nncf
    import openvino as ov

    from reelbench.analyzers.shots.network import build
    from reelbench.analyzers.shots.transnet import WEIGHTS, WINDOW, TransNet
    from reelbench.doctor.networks import small_networks
    from reelbench.engines.torch_file import read_tensors
    from reelbench.errors import ReelBenchError
    from reelbench.models.store import ModelStore

    nncf.set_log_level(40)
    found = []
    for one in small_networks():
        path = one.write(folder / f"{len(found)}.onnx")
        feeds = [{"x": batch} for batch in one.inputs()]
        low = nncf.quantize(ov.Core().read_model(path), nncf.Dataset(feeds), subset_size=len(feeds))
        found.append((one.name, ov.Core().read_model(path), low, feeds))
    try:
        store, network = ModelStore(), TransNet("int8", rate=15)
        network.prepare(store)
        feeds = list(network._calibration(store))[:2]
        low = ov.Core().read_model(network._file(store))
        found.append(("TransNetV2", build(read_tensors(store.path(WEIGHTS)), WINDOW), low, feeds))
    except ReelBenchError as error:
        print(f"TransNetV2: {error}")
    return found


def look() -> None:
    """Print what this process, with its variables, computes."""
    import openvino as ov

    from reelbench.engines.openvino_parity import answers
    from reelbench.engines.parity import compare

    with tempfile.TemporaryDirectory() as folder:
        for name, full, low, feeds in networks(Path(folder)):
            expected = list(answers(full, "fp32", feeds))
            found = list(answers(low, "int8", feeds))
            sums = [sum(float(values.sum()) for values in one[0].values()) for one in (expected, found)]
            print(f"{name}: {compare('int8', expected, found)}; sum of outputs FP32 {sums[0]:.3f}, INT8 {sums[1]:.3f}")
            compiled = ov.Core().compile_model(low, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
            for (kernel, precision), count in Counter((one[1], one[2]) for one in layers(compiled)).items():
                print(f"    {count:3d} × {kernel}, {precision}")


def shipped() -> None:
    """Print the deviation of every shipped INT8 network, as `prepare` finds it."""
    from reelbench.analyzers.shots.transnet import TransNet
    from reelbench.config import instantiate, other_variant
    from reelbench.engines.openvino_parity import stored
    from reelbench.models.store import ModelStore

    store = ModelStore()
    for variant in SHIPPED:
        analyzer = instantiate(other_variant(["analyzer=object_detection"], variant).analyzer.constructor)
        analyzer.prepare(store)
        engine = analyzer._engine
        folder = store.derived(engine.key(store.path(analyzer._files["model"]), analyzer._calibrated_by))
        print(f"object_detection {variant}: {json.dumps(stored(folder, 'int8'))}", flush=True)
    for rate in (None, 15):
        network = TransNet("int8", rate=rate)
        network.prepare(store)
        print(f"TransNetV2 rate={rate}: {json.dumps(stored(network._file(store).parent, 'int8'))}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shipped", action="store_true")
    parser.add_argument("--look", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.look:
        look()
        return
    if options.shipped:
        shipped()
        return
    import openvino as ov

    from reelbench.machine import cpu

    model, features = cpu()
    print(f"{model}: {', '.join(features)}; OpenVINO {ov.__version__}; NumPy {np.__version__}")
    print(f"AMX: {'yes' if any(one.startswith('amx') for one in features) else 'no'}")
    for limit in (None, LIMIT):
        print(f"\nONEDNN_MAX_CPU_ISA={limit or '(not set)'}", flush=True)
        environment = {**os.environ, **({"ONEDNN_MAX_CPU_ISA": limit} if limit else {})}
        subprocess.run([sys.executable, __file__, "--look"], env=environment, check=True)


if __name__ == "__main__":
    main()
