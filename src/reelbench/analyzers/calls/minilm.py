"""all-MiniLM-L6-v2 sentence embeddings on OpenVINO, built from its safetensors without torch.

The network is BERT's encoder (Devlin et al. 2018; MiniLM: Wang et al. 2020), 6 layers of width 384 with 12 heads; a sentence's
embedding is the mean over its tokens, at length 1 (Reimers & Gurevych 2019). It was trained on English.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reelbench.errors import WeightsError

_LAYERS, _HEADS, _WIDTH = 6, 12, 384
_LONGEST = 64
_EPSILON = 1e-12


class MiniLM:
    """``embed`` sentences; one thread. Raises WeightsError where the files are not this network's."""

    def __init__(self, weights: Path, tokenizer: Path) -> None:
        import openvino as ov
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        try:
            network = _network(load_file(weights))
        except (SafetensorError, KeyError, ValueError) as error:
            raise WeightsError(f"{weights.name}: not all-MiniLM-L6-v2: {error}", "reelbench models verify") from error
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(_LONGEST)
        self._tokenizer.enable_padding()
        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": "1"}
        self._compiled = ov.Core().compile_model(network, "CPU", options)
        self.version = f"openvino {importlib.metadata.version('openvino')}"

    def embed(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """N×384, each of length 1."""
        encoded = self._tokenizer.encode_batch(list(sentences))
        ids = np.array([one.ids for one in encoded], np.int64)
        mask = np.array([one.attention_mask for one in encoded], np.float32)
        return np.array(self._compiled([ids, mask])[0])


def _network(tensors: dict[str, NDArray[np.float32]]) -> Any:
    """Inputs: token numbers (N×T, int64) and mask (N×T, float32, 1 for a token); output: N×384."""
    import openvino as ov
    from openvino import opset13 as ops

    def constant(value: Any, kind: Any = np.float32) -> Any:
        return ops.constant(np.asarray(value, kind))

    def dense(x: Any, name: str) -> Any:
        product = ops.matmul(x, constant(tensors[f"{name}.weight"]), False, True)
        return ops.add(product, constant(tensors[f"{name}.bias"]))

    def norm(x: Any, name: str) -> Any:
        normal = ops.mvn(x, constant([-1], np.int64), True, _EPSILON, "inside_sqrt")
        return ops.add(ops.multiply(normal, constant(tensors[f"{name}.weight"])), constant(tensors[f"{name}.bias"]))

    def heads(x: Any) -> Any:
        split = ops.reshape(x, constant([0, 0, _HEADS, _WIDTH // _HEADS], np.int64), True)
        return ops.transpose(split, constant([0, 2, 1, 3], np.int64))

    ids = ops.parameter([-1, -1], np.int64, name="ids")
    mask = ops.parameter([-1, -1], np.float32, name="mask")
    rows = constant(0, np.int64)
    length = ops.gather(ops.shape_of(ids), constant([1], np.int64), rows)
    places = ops.slice(
        constant(tensors["embeddings.position_embeddings.weight"]),
        constant([0], np.int64),
        length,
        constant([1], np.int64),
    )
    x = ops.gather(constant(tensors["embeddings.word_embeddings.weight"]), ids, rows)
    x = ops.add(ops.add(x, places), constant(tensors["embeddings.token_type_embeddings.weight"][0]))
    x = norm(x, "embeddings.LayerNorm")
    hidden = ops.multiply(ops.subtract(mask, constant(1.0)), constant(1e9))
    hidden = ops.unsqueeze(hidden, constant([1, 2], np.int64))
    for layer in range(_LAYERS):
        at = f"encoder.layer.{layer}"
        query, key, value = (heads(dense(x, f"{at}.attention.self.{name}")) for name in ("query", "key", "value"))
        scores = ops.divide(ops.matmul(query, key, False, True), constant(np.sqrt(_WIDTH / _HEADS)))
        seen = ops.matmul(ops.softmax(ops.add(scores, hidden), -1), value, False, False)
        seen = ops.reshape(
            ops.transpose(seen, constant([0, 2, 1, 3], np.int64)), constant([0, 0, _WIDTH], np.int64), True
        )
        x = norm(ops.add(dense(seen, f"{at}.attention.output.dense"), x), f"{at}.attention.output.LayerNorm")
        wide = ops.gelu(dense(x, f"{at}.intermediate.dense"), "erf")
        x = norm(ops.add(dense(wide, f"{at}.output.dense"), x), f"{at}.output.LayerNorm")
    tokens = ops.unsqueeze(mask, constant([2], np.int64))
    summed = ops.reduce_sum(ops.multiply(x, tokens), constant([1], np.int64))
    mean = ops.divide(summed, ops.reduce_sum(tokens, constant([1], np.int64)))
    return ov.Model([ops.normalize_l2(mean, constant([1], np.int64), 1e-12, "max")], [ids, mask], "minilm")
