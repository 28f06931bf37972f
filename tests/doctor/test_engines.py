"""`reelbench doctor`: engines are really run and compared, what fails is refused afterwards, and one crash takes one check."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from reelbench.analyzers.overlay.rapidocr import RapidOCRReader
from reelbench.cli import cli
from reelbench.doctor.engine_check import EngineCheck, EngineResult, Found, Material, carry_out
from reelbench.doctor.engines import ctranslate2, onnx_runtime, opencv_dnn, openvino
from reelbench.doctor.examine import Examination, engine_results, lines
from reelbench.doctor.findings import Finding
from reelbench.engines import proofs
from reelbench.engines.base import Availability
from reelbench.engines.onnx_runtime import OnnxRuntime
from reelbench.engines.opencv_dnn import OpenCVDNN
from reelbench.engines.openvino import OpenVINO
from reelbench.engines.parity import compare
from reelbench.engines.proofs import Proof

NETWORK = {"input": "x", "outputs": ["y"], "shape": [1]}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def _material(tmp_path: Path) -> Material:
    folder = tmp_path / "folder"
    folder.mkdir()
    return Material(folder, tmp_path / "no-store")


@pytest.mark.parametrize(
    ("module", "precision", "networks"),
    [
        (onnx_runtime, "fp32", 2),
        (opencv_dnn, "fp32", 1),
        (openvino, "fp32", 2),
        (openvino, "int8", 2),
        (ctranslate2, "fp32", 1),
    ],
)
def test_engines_of_the_cpu_agree_with_an_independent_computation(
    tmp_path: Path, module: ModuleType, precision: str, networks: int
) -> None:
    check = next(one for one in module.checks() if (one.device, one.precision) == ("CPU", precision))
    result = carry_out(check, _material(tmp_path))
    assert (result.status, len(result.networks)) == ("ok", networks), result
    # Lowered precision differs: figures of exactly FP32 would mean that FP32 ran.
    assert result.relative > (1e-3 if precision == "int8" else 0)


def test_a_network_with_wrong_weights_is_noticed(tmp_path: Path) -> None:
    def run(material: Material) -> Iterator[Found]:
        network, path = material.small[0]
        wrong = [{"y": 1.5 * network.expected(one)} for one in network.inputs()]
        yield network.name, compare("int8", material.reference(path, network.inputs()), wrong)

    result = carry_out(
        EngineCheck("made", "CPU", "int8", lambda: Availability(True), lambda: "1", run), _material(tmp_path)
    )
    assert result.status == "failed"
    assert "relative error 0.5 (at most 0.4)" in result.reason


def test_what_only_the_check_got_wrong_proves_nothing_against_the_engine(tmp_path: Path) -> None:
    def run(material: Material) -> Iterator[Found]:
        raise KeyError("a mistake of the check")
        yield

    result = carry_out(
        EngineCheck("made", "CPU", "fp32", lambda: Availability(True), lambda: "1", run), _material(tmp_path)
    )
    assert (result.status, result.proof()) == ("error", None)


def test_answers_that_are_no_numbers_are_no_agreement() -> None:
    good = [{"y": np.ones(3)}]
    assert not compare("int8", good, [{"y": np.array([1, np.nan, 1])}]).ok
    assert not compare("int8", good, [{"y": np.zeros(3)}]).ok
    assert compare("fp32", good, good).ok


def test_an_engine_that_failed_is_refused_before_anything_is_measured() -> None:
    from importlib.metadata import version

    engine = OpenVINO(NETWORK, precision="bf16")
    assert engine.available().ok
    proof = Proof(
        "openvino", "CPU", "bf16", version("openvino"), False, "2026-03-01T00:00:00+00:00", reason="cosine 0.3"
    )
    proofs.keep([proof], "machine")
    state = engine.available()
    assert not state.ok and "cosine 0.3" in state.reason and "reelbench doctor" in state.mend
    assert OpenVINO(NETWORK, precision="fp32").available().ok
    # A proof belongs to a version.
    proofs.keep([Proof("openvino", "CPU", "bf16", "1.0", False, "2026-03-01")], "machine")
    assert engine.available().ok


@pytest.mark.parametrize(
    ("module", "engine", "precision", "built"),
    [
        (onnx_runtime, "onnx_runtime", "fp32", OnnxRuntime()),
        (opencv_dnn, "opencv_dnn", "fp32", OpenCVDNN()),
        (openvino, "openvino", "bf16", RapidOCRReader("openvino", "bf16")),
        (onnx_runtime, "onnx_runtime", "fp32", RapidOCRReader("onnxruntime")),
    ],
)
def test_every_user_of_an_engine_that_failed_is_refused(
    module: ModuleType, engine: str, precision: str, built: Any
) -> None:
    assert built.available().ok
    check = next(one for one in module.checks() if (one.device, one.precision) == ("CPU", precision))
    proofs.keep([Proof(engine, "CPU", precision, check.version(), False, "2026-03-01", reason="cosine 0.3")], "machine")
    assert "cosine 0.3" in built.available().reason


def test_a_library_comes_in_one_of_several_wheels() -> None:
    state = Availability(True)
    installed = proofs.installed_version("onnxruntime-of-no-wheel", "numpy")
    proofs.keep([Proof("onnx_runtime", "CUDA:0", "fp32", installed, False, "2026-03-01")], "machine")
    assert not proofs.proven(state, "onnx_runtime", "CUDA", "fp32", "onnxruntime-of-no-wheel", "numpy").ok
    assert proofs.proven(state, "onnx_runtime", "CUDA", "fp32", "onnxruntime-of-no-wheel").ok


def test_a_file_of_another_machine_or_form_proves_nothing(state: Path) -> None:
    proofs.keep([Proof("openvino", "CPU", "fp32", "1", True, "2026-03-01")], "machine")
    assert proofs.proof_of("openvino", "CPU", "fp32", "1")
    document = json.loads(proofs.proofs_file().read_text())
    for changed in ({**document, "arithmetic": "other"}, {**document, "schema_version": 99}, [], {"proofs": 3}):
        proofs.proofs_file().write_text(json.dumps(changed))
        assert proofs.proof_of("openvino", "CPU", "fp32", "1") is None


CRASHES = """
import os, signal
from reelbench.doctor.engine_check import EngineCheck
from reelbench.analyzers.overlay.rapidocr import RapidOCRReader
from reelbench.engines.base import Availability
from reelbench.engines.onnx_runtime import OnnxRuntime
from reelbench.engines.opencv_dnn import OpenCVDNN
from reelbench.engines.parity import Parity

