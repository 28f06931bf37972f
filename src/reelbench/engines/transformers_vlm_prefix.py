"""Caches of keys and values: growing or of fixed size, empty or with the prompt's shared beginning already in it.

Every window of every clip is asked with the same instructions, which stand before the frames. What a decoder computes for them depends
on nothing after them (attention is causal), so their keys and values are computed once and copied (prefix caching, as in vLLM and
SGLang).
"""

from __future__ import annotations

from typing import Any

KEPT = 4
"""Caches of fixed size that are kept: one for each batch and length."""


def forget_positions(network: Any) -> None:
    """Clear what Qwen2-VL's networks remember of the previous call's positions (``rope_deltas``, one offset a window).

    transformers 5.10 and 5.17 take a call that starts with a filled cache for the continuation of the previous one (5.23 no
    longer does): its frames then get the positions of text, and a call with another number of windows fails.
    """
    for module in network.modules():
        if getattr(module, "rope_deltas", None) is not None:
            module.rope_deltas = None


class Caches:
    """Gives `generate` its cache. ``static``: of fixed size, at a fixed address, as compiled code wants it; one is kept for each
    (batch, length). ``shared``: it already holds the prefix."""

    def __init__(self, network: Any, static: bool, shared: bool) -> None:
        self._network, self._static, self._shared = network, static, shared
        self._prefixes: dict[tuple[int, ...], list[tuple[Any, Any]]] = {}
        self._kept: dict[tuple[int, int], Any] = {}
        self.reused = 0
        """Prompt tokens that were not computed again."""

    def take(self, ids: Any, prefix: int, room: int) -> Any | None:
        """A cache for prompts ``ids`` (N×L) whose first ``prefix`` tokens are alike, with room for ``room`` more tokens.

        None where `generate` may make its own.
        """
        if not self._static and not self._shared:
            return None
        batch, length = int(ids.shape[0]), int(ids.shape[1])
        cache = self._fixed(batch, length + room) if self._static else self._growing()
        if self._shared and prefix:
            # `update` makes its own copy: neither kind of cache writes into what it was given.
            for layer, (keys, values) in enumerate(self._prefix(ids[:1, :prefix])):
                cache.update(keys.expand(batch, -1, -1, -1), values.expand(batch, -1, -1, -1), layer)
            self.reused += batch * prefix
        return cache

    def forget(self) -> None:
        """Let go of the memory of the caches of fixed size."""
        self._kept.clear()

    def _growing(self) -> Any:
        from transformers import DynamicCache

        return DynamicCache(config=self._network.config.get_text_config(decoder=True))

    def _fixed(self, batch: int, length: int) -> Any:
        from transformers import StaticCache

        if (batch, length) not in self._kept:
            while len(self._kept) >= KEPT:
                self._kept.pop(next(iter(self._kept)))
            config = self._network.config.get_text_config(decoder=True)
            self._kept[batch, length] = StaticCache(config=config, max_cache_len=length)
        cache = self._kept[batch, length]
        cache.reset()
        return cache

    def _prefix(self, ids: Any) -> list[tuple[Any, Any]]:
        """Each layer's keys and values (1×heads×tokens×width) of the tokens ``ids`` (1×P)."""
        key = tuple(ids[0].tolist())
        if key not in self._prefixes:
            cache = self._growing()
            self._network(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
            self._prefixes[key] = [(layer.keys, layer.values) for layer in cache.layers]
        return self._prefixes[key]
