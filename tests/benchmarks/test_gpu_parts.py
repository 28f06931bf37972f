"""The parts of the GPU benchmark, rehearsed on the CPU with tiny networks: they run, and notice what is wrong."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest

GPU = Path(__file__).parents[2] / "benchmarks" / "gpu"
pytestmark = [
    pytest.mark.torch,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")),
        reason="needs the extra 'vlm'",
    ),
]
NEEDS_A_GPU = (
    "CUDA graphs need a CUDA device",
    "TF32 is arithmetic of NVIDIA GPUs",
    "pinned memory is for copies to a CUDA device",
)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Modules of benchmarks/gpu by name, with one thread: these networks are too small for more."""
    import torch

    monkeypatch.syspath_prepend(str(GPU))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield importlib.import_module
    importlib.import_module("forward").free()
    torch.set_num_threads(threads)


def rows(gpu: Any, part: str, names: str = "", without: str = "compiled") -> dict[str, dict[str, Any]]:
    """The figures of a part's arms on the CPU; those that need a GPU must say so, and are left out."""
    from reelbench.errors import UnavailableError

    found = {}
    for arm in gpu("parts").all_arms("cpu", "tiny", None):
        if arm.part != part or names not in arm.name or (without and without in arm.name):
            continue
        try:
            found[arm.name] = arm.measure("cpu", "tiny", 1)
        except UnavailableError as error:
            assert str(error) in NEEDS_A_GPU
    return found


def check(found: dict[str, dict[str, Any]], *names: str) -> None:
    """These arms and no others were measured, and nothing is wrong with them."""
    assert set(found) == set(names)
    for name, row in found.items():
        assert row["wrong"] == "", name
        assert 0 < row["ms"]["least"] <= row["ms"]["median"] <= row["ms"]["most"]
    json.dumps(found)


def test_every_part_is_there_once_and_the_order_is_that_of_their_value(gpu: Any) -> None:
    for size in ("full", "tiny"):
        arms = gpu("parts").all_arms("cuda", size, None)
        assert len({(arm.part, arm.name) for arm in arms}) == len(arms)
        assert [arm.value for arm in arms] == sorted(arm.value for arm in arms)
        assert {arm.part for arm in arms} == {
            *("yolo11n", "segformer_b0", "clip_vit_b32", "whisper_large_v3_turbo"),
            *("copies", "bitsandbytes", "recogniser"),
        }


def test_clip_runs_in_each_type(gpu: Any) -> None:
    found = rows(gpu, "clip_vit_b32")
    check(found, "fp32 batch 2", "fp16 batch 2", "text fp32 batch 2", "text fp16 batch 2")
    assert found["fp16 batch 2"]["evidence"]["types"].keys() == {"fp16"}
    # Rounding shows: FP16 is no FP32 by another name.
    assert found["fp16 batch 2"]["parity"]["error"] > 10 * found["fp32 batch 2"]["parity"]["error"]


@pytest.mark.skipif(os.environ.get("REELBENCH_SLOW") != "1", reason="slow: REELBENCH_SLOW=1 runs it")
def test_clip_runs_compiled(gpu: Any) -> None:
    found = rows(gpu, "clip_vit_b32", "compiled", without="")
    check(found, "fp16 compiled batch 2")
    assert found["fp16 compiled batch 2"]["evidence"]["compiled"]["graphs"] >= 1


def test_segformer_runs_in_each_type(gpu: Any) -> None:
    check(rows(gpu, "segformer_b0"), "fp32 batch 2", "fp16 batch 2")


def test_whisper_runs_in_each_type(gpu: Any) -> None:
    names = [f"{half} {kind} batch 2" for half in ("encoder", "decoder step") for kind in ("fp32", "fp16")]
    check(rows(gpu, "whisper_large_v3_turbo"), *names)


def test_yolo_runs_in_each_type_and_layout(gpu: Any) -> None:
    pytest.importorskip("ultralytics", reason="needs Ultralytics")
    found = rows(gpu, "yolo11n")
    check(found, "fp32 batch 2", "fp16 batch 2", "fp16 channels-last batch 2")
    last, of, every = found["fp16 channels-last batch 2"]["evidence"]["channels_last"].split()[:3]
    assert of == "of" and last == every != "0"


def test_frames_arrive_as_they_were_and_are_prepared_as_opencv_does(gpu: Any) -> None:
    pytest.importorskip("cv2", reason="needs OpenCV")
    found = rows(gpu, "copies")
    names = [f"{what} batch {batch}" for what in ("copy pageable", "prepare fp16", "prepare fp32") for batch in (1, 16)]
    check(found, *names, "decode by OpenCV batch 16")
    # OpenCV rounds to whole grey levels.
    assert found["prepare fp32 batch 16"]["parity"]["cpu_max_abs"] < 1.01 / 255


def test_bitsandbytes_holds_the_types_that_were_asked_for(gpu: Any) -> None:
    pytest.importorskip("bitsandbytes", reason="needs bitsandbytes")
    found = rows(gpu, "bitsandbytes")
    check(found, *(f"{kind} {number} rows" for kind in ("int8", "nf4") for number in (1, 1024)))
    assert found["nf4 1 rows"]["weights_mib"] < 0.6 * found["int8 1 rows"]["weights_mib"]


