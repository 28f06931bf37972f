"""Vision-language networks in PyTorch: random checkpoints, a pull from a hub, and what may not change the answer. Needs the extra 'vlm'
but for the first tests."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from reelbench.engines import transformers_vlm_available
from reelbench.engines.base import Availability
from reelbench.engines.transformers_vlm import TransformersVLM
from reelbench.engines.transformers_vlm_evidence import family
from reelbench.engines.transformers_vlm_types import Answer, Decoding, Encoded, Prompt
from reelbench.errors import AnalyzerError, ConfigError
from reelbench.models import download
from reelbench.models.catalog import Catalog
from reelbench.models.store import ModelStore
from support.weights import COMMIT, entry, running

PROMPT = Prompt("You watch short videos. Say in one sentence what happens.", "What happens?")
NEW = Decoding(max_new_tokens=16)
RATE = 8.0


@pytest.fixture(scope="module")
def torch() -> Iterator[Any]:
    module = pytest.importorskip("torch", reason="needs the extra 'vlm'")
    pytest.importorskip("transformers", reason="needs the extra 'vlm'")
    threads = module.get_num_threads()
    module.set_num_threads(1)
    yield module
    module.set_num_threads(threads)


@pytest.fixture(scope="module")
def checkpoint(torch: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random Qwen2-VL, as its publisher would lay it out. Its weights are large, so that its answers hang on what it sees."""
    from reelbench.engines import transformers_vlm_random as random

    folder = tmp_path_factory.mktemp("checkpoint")
    network = random.network("tiny", 0, torch.float32, "cpu", "eager")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(10 if parameter.ndim > 1 else 1)
    network.save_pretrained(folder)
    random.processor().save_pretrained(folder)
    return folder


def videos(count: int) -> list[np.ndarray]:
    """Coloured squares of 28 pixels that change from frame to frame."""
    generator = np.random.default_rng(0)
    squares = generator.integers(0, 256, (count, 4, 2, 3, 3), dtype=np.uint8)
    return list(squares.repeat(28, axis=2).repeat(28, axis=3))


def answers(engine: TransformersVLM, batch: int, count: int = 4, decoding: Decoding = NEW) -> list[Answer]:
    shown = videos(count)
    parts = [shown[at : at + batch] for at in range(0, count, batch)]
    return [answer for part in parts for answer in engine.generate(engine.encode(part, RATE, PROMPT), decoding)]


def loaded(folder: Path, **settings: Any) -> TransformersVLM:
    engine = TransformersVLM(**settings)
    state = engine.available()
    if not state.ok:
        pytest.skip(f"unavailable here: {state.reason}")
    engine.load(folder)
    return engine


@pytest.fixture(scope="module")
def baseline(checkpoint: Path) -> list[Answer]:
    found = answers(loaded(checkpoint), 1)
    assert len({answer.text for answer in found}) == 4, "the windows must not all be answered alike"
    return found


def told(found: list[Answer]) -> list[tuple[str, int]]:
    return [(answer.text, answer.tokens) for answer in found]


# Without the extra


def test_what_is_missing_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    state = TransformersVLM().available()
    assert (state.ok, state.mend) == (False, 'pip install "reelbench[vlm]"')
    assert state.reason == "not installed: torch, torchvision, transformers"
    assert "bitsandbytes" in TransformersVLM(precision="nf4").available().reason


def test_flash_attention_is_refused_without_a_gpu_and_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformers_vlm_available, "version", lambda name: "5.10.0")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "flash_attn" else True)
    on_cpu = TransformersVLM(attention="flash_attention_2").available()
    assert (on_cpu.ok, on_cpu.mend) == (False, "set analyzer.engine.device=cuda")
    monkeypatch.setattr(transformers_vlm_available, "gpu", lambda: Availability(True))
    on_gpu = TransformersVLM(attention="flash_attention_2", device="cuda").available()
    assert (on_gpu.ok, on_gpu.mend) == (False, "pip install flash-attn --no-build-isolation")
    monkeypatch.setattr(transformers_vlm_available, "version", lambda name: "5.9.0")
    assert "5.9.0 is older than 5.10" in TransformersVLM().available().reason


