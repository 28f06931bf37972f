"""Whisper for CTranslate2 with seeded random weights: good for speed and memory, never for words.

Written in the files of a published model (model.bin in 16 bits, its configuration, vocabulary, tokenizer and preprocessor_config.json),
so that the same code runs on either. The special tokens are those of large-v3, with its 100 languages (in another order); what the
others spell is made up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reelbench.errors import ConfigError
from reelbench.owners import temporary_folder
from reelbench.paths import write_text

MODEL, CONFIG, VOCABULARY = "model.bin", "config.json", "vocabulary.json"
TOKENIZER, PREPROCESSOR = "tokenizer.json", "preprocessor_config.json"
_TIMES = 1501
"""So many tokens stand for 0.00 to 30.00 s."""
_MELS, _WINDOWS, _LONGEST = 128, 1500, 448
_SOUND = {"feature_size": _MELS, "sampling_rate": 16000, "hop_length": 160, "chunk_length": 30, "n_fft": 400}
_SPREAD = 0.02


@dataclass(frozen=True, slots=True)
class Size:
    """``width`` of every layer, with 64 for each head; layers of ``encoder`` and ``decoder``; ``text`` tokens that spell something."""

    width: int
    encoder: int
    decoder: int
    text: int


SIZES = {"tiny": Size(64, 2, 2, 512), "large_v3_turbo": Size(1280, 32, 4, 50257)}
"""``tiny`` is for tests; the other has the published layers, widths and vocabulary, and the published file's size."""


def key(architecture: str, seed: int = 0) -> str:
    """Names the folder that `prepare` fills. ConfigError for an architecture that does not exist."""
    if architecture not in SIZES:
        raise ConfigError(f"analyzer.architecture is '{architecture}'", f"one of {', '.join(SIZES)}")
    return f"whisper-{architecture}-random{seed}"


def prepare(folder: Path, architecture: str, seed: int = 0) -> None:
    """Write what is not there yet; equal for equal architecture and seed."""
    # The network comes last: where it is, the rest is.
    if not (folder / MODEL).is_file():
        write(folder, *build(SIZES[architecture], seed))


def build(size: Size, seed: int) -> tuple[Any, Any]:
    """The specification (`ctranslate2.specs.WhisperSpec`) with its weights, and the tokenizer of its vocabulary."""
    from ctranslate2.specs import WhisperSpec

    tokens, specials = _tokens(size.text)
    heads = size.width // 64
    spec = WhisperSpec(size.encoder, heads, size.decoder, heads)
    spec.register_vocabulary(tokens)
    spec.config.lang_ids = [at for at, token in enumerate(specials, size.text) if token in _languages()]
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], [size.text]
    spec.config.alignment_heads = [
        (layer, head) for layer in range(size.decoder // 2, size.decoder) for head in range(heads)
    ]
    _fill(spec, size, len(tokens), np.random.default_rng(seed))
    return spec, _tokenizer(tokens, specials, size.text)


def write(folder: Path, spec: Any, tokenizer: Any) -> None:
    """All files of the model; model.bin comes last."""
    spec.validate()
    # Whisper's last layer is its first one, and stands in the file once.
    spec.decoder.projection.weight = "decoder/embeddings/weight"
    folder.mkdir(parents=True, exist_ok=True)
    with temporary_folder(".writing-", folder) as made:
        spec.save(str(made))
        tokenizer.save(str(made / TOKENIZER))
        write_text(made / PREPROCESSOR, json.dumps(_SOUND))
        for name in (CONFIG, VOCABULARY, TOKENIZER, PREPROCESSOR, MODEL):
            (made / name).replace(folder / name)


def _languages() -> set[str]:
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    return {f"<|{code}|>" for code in _LANGUAGE_CODES}


def _tokens(text: int) -> tuple[list[str], list[str]]:
    """The vocabulary by number, and its special tokens but those of time."""
    from tokenizers import pre_tokenizers

    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    # 'Ġ' is the space of byte-level alphabets: each of these is a word.
    words = ("Ġ" + "".join(letters) for letters in product(ascii_lowercase, repeat=4))
    specials = [
        *("<|endoftext|>", "<|startoftranscript|>"),
        *sorted(_languages()),
        *("<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"),
    ]
    times = (f"<|{at * 0.02:.2f}|>" for at in range(_TIMES))
    # The empty one tells CTranslate2 that this is a multilingual model.
    return [*bytes_, *islice(words, text - len(bytes_) - 1), "", *specials, *times], specials


def _tokenizer(tokens: list[str], specials: list[str], text: int) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    made = Tokenizer(models.BPE(vocab={token: at for at, token in enumerate(tokens[:text])}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in specials])
    made.add_tokens([AddedToken(token, normalized=False) for token in tokens[text + len(specials) :]])
    return made


def _fill(spec: Any, size: Size, vocabulary: int, dice: np.random.Generator) -> None:
    """Every weight of the specification, in 16 bits: norms that change nothing, no offsets, the rest drawn."""
    width = size.width

    def drawn(*shape: int) -> NDArray[np.float16]:
        values = dice.standard_normal(shape, np.float32)
        values *= _SPREAD
        return values.astype(np.float16)

    def norm(part: Any) -> None:
        part.gamma, part.beta = np.ones(width, np.float16), np.zeros(width, np.float16)

    def linear(part: Any, wide: int, narrow: int) -> None:
        part.weight, part.bias = drawn(wide, narrow), np.zeros(wide, np.float16)

    def attention(part: Any, *wide: int) -> None:
        norm(part.layer_norm)
        for one, times in zip(part.linear, wide, strict=True):
            linear(one, times * width, width)

    for coder, places in ((spec.encoder, _WINDOWS), (spec.decoder, _LONGEST)):
        coder.position_encodings.encodings = drawn(places, width)
        norm(coder.layer_norm)
        for layer in coder.layer:
            attention(layer.self_attention, 3, 1)
            if coder is spec.decoder:
                attention(layer.attention, 1, 2, 1)
            norm(layer.ffn.layer_norm)
            linear(layer.ffn.linear_0, 4 * width, width)
            linear(layer.ffn.linear_1, width, 4 * width)
    for part, narrow in ((spec.encoder.conv1, _MELS), (spec.encoder.conv2, width)):
        part.weight, part.bias = drawn(width, narrow, 3), np.zeros(width, np.float16)
    spec.decoder.embeddings.weight = spec.decoder.projection.weight = drawn(vocabulary, width)
