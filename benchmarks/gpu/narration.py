"""Measures the arms of qwen2_vl_temporal with random weights, by the product's engine, interleaved in shuffled rounds.

Networks stay loaded as many at once as the device's memory holds; where it does not hold all, arms go in blocks that each have the
baseline in them, so a ratio is always within one block. Nothing is looked up: frames are noise of the configured size.
"""

from __future__ import annotations

import gc
import random
import sys
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
import torch
from arms import EQUAL, Arm
from roofline import middle, share, timed_s, work

from reelbench.engines.transformers_vlm import TransformersVLM
from reelbench.engines.transformers_vlm_types import Answer, Decoding, Encoded, Prompt
from reelbench.errors import ReelBenchError

GIB = 2**30
FAILS = (ReelBenchError, RuntimeError, ValueError, ImportError)
"""What a technique that this machine cannot run raises: it is refused with the reason, and the others go on."""


@dataclass
class Plan:
    size: str
    device: str
    windows: int
    tokens: int
    rounds: int
    ceilings: dict[str, float]

    @property
    def gpu(self) -> bool:
        return self.device.startswith("cuda")


@dataclass
class Live:
    """An arm whose network is loaded, and its samples in seconds for all windows together."""

    arm: Arm
    engine: TransformersVLM
    own_bytes: int = 0
    peak_bytes: int = 0
    encode_s: list[float] = field(default_factory=list)
    first_s: list[float] = field(default_factory=list)
    whole_s: list[float] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    inputs: Any = None

    def encode(self, videos: list[np.ndarray]) -> list[Encoded]:
        settings, step = self.arm.settings, self.arm.batch
        rate = settings["windows"]["frames"] / settings["windows"]["seconds"]
        prompt = Prompt(**settings["prompt"])
        return [self.engine.encode(videos[at : at + step], rate, prompt) for at in range(0, len(videos), step)]

    def generate(self, parts: list[Encoded], tokens: int) -> list[Answer]:
        with self.arm.kernels():
            return [answer for part in parts for answer in self.engine.generate(part, Decoding(tokens))]

    def once(self, plan: Plan, videos: list[np.ndarray], keep: bool) -> None:
        parts: list[Encoded] = []
        before = _allocated(plan)
        if plan.gpu:
            torch.cuda.reset_peak_memory_stats()
        encode_s = timed_s(lambda: parts.extend(self.encode(videos)), plan.device)
        first_s = timed_s(lambda: self.generate(parts, 1), plan.device)
        whole_s = timed_s(lambda: self._remember(parts, plan.tokens), plan.device)
        if keep:
            self.encode_s.append(encode_s)
            self.first_s.append(first_s)
            self.whole_s.append(whole_s)
            if plan.gpu:
                self.peak_bytes = max(self.peak_bytes, torch.cuda.max_memory_allocated() - before + self.own_bytes)
        self.inputs = parts[0].inputs

    def _remember(self, parts: list[Encoded], tokens: int) -> None:
        self.answers = self.generate(parts, tokens)


def measure(chosen: list[Arm], plan: Plan) -> dict[str, Any]:
    """Figures of each arm, or the reason why it was refused."""
    videos = {tuple(arm.settings["size"]): _videos(arm, plan.windows) for arm in chosen}
    found: dict[str, Any] = {}
    runnable = []
    for arm in chosen:
        state = arm.available()
        if state.ok:
            runnable.append(arm)
        else:
            found[arm.name] = {"refused": f"{state.reason} ({state.mend})"}
    if not runnable or runnable[0].name != "baseline":
        return found
    rest, block = runnable[1:], 0
    while rest or not block:
        block += 1
        rest = _block(runnable[0], rest, plan, videos, found, block)
    return found | {"equal_in_fp32": _equal(runnable, plan, videos)}


def _block(
    baseline: Arm, rest: list[Arm], plan: Plan, videos: dict[Any, list[np.ndarray]], found: dict[str, Any], block: int
) -> list[Arm]:
    """Measure the baseline and as many arms as fit; what remains."""
    lives: list[Live] = []
    waiting = [baseline, *rest]
    while waiting and (len(lives) < 2 or _room(plan) > 2 * lives[0].own_bytes + lives[0].peak_bytes):
        arm = waiting.pop(0)
        try:
            lives.append(_warm(arm, plan, videos[tuple(arm.settings["size"])]))
        except FAILS as error:
            found[arm.name] = {"refused": " ".join(str(error).split())[:300]}
            if not lives:
                return []
        gc.collect()
    shuffle = random.Random(block)
    for round_ in range(plan.rounds):
        for live in shuffle.sample(lives, len(lives)):
            live.once(plan, videos[tuple(live.arm.settings["size"])], keep=True)
        print(f"{plan.size}: block {block}, round {round_ + 1} of {plan.rounds}", file=sys.stderr)
    first = lives[0]
    for live in lives:
        name = live.arm.name
        if name == "baseline" and "baseline" in found:
            continue
        found[name] = _figures(live, first, plan) | {"block": block}
    for live in lives:
        live.engine.close()
    lives.clear()
    gc.collect()
    if plan.gpu:
        torch.cuda.empty_cache()
    return waiting