@pytest.mark.parametrize("wrong", [{"attention": "flash"}, {"precision": "fp8"}], ids=str)
def test_a_wrong_setting_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"analyzer.engine.{next(iter(wrong))} is"):
        TransformersVLM(**wrong)


def test_rows_of_a_batch_take_their_own_patches() -> None:
    part = Encoded({"input_ids": np.arange(6).reshape(3, 2), "pixels": np.arange(12)}, 3, 1).rows(1, 3)
    assert part.inputs["input_ids"].tolist() == [[2, 3], [4, 5]] and part.inputs["pixels"].tolist() == list(
        range(4, 12)
    )
    assert part.count == 2


def test_kernels_tell_the_implementation() -> None:
    assert family({"aten::softmax": 2}) == "eager"
    assert family({"aten::_scaled_dot_product_flash_attention": 1, "aten::softmax": 1}) == "sdpa"
    assert family({"flash_attn::_flash_attn_forward": 1}) == "flash_attn"
    assert family({}) == "none"


# With it


@pytest.mark.torch
def test_a_checkpoint_comes_from_a_hub_through_the_store(
    checkpoint: Path, baseline: list[Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    download.silent.clear()
    files = sorted(path for path in checkpoint.iterdir() if path.is_file())
    artifacts = {
        f"small_vl/{path.name}": entry(
            path.read_bytes(), {"hf": "owner/small-vl", "revision": COMMIT, "file": path.name}
        )
        for path in files
    }
    folder = tmp_path / "conf" / "weights"
    folder.mkdir(parents=True)
    family = {"title": "Small", "licence": "MIT", "class": "refetchable", "artifacts": artifacts}
    (folder / "small_vl.yaml").write_text(yaml.safe_dump(family))
    store = ModelStore(tmp_path / "store", Catalog.load(tmp_path / "conf"))
    with running() as server:
        for path in files:
            server.serve(f"/owner/small-vl/resolve/{COMMIT}/{path.name}", path.read_bytes())
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        pulled = store.pull(store.catalog.resolve(["small_vl"]))
    assert "model.safetensors" in {one.path.name for one in pulled}
    assert told(answers(loaded(pulled[0].path.parent), 1)) == told(baseline)


@pytest.mark.torch
@pytest.mark.parametrize(
    ("settings", "batch"),
    [
        ({}, 4),
        ({}, 3),
        ({"attention": "sdpa"}, 1),
        ({"attention": "sdpa"}, 4),
        ({"prefix_cache": True}, 1),
        ({"prefix_cache": True, "attention": "sdpa"}, 3),
        ({"compiled": True}, 4),
        ({"compiled": True, "prefix_cache": True}, 3),
    ],
    ids=str,
)
def test_the_answers_are_those_of_the_baseline(
    checkpoint: Path, baseline: list[Answer], settings: dict[str, Any], batch: int
) -> None:
    engine = TransformersVLM(**settings)
    # The compiled graph runs without a C++ compiler, which would take half a minute.
    engine._backend = "eager"
    engine.load(checkpoint)
    found = answers(engine, batch)
    assert told(found) == told(baseline)
    assert [answer.score for answer in found] == pytest.approx([answer.score for answer in baseline], rel=1e-4)
    evidence = engine.evidence()
    assert (evidence.contradiction, evidence.batch, evidence.precision) == ("", batch, "fp32")
    assert evidence.details["attention"] == settings.get("attention", "eager")
    assert (evidence.details["prefix_tokens_reused"] > 0) == bool(settings.get("prefix_cache"))


@pytest.mark.torch
@pytest.mark.parametrize("size", ["qwen2_5_vl_tiny", "qwen3_vl_tiny"])
def test_its_successors_run_from_a_folder_and_with_random_weights(torch: Any, tmp_path: Path, size: str) -> None:
    from reelbench.engines import transformers_vlm_random as random

    random.network(size, 0, torch.float32, "cpu", "eager").save_pretrained(tmp_path)
    random.processor(size).save_pretrained(tmp_path)
    expected = told(answers(loaded(tmp_path), 1, 2))
    engine = loaded(tmp_path, attention="sdpa", prefix_cache=True)
    assert told(answers(engine, 2, 2)) == expected
    evidence = engine.evidence()
    kind = {"qwen2_5_vl_tiny": "Qwen2_5_VL", "qwen3_vl_tiny": "Qwen3VL"}[size]
    assert evidence.contradiction == "" and evidence.details["network"] == f"{kind}ForConditionalGeneration"
    built = TransformersVLM()
    built.build(size)
    assert [answer.tokens for answer in answers(built, 2, 2)] == [16, 16]
    assert built.evidence().details["network"] == f"{kind}ForConditionalGeneration"


@pytest.mark.torch
def test_without_torchvision_the_patches_are_the_same(torch: Any) -> None:
    from reelbench.engines import transformers_vlm_random as random
    from reelbench.engines.transformers_vlm_patches import PatchProcessor

    engine = TransformersVLM()
    engine.build("tiny")
    odd = np.random.default_rng(1).integers(0, 256, (3, 60, 100, 3), np.uint8)
    # Three frames: the last one is doubled. torchvision's own resizing of bytes rounds in between; the mean shows that no patch moved.
    for video, most, mean in ((videos(1)[0][:3], 1e-5, 1e-6), (odd, 0.5, 0.02)):
        engine._processor = random.processor("tiny")
        real = engine.encode([video, video], RATE, PROMPT).inputs
        engine._processor = PatchProcessor(engine._processor.tokenizer, random._TEMPLATE)
        own = engine.encode([video, video], RATE, PROMPT).inputs
        assert own.keys() == real.keys()
        for name in ("input_ids", "attention_mask", "mm_token_type_ids", "video_grid_thw"):
            assert own[name].tolist() == real[name].tolist(), name
        difference = (own["pixel_values_videos"] - real["pixel_values_videos"]).abs()
        assert difference.max() <= most and difference.mean() <= mean


@pytest.mark.torch
@pytest.mark.parametrize("precision", ["bf16", "int8", "nf4"])
def test_lower_precisions_run_and_show_in_the_linear_layers(checkpoint: Path, precision: Any) -> None:
    engine = loaded(checkpoint, precision=precision, attention="sdpa")
    assert told(answers(engine, 2)) == told(answers(engine, 2))
    evidence = engine.evidence()
    assert (evidence.precision, evidence.contradiction) == (precision, "")


@pytest.mark.torch
def test_evidence_contradicts_what_did_not_happen(checkpoint: Path) -> None:
    engine = loaded(checkpoint, attention="sdpa")
    answers(engine, 1, 1)
    engine._network.set_attn_implementation("eager")
    assert engine.evidence().contradiction == "asked for attention sdpa, it was eager"
    engine._network.bfloat16()
    assert "asked for precision fp32" in engine.evidence().contradiction


@pytest.mark.torch
def test_other_decoding_says_something_else(checkpoint: Path, baseline: list[Answer]) -> None:
    engine = loaded(checkpoint)
    other = Decoding(16, repetition_penalty=1.2, no_repeat_ngram=2, avoid=(baseline[0].text,))
    assert answers(engine, 1, 1, other)[0].text != baseline[0].text


@pytest.mark.torch
def test_a_text_ends_where_the_network_ends_it(checkpoint: Path) -> None:
    """A token of the first answer that the second one lacks is made the end: what follows it is padding and counts for nothing."""
    engine = loaded(checkpoint)
    first, second = engine._once(engine.encode(videos(2), RATE, PROMPT), NEW)[1].tolist()
    end = next(token for token in first[2:] if token not in second)
    engine._ends = [end]
    engine._network.generation_config.eos_token_id = end
    assert [answer.tokens for answer in answers(engine, 2, 2)] == [first.index(end) + 1, 16]


@pytest.mark.torch
def test_an_injected_lack_of_memory_halves_the_batch_for_good(
    torch: Any, checkpoint: Path, baseline: list[Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is injected where the network is called: no GPU is needed, and none is tested."""
    engine = loaded(checkpoint)
    real = engine._network.generate

    def small(**inputs: Any) -> Any:
        if len(inputs["input_ids"]) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(**inputs)

    monkeypatch.setattr(engine._network, "generate", small)
    most = 1
    assert told(answers(engine, 4)) == told(baseline)
    evidence = engine.evidence()
    assert evidence.details["batches_halved_to"] == [2, 1] and evidence.batch == 1
    most = 0
    with pytest.raises(AnalyzerError, match="memory does not suffice for one window"):
        answers(engine, 1)


@pytest.mark.torch
def test_an_injected_lack_of_memory_for_the_network_is_one_line(torch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from reelbench.engines import transformers_vlm_random as random

    def full(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(random, "network", full)
    with pytest.raises(AnalyzerError, match="memory does not suffice for the network") as caught:
        TransformersVLM().build("tiny")
    assert "nf4" in caught.value.hint


@pytest.mark.torch
def test_random_weights_follow_their_seed_and_never_end_early(torch: Any) -> None:
    found = []
    for seed in (0, 0, 1):
        engine = TransformersVLM(seed=seed)
        engine.build("tiny")
        found.append(answers(engine, 1, 1))
    assert found[0] == found[1] != found[2]
    assert found[0][0].tokens == 16
    with pytest.raises(ConfigError, match="tiny, small, 2b, 7b, qwen2_5_vl_tiny"):
        TransformersVLM().build("3b")


@pytest.mark.torch
def test_pickles_and_half_checkpoints_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(AnalyzerError, match="no folder of weights"):
        TransformersVLM().load(tmp_path / "absent")
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((checkpoint / name).read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(AnalyzerError, match=r"pytorch_model\.bin, a pickle"):
        TransformersVLM().load(tmp_path)
    from safetensors.numpy import load_file, save_file

    for path in checkpoint.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = load_file(checkpoint / "model.safetensors")
    dropped = next(name for name in weights if name.endswith("q_proj.weight"))
    save_file({name: value for name, value in weights.items() if name != dropped}, tmp_path / "model.safetensors")
    with pytest.raises(AnalyzerError, match="lacks weights"):
        TransformersVLM().load(tmp_path)
    whole = (checkpoint / "model.safetensors").read_bytes()
    for name, content in (
        ("model.safetensors", b"\x80\x04\x95pickled under another name"),
        ("model.safetensors", whole[: len(whole) // 2]),
        ("config.json", b"{"),
    ):
        kept = (checkpoint / name).read_bytes()
        (tmp_path / "model.safetensors").write_bytes(whole)
        (tmp_path / name).write_bytes(content)
        with pytest.raises(AnalyzerError, match=f"cannot load {tmp_path.name}: ") as caught:
            TransformersVLM().load(tmp_path)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
        assert "reelbench models verify" in caught.value.hint
        (tmp_path / name).write_bytes(kept)


@pytest.mark.torch
def test_the_sizes_are_those_of_the_published_networks(torch: Any) -> None:
    """Parameters by the model cards' safetensors, without a head that is the embedding."""
    from transformers import AutoModelForImageTextToText

    from reelbench.engines.transformers_vlm_random import configuration

    published = {
        "2b": 2_208_985_600,
        "7b": 8_291_375_616,
        "qwen2_5_vl_3b": 3_754_622_976,
        "qwen2_5_vl_7b": 8_292_166_656,
        "qwen3_vl_2b": 2_127_532_032,
    }
    for size, expected in published.items():
        with torch.device("meta"):
            network = AutoModelForImageTextToText.from_config(configuration(size))
        assert sum(parameter.numel() for parameter in network.parameters()) == expected, size


@pytest.mark.gpu
@pytest.mark.torch
@pytest.mark.parametrize("attention", ["sdpa", "flash_attention_2"])
def test_on_a_gpu(torch: Any, attention: Any) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    engine = TransformersVLM(device="cuda", attention=attention)
    if not engine.available().ok:
        pytest.skip(f"unavailable here: {engine.available().reason}")
    engine.build("tiny")
    answers(engine, 4)
    evidence = engine.evidence()
    assert (evidence.device, evidence.precision, evidence.batch, evidence.contradiction) == ("CUDA:0", "bf16", 4, "")
