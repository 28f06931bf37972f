"""Configurations that measure `support.analyzers.Brightness` on a folder of small clips."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reelbench.config import RunConfig, validate

DETECTION = "reelbench.quality.detection.DetectionQuality"


def run_node(
    analyzer: Mapping[str, Any],
    clips: Path,
    runs: Path,
    *,
    passes: int = 1,
    timeout_s: float = 240.0,
    quality: str = DETECTION,
    measure: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A whole configuration of one analyzer on a folder of clips: one warm-up pass, so many timed ``passes``, no tracking."""
    times = dict.fromkeys(("clip_timeout_s", "load_timeout_s", "prepare_timeout_s"), timeout_s)
    warmup = dict.fromkeys(("warmup_min", "warmup_max"), 1)
    timed = dict.fromkeys(("repetitions_min", "repetitions_max"), passes)
    return {
        "analyzer": {"reference": "plain", "fallback": "plain", **analyzer},
        "quality": {"_target_": quality},
        "corpus": {"_target_": "reelbench.corpus.folder.FolderCorpus", "name": "folder", "path": str(clips)},
        "measure": {"name": "test", "seconds_per_clip": 0.0, **times, **warmup, **timed, **(measure or {})},
        "media": {"decode": {}, "limits": {}},
        "tracking": {"uri": "off", "experiment": "test"},
        "on_unavailable": "fail",
        "fallback": None,
        "runs_dir": str(runs),
        "resume": True,
        "seed": 0,
        "download": False,
        "json": False,
    }


def brightness_config(clips: Path, runs: Path, *, measure: dict[str, Any] | None = None, **analyzer: Any) -> RunConfig:
    """One warm-up pass and two timed passes a clip, unless ``measure`` says otherwise; ``analyzer`` goes to the constructor."""
    node = {"_target_": "support.analyzers.Brightness", "name": "brightness", **analyzer}
    return validate(run_node(node, clips, runs, passes=2, timeout_s=240.0, measure=measure), "plain")


class Told:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.updates: list[tuple[str, str]] = []

    def stage(self, text: str) -> None: ...
    def start(self, total_passes: int) -> None: ...
    def bytes(self, what: str, done: int, total: int) -> None: ...
    def items(self, what: str, done: int, total: int) -> None: ...

    def update(self, clip: str, phase: str, done: int, total: int, seconds_left: float | None) -> None:
        self.updates.append((clip, phase))

    def message(self, text: str) -> None:
        self.messages.append(text)
