"""benchmarks/gpu/run.py, on a machine without a GPU: it refuses in one line, and on a CPU it runs to its end."""

from __future__ import annotations

import importlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu" / "run.py"
pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")),
        reason="needs the extra 'vlm'",
    ),
]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False)


def test_without_a_gpu_it_says_so() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    done = run()
    assert done.returncode == 4 and done.stdout == ""
    assert done.stderr.startswith("this PyTorch sees no CUDA device") and done.stderr.count("\n") == 1


@pytest.mark.timeout(900)
def test_on_a_cpu_it_runs_to_its_end_and_says_that_it_was_no_gpu(tmp_path: Path) -> None:
    small = ("--rounds", "1", "--tokens", "3", "--windows", "1", "--parts", "narration")
    done = run("--device", "cpu", "--size", "tiny", "--arms", "sdpa", "flash_attn", *small, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "not-a-gpu.md").read_text()
    assert page.startswith("# A CPU, not a GPU")
    found = json.loads((tmp_path / "not-a-gpu.json").read_text())["qwen2_vl_temporal tiny"]["found"]
    assert "FlashAttention 2 runs on CUDA devices only" in found["flash_attn"]["refused"]
    assert found["equal_in_fp32"] == {"sdpa": "equal"}
    assert found["sdpa"]["same_tokens"] == 1 and found["sdpa"]["evidence"]["attention"] == "sdpa"
    # So few tokens may take less than the noise: then there is no figure.
    assert all(value is None or value > 0 for value in (found["sdpa"]["tokens_s"], *found["sdpa"]["roofline"].values()))


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
