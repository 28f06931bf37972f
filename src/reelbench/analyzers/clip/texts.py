"""Sentences in CLIP's space. They are few and do not change: each is embedded once, and the text tower is let go."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reelbench.analyzers.base import WeightsSource
from reelbench.engines.fingerprint import digest, fingerprint
from reelbench.errors import AnalyzerError
from reelbench.paths import atomic_path

_CONTEXT = 77
_START, _END = 49406, 49407


def embedded(
    store: WeightsSource, texts: Sequence[str], tower: Path, tokenizer: Path | None, threads: int = 0
) -> NDArray[np.float32]:
    """N×512, each of length 1, from the store's derived folder; made now where they are not there yet.

    ``tower`` is the text network; ``tokenizer`` its tokenizer.json, None for `stand_in`."""
    graph = tower.with_suffix(".bin")
    parts = [fingerprint(graph if graph.is_file() else tower), fingerprint(tokenizer) if tokenizer else "bytes", *texts]
    kept = store.derived(f"clip-texts-{digest(json.dumps(parts))}") / "texts.npy"
    if not kept.is_file():
        found = _embed(tower, stand_in(texts) if tokenizer is None else tokens(texts, tokenizer), threads)
        with atomic_path(kept) as part, part.open("wb") as file:
            np.save(file, found)
    return np.asarray(np.load(kept), np.float32)


def tokens(texts: Sequence[str], tokenizer: Path) -> list[list[int]]:
    """The published tokens of each text between its start and its end, 77 at most."""
    from tokenizers import Tokenizer

    published = Tokenizer.from_file(str(tokenizer))
    published.no_padding()
    published.enable_truncation(_CONTEXT)
    return [list(one.ids) for one in published.encode_batch(list(texts))]


def stand_in(texts: Sequence[str]) -> list[list[int]]:
    """One token for each byte, for a tower with random weights: it has learnt no words."""
    return [[_START, *text.encode()[: _CONTEXT - 2], _END] for text in texts]


def _embed(tower: Path, numbers: Sequence[Sequence[int]], threads: int) -> NDArray[np.float32]:
    """Each text by itself. It is padded with 0 as OpenAI's code does: the tower reads a text at its end token, which has the largest
    number, and no token sees what follows it."""
    import openvino as ov

    core = ov.Core()
    try:
        network = core.read_model(tower)
    except RuntimeError as error:
        raise AnalyzerError(f"OpenVINO cannot read {tower.name}: {str(error).strip().splitlines()[-1]}") from error
    # Some exports have a mask beside the tokens, which says what is padding.
    masks = ["attention_mask" in one.get_names() for one in network.inputs]
    length = network.inputs[masks.index(False)].partial_shape[1]
    wanted = length.get_length() if length.is_static else max(len(one) for one in numbers)
    network.reshape({place: [1, wanted] for place in range(len(masks))})
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    if threads:
        options["INFERENCE_NUM_THREADS"] = str(threads)
    compiled = core.compile_model(network, "CPU", options)
    rows = []
    for one in numbers:
        ids, mask = np.zeros((1, wanted), np.int64), np.zeros((1, wanted), np.int64)
        ids[0, : len(one)], mask[0, : len(one)] = one, 1
        rows.append(np.array(compiled([mask if masked else ids for masked in masks])["text_embeds"][0], np.float32))
    return unit(np.stack(rows))


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row (or the only one) at length 1."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    shortened: NDArray[np.float32] = rows / np.maximum(lengths, 1e-12)
    return shortened