def run(material):
    yield "made", Parity("fp32", 0.0, 1.0)

def crash(material):
    os.kill(os.getpid(), signal.SIGSEGV)
    yield

def checks():
    for name, what in (("first", run), ("second", crash), ("third", run)):
        yield EngineCheck(name, "CPU", "fp32", lambda: Availability(True), lambda: "1", what)
"""


def test_a_library_that_crashes_takes_only_its_own_check_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made_crashes.py").write_text(CRASHES)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        results = engine_results("made_crashes")
    finally:
        sys.modules.pop("made_crashes", None)
    assert [one.status for one in results] == ["ok", "failed", "ok"]
    assert "SIGSEGV" in results[1].reason


def test_exit_codes_say_how_bad_it_is() -> None:
    def code(*statuses: str, level: str = "ok") -> int:
        engines = [EngineResult("e", "CPU", "fp32", one) for one in statuses]  # type: ignore[arg-type]
        return Examination(engines, [Finding("f", level, "text")]).exit_code  # type: ignore[arg-type]

    assert [code("ok", "unavailable"), code("ok", level="look"), code("error")] == [0, 3, 3]
    assert [code("failed"), code("ok", level="wrong")] == [4, 4]
    assert any("unavailable" in line for line in lines(Examination([EngineResult("e", "CPU", "fp32", "unavailable")])))


def test_the_command_prints_json_with_a_version() -> None:
    done = CliRunner().invoke(cli, ["doctor", "--no-engines", "--json"], standalone_mode=False)
    found = json.loads(done.stdout)
    assert found["schema_version"] == 1 and found["fingerprint"] and found["exit_code"] == done.return_value
    names = {one["name"] for one in found["findings"]}
    assert {"governor", "load", "niceness", "model store", "disk of store", "cgroup memory limit", "GPU"} <= names
