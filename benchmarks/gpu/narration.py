"""Speed and tokens of the arms of qwen2_vl_temporal with random weights, by the product's own engine.

The baseline stays loaded and is measured before and after each arm, so an arm's ratio compares passes that lie seconds apart,
only two networks are in memory at a time, and each arm is complete when its turn is over. Frames are noise of the configured
size: nothing is downloaded.
"""

from __future__ import annotations

import gc
import hashlib
import sys
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any

import numpy as np
import torch
from arms import Arm
from roofline import ceilings, middle, share, timed_s, work

from reelbench.engines.transformers_vlm import TransformersVLM
from reelbench.engines.transformers_vlm_types import Answer, Decoding, Encoded, Prompt
from reelbench.errors import UnavailableError

GIB = 2**30


@dataclass(frozen=True)
class Plan:
    """How much is measured: ``windows`` segments a pass, ``tokens`` written for each, ``rounds`` passes an arm."""

    size: str
    device: str
    windows: int
    tokens: int
    rounds: int

    @property
    def gpu(self) -> bool:
        return self.device.startswith("cuda")


@dataclass
class Loaded:
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

    @property
    def total_s(self) -> list[float]:
        """Seconds of each pass: preprocessing and all tokens."""
        return [a + b for a, b in zip(self.encode_s, self.whole_s, strict=True)]

    def encode(self, videos: list[np.ndarray]) -> list[Encoded]:
        settings, step = self.arm.settings, self.arm.batch
        rate = settings["windows"]["frames"] / settings["windows"]["seconds"]
        prompt = Prompt(**settings["prompt"])
        return [self.engine.encode(videos[at : at + step], rate, prompt) for at in range(0, len(videos), step)]

    def generate(self, parts: list[Encoded], tokens: int) -> list[Answer]:
        with self.arm.kernels():
            return [answer for part in parts for answer in self.engine.generate(part, Decoding(tokens))]

    def measure_pass(self, plan: Plan, videos: list[np.ndarray], keep: bool) -> None:
        """One pass over all windows: preprocessing, one token each, all tokens each."""
        parts: list[Encoded] = []
        before = _allocated(plan)
        if plan.gpu:
            torch.cuda.reset_peak_memory_stats()
        encode_s = timed_s(lambda: parts.extend(self.encode(videos)), plan.device)
        first_s = timed_s(lambda: self.generate(parts, 1), plan.device)
        whole_s = timed_s(lambda: self._write(parts, plan.tokens), plan.device)
        if keep:
            self.encode_s.append(encode_s)
            self.first_s.append(first_s)
            self.whole_s.append(whole_s)
            if plan.gpu:
                peak = torch.cuda.max_memory_allocated() - before + self.own_bytes
                self.peak_bytes = max(self.peak_bytes, peak)
        self.inputs = parts[0].inputs

    def _write(self, parts: list[Encoded], tokens: int) -> None:
        self.answers = self.generate(parts, tokens)


