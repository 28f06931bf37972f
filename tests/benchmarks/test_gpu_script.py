"""benchmarks/gpu with the real measuring process, on a CPU. What it survives is tested in test_gpu_supervision.py, too."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu" / "run.py"
pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")),
        reason="needs the extra 'vlm'",
    ),
]


SMALL = ("--device", "cpu", "--size", "tiny", "--rounds", "1", "--windows", "2", "--tokens", "3")
NARRATION = ("--parts", "qwen2_vl_temporal")


def start(*arguments: str) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, str(SCRIPT), *arguments], text=True, **pipes)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    process = start(*arguments)
    output, errors = process.communicate()
    return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


def rows(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "not-a-gpu.json").read_text())["rows"])


def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    done = run("--out", str(tmp_path))
    assert done.returncode == 4 and done.stdout == ""
    assert done.stderr == "this PyTorch sees no CUDA device\n"


@pytest.mark.timeout(900)
def test_an_arm_that_raises_is_a_row_and_the_others_are_measured(tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    shutil.copytree(SCRIPT.parents[2] / "conf", conf)
    broken = conf / "tuning" / "qwen2_vl_temporal" / "broken.yaml"
    broken.write_text("analyzer: {engine: {precision: fp8}}\n")
    arms = ("--arms", "broken", "sdpa", "flash_attn")
    done = run(*SMALL, *NARRATION, *arms, "--conf", str(conf), "--out", str(tmp_path))
    assert done.returncode == 5, done.stderr
    found = {key.removeprefix("qwen2_vl_temporal tiny | "): row for key, row in rows(tmp_path).items()}
    assert list(found) == ["baseline", "sdpa", "broken", "flash_attn", "sdpa | tokens"]
    assert found["broken"]["status"] == "failed" and "analyzer.engine.precision" in found["broken"]["reason"]
    assert found["flash_attn"]["status"] == "unavailable"
    assert "FlashAttention 2 runs on CUDA devices only" in found["flash_attn"]["reason"]
    assert found["sdpa | tokens"]["equal"] is True and found["sdpa"]["same_tokens"] == 1
    assert found["sdpa"]["evidence"]["attention"] == "sdpa"
    # So few tokens may take less than the noise: then there is no figure.
    roofline = found["sdpa"]["roofline"]
    assert all(value is None or value > 0 for value in (found["sdpa"]["tokens_s"], *roofline.values()))
    page = (tmp_path / "not-a-gpu.md").read_text()
    assert page.startswith("# A CPU, not a GPU") and "- broken: failed" in page


@pytest.mark.timeout(900)
def test_killed_in_the_middle_the_report_has_what_was_measured_and_the_worker_ends(tmp_path: Path) -> None:
    arguments = (*SMALL, *NARRATION, "--arms", "sdpa", "batched", "--out", str(tmp_path))
    process = start(*arguments)
    assert process.stderr is not None
    first = next(line for line in process.stderr if line.startswith("[1/"))
    worker = psutil.Process(process.pid).children()[0]
    process.kill()
    process.wait()
    worker.wait(60)
    assert "baseline" in first and list(rows(tmp_path)) == ["qwen2_vl_temporal tiny | baseline"]
    before = rows(tmp_path)
    done = run(*arguments, "--resume")
    assert done.returncode == 0, done.stderr
    after = rows(tmp_path)
    assert len(after) == 5 and before.items() <= after.items()


@pytest.mark.skipif("REELBENCH_SLOW" not in os.environ, reason="slow: set REELBENCH_SLOW=1")
@pytest.mark.timeout(3600)
def test_the_rehearsal_measures_everything_that_a_cpu_can(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT.parents[2] / "scripts" / "gpu_once"), "--device", "cpu"]
    command += ["--size", "tiny", "--limit", "3400", "--out", str(tmp_path), "--wheels", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = rows(tmp_path)
    failed = {key: row["reason"] for key, row in found.items() if row["status"] not in ("measured", "unavailable")}
    assert not failed
    wrong = {key: row for key, row in found.items() if row.get("wrong") or row.get("contradiction")}
    assert not wrong
    equal = {key: row["equal"] for key, row in found.items() if "equal" in row}
    assert equal and all(equal.values())
    assert done.returncode == 0, done.stderr
    assert "Incomplete" not in (tmp_path / "not-a-gpu.md").read_text()


def test_the_work_is_what_pytorch_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against PyTorch's own counter, for the plain network: it computes causal attention in full, and the roofline counts half."""
    import numpy as np
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from reelbench.engines.transformers_vlm import TransformersVLM
    from reelbench.engines.transformers_vlm_types import Decoding, Prompt

    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    roofline = importlib.import_module("roofline")
    engine = TransformersVLM()
    engine.build("tiny")
    encoded = engine.encode([np.zeros((4, 56, 84, 3), np.uint8)], 8.0, Prompt("Say what happens.", "What?"))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        engine.generate(encoded, Decoding(1))
    text = engine._network.config.get_text_config()
    length = encoded.inputs["input_ids"].shape[1]
    upper = 2 * length**2 * text.hidden_size * text.num_hidden_layers
    counted = roofline.work(engine._network, encoded.inputs, 1, 1).prefill_flop + upper
    assert counted == pytest.approx(counter.get_total_flops(), rel=0.02)