def _warm(arm: Arm, plan: Plan, videos: list[np.ndarray]) -> Live:
    before = _allocated(plan)
    live = Live(arm, arm.engine())
    live.engine.build(plan.size)
    for _ in range(2):  # the second time nothing is compiled any more
        live.once(plan, videos, keep=False)
    gc.collect()
    live.own_bytes = _allocated(plan) - before
    print(f"{plan.size}: {arm.name} loaded", file=sys.stderr)
    return live


def _figures(live: Live, first: Live, plan: Plan) -> dict[str, Any]:
    arm, count = live.arm, plan.windows
    steps = -(-count // arm.batch) * max(plan.tokens - 1, 1)
    # The median, not each round: where noise is larger than what is left for decoding there is no figure, and none is made up.
    step_s = median(whole - one for one, whole in zip(live.first_s, live.whole_s, strict=True)) / steps
    total = [a + b for a, b in zip(live.encode_s, live.whole_s, strict=True)]
    base = [a + b for a, b in zip(first.encode_s, first.whole_s, strict=True)]
    cost = work(live.engine._network, live.inputs, arm.batch, plan.tokens)
    kind = live.arm.form.precision if live.arm.form.precision in ("fp32", "fp16") else "bf16"
    prefill_s = median(live.first_s) / count
    live.generate(live.encode(_videos(arm, 1)), 4)  # a short one, to be profiled
    with arm.kernels():
        evidence = live.engine.evidence()
    return {
        "overrides": {key: arm.settings[key] for key in ("engine", "size", "batch")},
        "ms_segment": middle([1e3 * value / count for value in total]),
        "times_faster": middle([a / b for a, b in zip(base, total, strict=True)]),
        "encode_ms_segment": middle([1e3 * value / count for value in live.encode_s]),
        "prefill_ms_segment": middle([1e3 * value / count for value in live.first_s]),
        "tokens_s": min(arm.batch, count) / step_s if step_s > 0 else None,
        "peak_gib": live.peak_bytes / GIB if plan.gpu else None,
        "roofline": share(cost, plan.ceilings, kind, prefill_s, step_s),
        "same_tokens": _common(live.answers, first.answers),
        "precision": evidence.precision,
        "batch": evidence.batch,
        "contradiction": evidence.contradiction,
        "evidence": evidence.details,
        "samples_s": {"encode": live.encode_s, "one_token": live.first_s, "all_tokens": live.whole_s},
    }


def _equal(runnable: list[Arm], plan: Plan, videos: dict[Any, list[np.ndarray]]) -> dict[str, str]:
    """Whether each arm of `EQUAL` writes the baseline's tokens in FP32: 'equal', 'NOT equal …', or why it was not tried."""
    if plan.gpu:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    expected: list[tuple[int, ...]] = []
    said: dict[str, str] = {}
    for arm in runnable:
        if arm.name != "baseline" and arm.name not in EQUAL:
            continue
        try:
            live = Live(arm, arm.engine("fp32"))
            live.engine.build(plan.size)
            ids = [one.ids for one in live.generate(live.encode(videos[tuple(arm.settings["size"])]), plan.tokens)]
            live.engine.close()
        except FAILS as error:
            said[arm.name] = f"not tried: {' '.join(str(error).split())[:200]}"
            continue
        del live
        gc.collect()
        if plan.gpu:
            torch.cuda.empty_cache()
        if arm.name == "baseline":
            expected = ids
        else:
            said[arm.name] = "equal" if ids == expected else f"NOT equal: {_share(ids, expected):.0%} of the tokens"
    return said


def _common(answers: list[Answer], expected: list[Answer]) -> float:
    return _share([one.ids for one in answers], [one.ids for one in expected])


def _share(ids: list[tuple[int, ...]], expected: list[tuple[int, ...]]) -> float:
    """The share of the expected tokens before the first that differs, over all windows."""
    same = 0
    for one, other in zip(ids, expected, strict=True):
        differs = (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
        same += next(differs, min(len(one), len(other)))
    return same / max(sum(len(other) for other in expected), 1)


def _videos(arm: Arm, count: int) -> list[np.ndarray]:
    width, height = arm.settings["size"]
    frames = arm.settings["windows"]["frames"]
    return list(np.random.default_rng(0).integers(0, 256, (count, frames, height, width, 3), dtype=np.uint8))


def _allocated(plan: Plan) -> int:
    return int(torch.cuda.memory_allocated()) if plan.gpu else 0


def _room(plan: Plan) -> float:
    """Bytes that may still be taken; on a CPU as many as nobody counts."""
    return float(torch.cuda.mem_get_info()[0]) if plan.gpu else float("inf")
