"""How far INT8 lies from FP32 in OpenVINO on this machine, and which kernels compute it.

    python benchmarks/int8_parity.py             # the known fault on processors with AMX: the smallest reproduction
    python benchmarks/int8_parity.py --shipped   # every variant in conf/ that computes in less than FP32 (docs/doctor.md)
    python benchmarks/int8_parity.py --shipped speech_transcription object_detection/optimized

What was compared on this machine before is read from the model store; INT8 networks that are not there yet are calibrated, which takes
a minute or two each (`openvino_int8_ac` and those with `accurate_bias` longer).

The reproduction quantizes two small networks with known weights, one of them with three-dimensional convolutions, and
TransNetV2 where the model store has it. Each is compiled twice, in processes of their own: as OpenVINO chooses, and with
ONEDNN_MAX_CPU_ISA=AVX512_CORE_VNNI, which forbids AMX. The fault was reported from a processor with AMX (sum of TransNetV2's
outputs on one input 1.34 instead of 3.9); where this script was written there is no AMX, and both agree with FP32.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

LIMIT = "AVX512_CORE_VNNI"
"""What forbids AMX."""


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


def shipped(words: list[str]) -> None:
    """Print as Markdown, for each variant that computes in less than FP32, how far it lies from FP32 here, or why nobody knows.
    ``words``: analyzers or analyzer/variant, and settings with '='."""
    from reelbench.config import compose, instantiate, variants
    from reelbench.paths import conf_dir

    print("| variant | network | precision | relative error | cosine | what came of it | seconds |")
    print("| --- | --- | --- | ---: | ---: | --- | ---: |")
    settings = [word for word in words if "=" in word]
    wanted, in_fp32 = set(words) - set(settings), 0
    for analyzer in sorted(path.name for path in (conf_dir() / "tuning").iterdir()):
        for variant in variants(analyzer):
            if wanted and not {analyzer, f"{analyzer}/{variant}"} & wanted:
                continue
            node = compose([f"analyzer={analyzer}", f"variant={variant}", *settings]).analyzer.constructor
            found = list(compared(instantiate(node), asked(node)))
            in_fp32 += not found
            for network, precision, relative, cosine, text, seconds in found:
                cells = (f"{analyzer} {variant}", network, precision, relative, cosine, text, f"{seconds:.0f}")
                print(f"| {' | '.join(cells)} |", flush=True)
    print(f"\n{in_fp32} other variants compute in FP32.")


def asked(node: Any) -> str:
    """The lowered precision that a configuration names; empty where it names none."""
    from reelbench.bench.evidence_check import LOWERED

    if isinstance(node, dict):
        own = [value for name, value in node.items() if name in ("precision", "compute") and value in LOWERED]
        return own[0] if own else next(filter(None, map(asked, node.values())), "")
    return ""


def compared(analyzer: Any, precision: str) -> Iterator[tuple[str, str, str, str, str, float]]:
    """(network, precision, relative error, cosine, words, seconds) of each network; nothing for a variant in FP32. ``precision``
    is what the configuration asks for."""
    from reelbench.analyzers.base import lowered_networks
    from reelbench.engines.lowered import prove
    from reelbench.engines.parity import ParityError
    from reelbench.errors import ReelBenchError
    from reelbench.models.store import ModelStore
    from reelbench.paths import store_dir

    state, store, started = analyzer.available(), ModelStore(), perf_counter()
    try:
        store.ensure(analyzer.weights, download=False)
        if not state.ok:
            raise ReelBenchError(state.reason)
        if not any(True for _ in lowered_networks(analyzer, store)):
            return
        analyzer.prepare(store)
        for network in lowered_networks(analyzer, store):
            try:
                record = prove(network)
                remedy = f", with {record['remedy']}" if record["remedy"] else ""
                figures = f"{record['relative']:.2g}", f"{record['cosine']:.4f}"
                yield network.name, network.precision, *figures, f"proven{remedy}", perf_counter() - started
            except ParityError as error:
                yield network.name, network.precision, "", "", f"refused: {error.message}", perf_counter() - started
            started = perf_counter()
    except ReelBenchError as error:
        if precision:
            reason = (state.reason or error.message).replace(f" {store_dir()}", "")
            yield "", precision, "", "", f"not compared: {reason}", perf_counter() - started


def environment() -> str:
    """The machine, and the versions that the figures depend on."""
    from reelbench.engines.lowered import versions
    from reelbench.machine import cpu

    model, features = cpu()
    packages = (
        "openvino",
        "nncf",
        "onnxruntime",
        "ctranslate2",
        "torch",
        "transformers",
        "bitsandbytes",
        "tensorrt",
        "numpy",
    )
    there = ", ".join(f"{name} {version}" for name, version in versions(packages).items())
    amx = "yes" if any(one.startswith("amx") for one in features) else "no"
    return f"{model}: {', '.join(features)}; AMX: {amx}\n{there}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shipped", action="store_true")
    parser.add_argument(
        "wanted", nargs="*", help="with --shipped: these analyzers or analyzer/variant alone; settings with '='"
    )
    parser.add_argument("--look", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.look:
        look()
        return
    if options.shipped:
        print(environment(), end="\n\n")
        shipped(options.wanted)
        return
    print(environment())
    for limit in (None, LIMIT):
        print(f"\nONEDNN_MAX_CPU_ISA={limit or '(not set)'}", flush=True)
        variables = {**os.environ, **({"ONEDNN_MAX_CPU_ISA": limit} if limit else {})}
        subprocess.run([sys.executable, __file__, "--look"], env=variables, check=True)


if __name__ == "__main__":
    main()
