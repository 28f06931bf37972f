"""Configurations that measure `support.analyzers.Brightness` on a folder of small clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reelbench.config import RunConfig, validate


def brightness_config(clips: Path, runs: Path, *, measure: dict[str, Any] | None = None, **analyzer: Any) -> RunConfig:
    """One warm-up pass and two timed passes a clip, unless ``measure`` says otherwise; ``analyzer`` goes to the constructor."""
    return validate(
        {
            "analyzer": {
                "_target_": "support.analyzers.Brightness",
                "name": "brightness",
                "reference": "plain",
                "fallback": "plain",
                **analyzer,
            },
            "quality": {"_target_": "reelbench.quality.detection.DetectionQuality"},
            "corpus": {"_target_": "reelbench.corpus.folder.FolderCorpus", "name": "folder", "path": str(clips)},
            "measure": {
                "name": "test",
                "warmup_min": 1,
                "warmup_max": 1,
                "repetitions_min": 2,
                "repetitions_max": 2,
                "seconds_per_clip": 0.0,
                "clip_timeout_s": 20.0,
                "load_timeout_s": 20.0,
                "prepare_timeout_s": 20.0,
                **(measure or {}),
            },
            "media": {"decode": {}, "limits": {}},
            "tracking": {"uri": "off", "experiment": "test"},
            "on_unavailable": "fail",
            "fallback": None,
            "runs_dir": str(runs),
            "resume": True,
            "seed": 0,
            "download": False,
            "json": False,
        },
        "plain",
    )


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