def test_a_wrong_weight_in_quantized_layers_is_noticed(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("bitsandbytes", reason="needs bitsandbytes")
    import torch

    quantized = gpu("quantized")
    right = quantized._quantized

    def spoilt(plain: Any, kind: str, base: Any) -> Any:
        wrong = torch.nn.Sequential(*(torch.nn.Linear(p.in_features, p.out_features, bias=False) for p in plain))
        for held, layer in zip(wrong, plain, strict=True):
            held.weight.data = layer.weight.data.clone()
        wrong[2].weight.data = wrong[2].weight.data.roll(1, 0)
        return right(wrong, kind, base)

    monkeypatch.setattr(quantized, "_quantized", spoilt)
    found = rows(gpu, "bitsandbytes", "1024")
    assert all(row["wrong"].startswith("differs from FP32 on the CPU") for row in found.values()) and len(found) == 2


@pytest.mark.parametrize("name", ["fp32 batch 2", "fp16 batch 2"])
def test_a_wrong_weight_is_a_row_that_says_so(gpu: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    forward = gpu("forward")
    ready = forward._ready

    def spoilt(network: Any, inputs: Any, technique: Any) -> Any:
        weight = next(held for held in network.parameters() if held.dim() == 4)
        weight.data = weight.data.roll(1, 0)
        return ready(network, inputs, technique)

    monkeypatch.setattr(forward, "_ready", spoilt)
    found = rows(gpu, "segformer_b0", name)
    assert found[name]["wrong"].startswith("differs from FP32 on the CPU by")
    assert found[name]["parity"]["ok"] is False


def test_answers_that_do_not_follow_the_inputs_are_noticed(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of a CUDA graph that was recorded on copies of its inputs."""
    forward = gpu("forward")

    def stale(network: Any, inputs: Any, technique: Any) -> Any:
        answer = network(*inputs)
        return lambda: answer

    monkeypatch.setattr(forward, "_ready", stale)
    found = rows(gpu, "segformer_b0", "fp32")
    assert found["fp32 batch 2"]["wrong"].startswith("differs from FP32 on the CPU by")


def test_what_did_not_run_as_asked_is_contradicted(gpu: Any) -> None:
    forward = gpu("forward")
    seen = {
        "types": {"fp16": 5},
        "device": "cuda:0",
        "channels_last": "3 of 3 convolutions",
        "graph_replays": 1,
        "compiled": {"graphs": 1, "breaks": 0},
        "compiled_kernels": 4,
    }
    whole = forward.Technique("fp16", "compiled cuda graph", True)
    assert forward._contradiction(whole, seen, "cuda") == ""
    assert forward._contradiction(forward.Technique("fp16", "compiled"), seen, "cuda") == ""
    for spoilt in (
        {"types": {"fp16": 5, "fp32": 1}},
        {"device": "cpu"},
        {"channels_last": "2 of 3 convolutions"},
        {"graph_replays": 0},
        {"compiled": {"graphs": 0, "breaks": 0}},
    ):
        assert forward._contradiction(whole, seen | spoilt, "cuda") != "", spoilt
    assert forward._contradiction(forward.Technique("fp16", "compiled"), seen | {"compiled_kernels": 0}, "cuda") != ""


def test_numbers_that_are_not_finite_never_agree(gpu: Any) -> None:
    import torch

    parity = gpu("parity")
    want, other = torch.ones(3), torch.zeros(3)
    found = parity.compare([torch.tensor([1.0, float("nan"), 1.0])], [want], [other], "fp16")
    assert parity.wrong(found) == "the answer holds numbers that are not finite"
    assert parity.wrong(parity.compare([want + 0.02], [want], [other], "fp16")) == ""
    # A large constant part hides no error.
    assert parity.wrong(parity.compare([want + 1000.1], [want + 1000], [other + 1000], "fp16"))


def test_a_step_of_the_decoder_is_that_of_whole_decoding(gpu: Any) -> None:
    """With the keys and values of a real past: the words of the step are those of all tokens in one pass."""
    import torch
    from transformers import DynamicCache, EncoderDecoderCache

    networks = gpu("networks")
    torch.manual_seed(0)
    about = networks.WHISPER["tiny"]
    network = about.network().eval()
    tokens = torch.randint(0, about.words, (2, about.past + 1))
    with torch.no_grad():
        sound = network.model.encoder(*networks.ENCODER.inputs("tiny", 2, 0, "cpu")).last_hidden_state
        whole = network(decoder_input_ids=tokens, encoder_outputs=(sound,)).logits[:, -1:]
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        network.model.decoder(tokens[:, :-1], encoder_hidden_states=sound, past_key_values=cache, use_cache=True)
        past = [
            tensor
            for half in (cache.self_attention_cache, cache.cross_attention_cache)
            for layer in half.layers
            for tensor in (layer.keys, layer.values)
        ]
        step = networks.Step(about.decoder)
        for _ in range(2):  # The past is not changed: the same call has the same answer.
            assert torch.allclose(step(network, tokens[:, -1:], *past), whole, atol=1e-5)
    assert [p.shape for p in past] == [p.shape for p in networks.DECODER.inputs("tiny", 2, 0, "cpu")[1:]]
