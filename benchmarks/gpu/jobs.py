"""The arms that a GPU report is made of, in the order of their value: what matters most is measured first.

A job is one row of the report. Jobs are plain data, so that the supervising process (`run.py`) can list them, skip them
and say that one was not reached, without importing torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

NARRATION = "qwen2_vl_temporal"
ORDER = ("baseline", "optimized", "sdpa", "batched", "fp16", "compiled", "prefix_cache")
"""The most telling arms of the narrator, first to last; the others follow in alphabetical order."""


@dataclass(frozen=True)
class Job:
    """One row. ``part`` is a heading of the report; ``size`` is a size of the narrator's network or ''.

    ``kind`` 'speed' measures; 'tokens' compares the tokens that an arm writes in FP32 with the baseline's.
    """

    part: str
    arm: str
    size: str = ""
    kind: str = "speed"

    @property
    def heading(self) -> str:
        return f"{self.part} {self.size}".strip()

    @property
    def key(self) -> str:
        return f"{self.heading} | {self.arm}" + ("" if self.kind == "speed" else f" | {self.kind}")

    def as_json(self) -> dict[str, str]:
        return asdict(self)


def job_of(data: dict[str, Any]) -> Job:
    """The inverse of `Job.as_json`."""
    return Job(**data)


def narration_jobs(sizes: Iterable[str], arms: Iterable[str], equal: Iterable[str]) -> list[Job]:
    """Jobs of the narrator: per size first the speed of every arm, then the tokens of the arms in ``equal``."""
    names = sorted(arms, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
    known = [name for name in names if name in set(equal)]
    jobs: list[Job] = []
    for size in sizes:
        jobs += [Job(NARRATION, name, size) for name in names]
        jobs += [Job(NARRATION, name, size, "tokens") for name in known]
    return jobs


@dataclass(frozen=True)
class Settings:
    """What the command line says, as far as the measuring process needs it. ``brought``: a folder of files for other parts."""

    device: str
    sizes: tuple[str, ...]
    parts: tuple[str, ...]
    arms: tuple[str, ...]
    rounds: int
    windows: int
    tokens: int
    conf: str
    store: str = ""
    brought: str = ""

    def as_json(self) -> str:
        return json.dumps(asdict(self))


def settings_of(text: str) -> Settings:
    data = json.loads(text)
    return Settings(**{k: tuple(v) if isinstance(v, list) else v for k, v in data.items()})
