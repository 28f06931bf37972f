"""CLIP in product_detection and content_quality. Its towers are MADE here: the image tower answers with the picture's mean colour, the
text tower with the colours that a sentence names, so that every figure is known. They are fed as the published files are."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reelbench.analyzers.base import Material
from reelbench.analyzers.clip import texts
from reelbench.analyzers.clip.pictures import FEED, fitted
from reelbench.analyzers.content_quality import ContentQuality
from reelbench.analyzers.products.taxonomy import read_taxonomy
from reelbench.config import compose, instantiate
from reelbench.errors import ConfigError
from reelbench.media import FrameStream, probe
from reelbench.media.types import FrameRequest, Sampling
from reelbench.results import AnalyzerResult, Event
from support.clips import make_clip
from support.contract import StrictPhases

WIDTH = 512
VOCABULARY = {"!": 0, "red": 1, "green": 2, "blue": 3, "a": 4, "photo": 5, "of": 6, ".": 7, "<start>": 8, "<end>": 9}
TOWERS = {"vision": "clip/vision_model.onnx", "text": "clip/text_model.onnx", "tokenizer": "clip/tokenizer.json"}
COLOUR = (131, 60, 128)
RED, BLUE, GREEN = (200, 30, 30), (30, 30, 200), (30, 200, 30)


@dataclass(frozen=True)
class Made:
    """A store that has the made towers for the published ones."""

    folder: Path

    def path(self, artifact: str) -> Path:
        return self.folder / {"vision": "vision.xml", "text": "text.xml"}.get(artifact[5:].split("_")[0], "tokens.json")

    def derived(self, key: str) -> Path:
        folder = self.folder / "derived" / key
        folder.mkdir(parents=True, exist_ok=True)
        return folder


@pytest.fixture
def store(tmp_path: Path) -> Made:
    import openvino as ov
    from openvino import opset13 as ops

    def constant(value: Any, kind: Any = np.float32) -> Any:
        return ops.constant(np.asarray(value, kind))

    # Any number of pictures of any size, as published; levels become 0…1 again before they are averaged.
    pixels = ops.parameter([-1, 3, -1, -1], np.float32, name="pixel_values")
    mean, deviation = (np.asarray(value, np.float32).reshape(1, 3, 1, 1) / 255 for value in (FEED.mean, FEED.scale))
    levels = ops.add(ops.multiply(pixels, constant(deviation)), constant(mean))
    seen = ops.matmul(ops.reduce_mean(levels, constant([2, 3], np.int64)), constant(np.eye(3, WIDTH)), False, False)
    seen.output(0).set_names({"image_embeds"})
    ov.save_model(ov.Model([seen], [pixels], "vision"), tmp_path / "vision.xml", compress_to_fp16=False)
    _save_text(tmp_path / "text.xml")
    _save_tokenizer(tmp_path / "tokens.json")
    return Made(tmp_path)


def _save_text(path: Path, masked: bool = False) -> None:
    """As the published tower, it reads at the token of the largest number, and sees no token after it; another one, with the mask
    that some exports have, sees nothing where the mask is 0."""
    import openvino as ov
    from openvino import opset13 as ops

    def number(value: Any) -> Any:
        return ops.constant(np.asarray(value, np.int64))

    table = np.zeros((len(VOCABULARY), WIDTH), np.float32)
    table[[1, 2, 3], [0, 1, 2]] = 1
    table[0] = 5
    ids = ops.parameter([-1, -1], np.int64, name="input_ids")
    mask = ops.parameter([-1, -1], np.int64, name="attention_mask")
    words = ops.gather(ops.constant(table), ids, number(0))
    if masked:
        words = ops.multiply(words, ops.unsqueeze(ops.convert(mask, "f32"), number(2)))
        found = ops.reduce_sum(words, number([1]))
    else:
        end = ops.topk(ids, number(1), 1, "max", "none", "i64").output(1)
        found = ops.squeeze(ops.gather(ops.cum_sum(words, number(1)), end, number(1), 1), number([1]))
    found.output(0).set_names({"text_embeds"})
    inputs = [mask, ids] if masked else [ids]
    for one, name in zip(inputs, ("attention_mask", "input_ids") if masked else ("input_ids",), strict=True):
        one.output(0).set_names({name})
    ov.save_model(ov.Model([found], inputs, "text"), path, compress_to_fp16=False)


def _save_tokenizer(path: Path) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    made = Tokenizer(models.WordLevel(VOCABULARY, unk_token="!"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.RobertaProcessing(("<end>", 9), ("<start>", 8))
    made.enable_padding(pad_id=9, length=20)
    made.save(str(path))


@pytest.mark.parametrize("masked", [False, True])
def test_sentences_are_embedded_once_whatever_pads_them(store: Made, masked: bool) -> None:
    tower, tokenizer = store.folder / "text.xml", store.folder / "tokens.json"
    _save_text(tower, masked)
    said = ["Red photo.", "a photo of a green blue ."]
    assert texts.tokens(said, tokenizer) == [[8, 1, 5, 7, 9], [8, 4, 5, 6, 4, 2, 3, 7, 9]]
    found = texts.embedded(store, said, tower, tokenizer, 1)
    assert found.shape == (2, WIDTH)
    assert found[:, :4] == pytest.approx(np.array([[1, 0, 0, 0], [0, 0.5**0.5, 0.5**0.5, 0]]))
    (kept,) = store.folder.glob("derived/*/texts.npy")
    np.save(kept, np.zeros(3))
    assert not texts.embedded(store, said, tower, tokenizer, 1).any()
    texts.embedded(store, said[:1], tower, tokenizer, 1)
    assert len(list(store.folder.glob("derived/*"))) == 2


def test_a_stand_in_for_the_tokenizer_is_as_long_as_the_tower_reads() -> None:
    (short, long) = texts.stand_in(["ab", "a" * 200])
    assert short == [49406, 97, 98, 49407] and len(long) == 77 and long[-1] == 49407


def test_clip_iqa_compares_the_middle_of_the_picture_with_opposites(store: Made, tmp_path: Path) -> None:
    picture = np.full((160, 96, 3), GREEN, np.uint8)
    picture[32:128] = COLOUR
    clip = make_clip(
        tmp_path / "bars.mp4", frames=60, size=(96, 160), picture=lambda index: picture, options={"crf": "1"}
    )
    judge = ContentQuality(
        {"rate": 1},
        TOWERS,
        brisque=False,
        opposites={"warm": ["Red photo.", "Blue photo."], "same": ["green", "green"]},
    )
    judge.prepare(store)
    judge.load(store)
    request = FrameRequest(Sampling(rate=1))
    assert judge.needs.frames == request and judge.weights == tuple(TOWERS.values())
    with FrameStream(clip, request) as frames:
        shown = list(frames)
    result = judge.analyze(Material("bars", probe(clip), StrictPhases(), iter(shown)))
    # 100 times the cosine with either colour; nothing of the green above and below.
    red, green, blue = (float(shown[0].image[32:128, :, channel].mean()) for channel in range(3))
    expected = 1 / (1 + exp(-100 * (red - blue) / (red**2 + green**2 + blue**2) ** 0.5))
    assert 0.6 < expected < 0.9
    assert [round(event.start_s) for event in result.events] == [0, 1]
    for event in result.events:
        assert event.attributes["warm"] == pytest.approx(expected, abs=0.01)
        assert event.attributes["same"] == 0.5
        assert event.attributes["exposure"] == pytest.approx(0.39, abs=0.02)
    assert judge.evidence().details["inference_precision"] == "f32"
    judge.close()


def test_clip_tells_products_by_their_words(store: Made, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("drink: {coco: [bottle], words: [red]}\nfood: {coco: [cake], words: [green]}\n")
    node = compose(["analyzer=product_detection", "variant=clip", f"analyzer.taxonomy={mine}"]).analyzer.constructor
    node["zero_shot"]["others"] = ["blue"]
    analyzer = instantiate(node)
    assert analyzer.weights == tuple(TOWERS.values()) and analyzer.quality_absent_reason == ""
    analyzer.prepare(store)
    analyzer.load(store)
    picture = np.full((96, 160, 3), BLUE, np.uint8)
    picture[16:80, 8:72] = RED
    clip = make_clip(
        tmp_path / "things.mp4", frames=60, size=(160, 96), picture=lambda index: picture, options={"crf": "1"}
    )
    things = [("bus", 0.9, (10, 18, 70, 78)), ("cake", 0.4, (100, 30, 130, 60)), ("bus", 0.9, (100, 30, 130, 60))]
    objects = tuple(Event(start_s=0, end_s=2, label=label, score=score, box=box) for label, score, box in things)
    upstream = {"object_detection": AnalyzerResult(analyzer="object_detection", clip="c", duration_s=2, events=objects)}
    with FrameStream(clip, analyzer.needs.frames) as frames:
        result = analyzer.analyze(Material("c", probe(clip), StrictPhases(), iter(frames), upstream=upstream))
    # Blue is what no product is: the cake is one by its name alone, the second bus is none, nor is the picture, mostly blue.
    first, second = result.events
    assert (first.label, first.attributes["name"], first.attributes["looks"]) == ("drink", "red", 2)
    assert first.score > 0.99 and first.box == things[0][2]
    assert (second.label, second.attributes["name"]) == ("food", "cake") and second.score == pytest.approx(0.4)
    analyzer.close()


@pytest.mark.parametrize(
    ("taxonomy", "others", "said"),
    [
        ("a: {words: [cup]}\nb: {words: [cup]}", [], "'cup' is in a and in b"),
        ("a: {coco: [cup]}", [], "no category of the taxonomy has words"),
        ("a: {words: [cup]}", ["dog", "cup"], "'cup' is a word of a and no product"),
    ],
)
def test_wrong_words_are_refused_in_one_line(tmp_path: Path, taxonomy: str, others: list[str], said: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(taxonomy)
    with pytest.raises(ConfigError, match=said):
        read_taxonomy(file).by_words(others)


@pytest.mark.parametrize(
    ("analyzer", "variant", "override", "said"),
    [
        ("product_detection", "clip", "analyzer.zero_shot.template=photo", "template wants"),
        ("product_detection", "clip", "analyzer.weights.tokenizer=null", "give vision, text, tokenizer"),
        ("content_quality", "clip_iqa", "analyzer.opposites.clip_iqa=[good]", "not pairs"),
        ("content_quality", "clip_iqa", "analyzer.weights.tokenizer=random", "cannot be random"),
    ],
)
def test_a_wrong_setting_is_named(analyzer: str, variant: str, override: str, said: str) -> None:
    node = compose([f"analyzer={analyzer}", f"variant={variant}", override]).analyzer.constructor
    with pytest.raises(ConfigError) as raised:
        instantiate(node)
    assert said in f"{raised.value} {raised.value.hint}"


def test_every_category_that_is_shipped_has_words() -> None:
    taxonomy = read_taxonomy()
    assert set(taxonomy.of_word.values()) == set(taxonomy.names)


def test_pictures_are_prepared_as_published() -> None:
    """Against transformers' processor for this network: the same levels."""
    transformers = pytest.importorskip(
        "transformers", reason="transformers, which has the published processor, is not installed"
    )
    if not hasattr(transformers, "CLIPImageProcessorPil"):
        pytest.skip("this version of transformers has no CLIPImageProcessorPil")
    published = transformers.CLIPImageProcessorPil()
    for height, width in ((360, 640), (501, 333), (90, 100)):
        picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        wanted = np.asarray(published(images=[picture], return_tensors="np")["pixel_values"][0])
        got = (fitted(picture) - np.asarray(FEED.mean)) / np.asarray(FEED.scale)
        assert got.transpose(2, 0, 1) == pytest.approx(wanted, abs=1e-5)