class Narration:
    """The arms of one size of the network. Holds the loaded baseline between arms; ``close`` frees it."""

    def __init__(self, plan: Plan, baseline: Arm) -> None:
        self._plan, self._arm = plan, baseline
        self._ceilings = ceilings(plan.device)
        self._baseline: Loaded | None = None
        self._expected: list[tuple[int, ...]] = []

    def speed(self, arm: Arm) -> dict[str, Any]:
        """The figures of one arm. Raises UnavailableError where it cannot run here, and whatever running it raises."""
        _refuse_unavailable(arm)
        if arm.name == "baseline":
            found = self._ready()
            for _ in range(self._plan.rounds):
                found.measure_pass(self._plan, self._videos(arm), keep=True)
            return self._figures(found, found.total_s, found.total_s)
        base = self._ready()
        found = self._warm(arm)
        try:
            base.measure_pass(self._plan, self._videos(self._arm), keep=True)
            for _ in range(self._plan.rounds):
                found.measure_pass(self._plan, self._videos(arm), keep=True)
            base.measure_pass(self._plan, self._videos(self._arm), keep=True)
            return self._figures(found, base.total_s[-2:], found.total_s)
        finally:
            found.engine.close()

    def tokens(self, arm: Arm) -> dict[str, Any]:
        """Whether the arm writes the baseline's tokens in FP32: ``equal``, the ``share`` before the first that differs, and a
        digest of what it wrote (``tokens``), to be compared with that of another environment."""
        _refuse_unavailable(arm)
        self.close()
        rounded = torch.backends.cudnn.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        try:
            self._expected = self._expected or self._written(self._arm)
            found = self._written(arm)
        finally:
            torch.backends.cudnn.allow_tf32 = rounded
        digest = hashlib.sha256(repr(found).encode()).hexdigest()[:12]
        return {"equal": found == self._expected, "share": _share(found, self._expected), "tokens": digest}

    def close(self) -> None:
        """Free the baseline."""
        if self._baseline is not None:
            self._baseline.engine.close()
            self._baseline = None
        free(self._plan.device)

    def _ready(self) -> Loaded:
        if self._baseline is None:
            self._baseline = self._warm(self._arm)
        return self._baseline

    def _warm(self, arm: Arm) -> Loaded:
        before = _allocated(self._plan)
        found = Loaded(arm, arm.engine())
        found.engine.build(self._plan.size)
        for _ in range(2):  # After the second pass nothing is compiled or allocated any more.
            found.measure_pass(self._plan, self._videos(arm), keep=False)
        gc.collect()
        found.own_bytes = _allocated(self._plan) - before
        print(f"{self._plan.size}: {arm.name} loaded", file=sys.stderr)
        return found

    def _videos(self, arm: Arm, count: int = 0) -> list[np.ndarray]:
        return videos(arm, count or self._plan.windows, self._plan.size == "tiny")

    def _written(self, arm: Arm) -> list[tuple[int, ...]]:
        found = Loaded(arm, arm.engine("fp32"))
        found.engine.build(self._plan.size)
        ids = [one.ids for one in found.generate(found.encode(self._videos(arm)), self._plan.tokens)]
        found.engine.close()
        free(self._plan.device)
        return ids

    def _figures(self, found: Loaded, around: list[float], total: list[float]) -> dict[str, Any]:
        """The row of ``found``; ``around``: passes of the baseline before and after it, in seconds."""
        plan, arm = self._plan, found.arm
        steps = -(-plan.windows // arm.batch) * max(plan.tokens - 1, 1)
        # The median, not each pass: where noise exceeds what is left for decoding, there is no figure.
        step_s = median(b - a for a, b in zip(found.first_s, found.whole_s, strict=True)) / steps
        cost = work(found.engine._network, found.inputs, arm.batch, plan.tokens)
        kind = arm.form.precision if arm.form.precision in ("fp32", "fp16") else "bf16"
        prefill_s = median(found.first_s) / plan.windows
        answers = found.answers
        found.generate(found.encode(self._videos(arm, 1)), 4)  # A short answer, which the profiler repeats.
        with arm.kernels():
            evidence = found.engine.evidence()
        expected = self._baseline.answers if self._baseline else answers
        return {
            "overrides": {key: arm.settings[key] for key in ("engine", "size", "batch")},
            "ms_segment": middle([1e3 * value / plan.windows for value in total]),
            "times_faster": middle([fmean(around) / value for value in total]),
            "encode_ms_segment": middle([1e3 * value / plan.windows for value in found.encode_s]),
            "prefill_ms_segment": middle([1e3 * value / plan.windows for value in found.first_s]),
            "tokens_s": min(arm.batch, plan.windows) / step_s if step_s > 0 else None,
            "peak_gib": found.peak_bytes / GIB if plan.gpu else None,
            "roofline": share(cost, self._ceilings, kind, prefill_s, step_s),
            "ceilings": self._ceilings,
            "same_tokens": _share([a.ids for a in answers], [a.ids for a in expected]),
            "precision": evidence.precision,
            "batch": evidence.batch,
            "contradiction": evidence.contradiction,
            "evidence": evidence.details,
            "samples_s": {
                "encode": found.encode_s,
                "one_token": found.first_s,
                "all_tokens": found.whole_s,
                "baseline_around": around,
            },
        }


def videos(arm: Arm, count: int, tiny: bool) -> list[np.ndarray]:
    """``count`` windows of seeded noise in the arm's size, each T×H×W×3 uint8; ``tiny``: four frames, a quarter of the size."""
    width, height = arm.settings["size"]
    frames = arm.settings["windows"]["frames"]
    if tiny:
        width, height, frames = width // 4, height // 4, min(frames, 4)
    shape = (count, frames, height, width, 3)
    return list(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


def free(device: str) -> None:
    """Give back what freed networks held, compiled code included, so that the next arm starts like the first."""
    torch._dynamo.reset()
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()


def _refuse_unavailable(arm: Arm) -> None:
    state = arm.available()
    if not state.ok:
        raise UnavailableError(state.reason, state.mend)


def _share(ids: list[tuple[int, ...]], expected: list[tuple[int, ...]]) -> float:
    """The share of the expected tokens before the first that differs, over all windows."""
    same = 0
    for one, other in zip(ids, expected, strict=True):
        differs = (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
        same += next(differs, min(len(one), len(other)))
    return same / max(sum(len(other) for other in expected), 1)


def _allocated(plan: Plan) -> int:
    return int(torch.cuda.memory_allocated()) if plan.gpu else 0
