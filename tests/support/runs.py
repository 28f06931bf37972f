"""Run folders for tests, laid out as `reelbench.bench.records` says. Every number in them is made up: they are fixtures."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import yaml

from reelbench.bench.manifest import unseal
from reelbench.bench.records import (
    PHASES,
    ClipRecord,
    ColdStart,
    QualityRecord,
    RunRecord,
    Warmup,
)
from reelbench.bench.run_folder import RunFolder, safe_name
from reelbench.bench.summary import summarize
from reelbench.engines.base import Evidence
from reelbench.results import AnalyzerResult, BoxAt, Event

CLIPS = ("bikes", "two_rooms")
CLIP_S = 4.0
FPS = 25.0
SAMPLED_FPS = 2.5
SHARES = {"decode": 0.30, "preprocess": 0.10, "infer": 0.50, "postprocess": 0.06, "other": 0.04}


def make_run(
    folder: Path,
    *,
    variant: str = "baseline",
    effective: str | None = None,
    analyzer: str = "object_detection",
    corpus: str = "demo",
    clips: Sequence[str] = CLIPS,
    repetitions: int = 3,
    pass_s: float = 0.8,
    status: Literal["running", "finished", "failed", "interrupted"] = "finished",
    invalid: str = "",
    failed_clips: Mapping[str, str] | None = None,
    refused_clips: Mapping[str, str] | None = None,
    quality: QualityRecord | None = None,
    vram: bool = False,
    video: Path | None = None,
    report: str | None = "<!doctype html><title>fixture</title>",
    seed: int = 0,
) -> RunRecord:
    """Write a whole run folder and return its record. ``pass_s`` is about what one pass over a clip takes, in seconds.

    ``failed_clips`` and ``refused_clips`` map further clip names to their error line. ``report=None`` writes no page. ``video`` is
    recorded as the path of every clip. The first clip has ground truth, the others have none (unless ``quality`` is given).
    """
    rng = random.Random(seed)
    samples = [row for clip in clips for row in _samples(clip, repetitions, pass_s, vram, rng)]
    frames = [row for clip in clips for row in _frames(clip, repetitions, pass_s, rng)]
    record = RunRecord(
        run_id=folder.name,
        created="2026-03-01T12:00:00+00:00",
        analyzer=analyzer,
        requested=variant,
        effective=effective or variant,
        fallback_reason="" if effective is None else f"{variant} needs an NVIDIA GPU",
        corpus=corpus,
        measure="quick",
        command=f"python run.py analyzer={analyzer} variant={variant} corpus={corpus}",
        config_hash=f"{seed:02x}" * 32,
        resume_key=f"{seed + 1:02x}" * 32,
        status=status,
        invalid=invalid,
        evidence=asdict(Evidence(engine="opencv", device="CPU", precision="fp32", version="0.0-fixture", batch=1)),
        weights={"ssd_mobilenet_v2_coco": "ab" * 32},
        cold_start=ColdStart(process_s=0.9, load_s=0.4, first_pass_s=pass_s * 1.2),
        warmup=Warmup(passes=3, stationary=True),
        clips=[
            *(_clip(name, index == 0, repetitions, video) for index, name in enumerate(clips)),
            *(ClipRecord(name=name, status="failed", error=why) for name, why in (failed_clips or {}).items()),
            *(ClipRecord(name=name, status="refused", error=why) for name, why in (refused_clips or {}).items()),
        ],
        summary={**summarize(samples, frames), "cold_start_s": 1.3, "parent_cpu_share": 0.004},
        quality=quality if quality is not None else make_quality(clips),
        notes=["synthetic numbers: a fixture of the tests"],
    )
    folder.mkdir(parents=True, exist_ok=True)
    run = RunFolder(folder, record)
    run.samples, run.frames = samples, frames
    run.save()
    (folder / "config.yaml").write_text(yaml.safe_dump(make_config(variant, analyzer, corpus)), encoding="utf-8")
    (folder / "environment.json").write_text(json.dumps(make_environment(), indent=1), encoding="utf-8")
    for clip in clips:
        target = folder / "results" / f"{safe_name(clip)}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(make_result(clip, analyzer).model_dump_json(indent=1), encoding="utf-8")
    if report is not None:
        (folder / "report.html").write_text(report, encoding="utf-8")
    unseal(folder)  # tests go on to change it, and its quality is made up
    return record


def make_quality(clips: Sequence[str] = CLIPS) -> QualityRecord:
    """Truth for the first clip, agreement with 'baseline' for the others."""
    against_truth = {"map50": 0.71, "map": 0.44, "precision": 0.81, "recall": 0.66, "f1": 0.73}
    agreement = {"agreement_f1": 0.92, "agreement_precision": 0.94, "agreement_recall": 0.90}
    return QualityRecord(
        primary="map50",
        overall=against_truth,
        per_clip={clips[0]: against_truth} if clips else {},
        reference="baseline",
        agreement=agreement,
        agreement_per_clip=dict.fromkeys(clips[1:], agreement),
        absent=dict.fromkeys(clips[1:], "no ground truth"),
    )


def make_result(clip: str, analyzer: str = "object_detection") -> AnalyzerResult:
    """A person that walks through a 640×272 frame, and a bicycle that stands still."""
    walk = (
        BoxAt(t_s=0.5, box=(40, 60, 100, 220), score=0.8),
        BoxAt(t_s=2.0, box=(200, 60, 260, 220), score=0.9),
        BoxAt(t_s=3.0, box=(300, 60, 360, 220), score=0.7),
    )
    return AnalyzerResult(
        analyzer=analyzer,
        clip=clip,
        duration_s=CLIP_S,
        frames_sampled=int(CLIP_S * SAMPLED_FPS),
        frames_inferred=int(CLIP_S * SAMPLED_FPS) - 2,
        events=(
            Event(start_s=0.5, end_s=3.4, label="person", score=0.9, box=(200, 60, 260, 220), track=walk),
            Event(start_s=1.0, end_s=2.0, label="bicycle", score=0.55, box=(400, 100, 500, 200)),
        ),
    )


def make_config(variant: str, analyzer: str, corpus: str) -> dict[str, Any]:
    """A resolved configuration of the shape that ``conf/`` gives."""
    return {
        "analyzer": {
            "_target_": "reelbench.analyzers.object_detection.ObjectDetection",
            "name": analyzer,
            "reference": "baseline",
            "fallback": "baseline",
            "engine": {"_target_": "reelbench.engines.opencv_dnn.OpenCVDNN", "threads": 2, "options": {}},
            "sampling": {"every": 10},
            "labels": ["person", "bicycle"],
        },
        "variant": variant,
        "quality": {"_target_": "reelbench.quality.detection.DetectionQuality"},
        "corpus": {"name": corpus},
        "measure": {"name": "quick", "repetitions_min": 3},
        "on_unavailable": "fail",
        "fallback": None,
        "seed": 0,
        "tracking": {"uri": "sqlite:///mlflow.db", "experiment": analyzer},
    }


def make_environment() -> dict[str, Any]:
    """Some of what `reelbench.bench.environment` collects."""
    return {
        "fingerprint": "fixture0123456789",
        "machine": {
            "cpu": "Fixture CPU",
            "features": ["avx2"],
            "cores": 2,
            "threads": 2,
            "usable_threads": 2,
            "memory_gib": 8,
            "os": "Linux",
            "kernel": "0.0-fixture",
            "distribution": "Fixture OS",
            "architecture": "x86_64",
            "gpus": [],
        },
        "governor": "unknown",
        "load_average": [0.1, 0.1, 0.1],
        "python": "3.11.0",
        "packages": {"numpy": "0.0-fixture"},
        "variables": {},
        "reelbench": "0.0-fixture",
        "code": {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": False},
        "workspace": {},
    }


def _clip(name: str, has_truth: bool, repetitions: int, video: Path | None) -> ClipRecord:
    return ClipRecord(
        name=name,
        sha256="cd" * 32,
        has_truth=has_truth,
        status="measured",
        repetitions=repetitions,
        duration_s=CLIP_S,
        width=640,
        height=272,
        fps=FPS,
        path=str(video) if video else f"/fixture/{name}.mp4",
    )


def _samples(clip: str, repetitions: int, pass_s: float, vram: bool, rng: random.Random) -> list[dict[str, Any]]:
    kinds = [("warmup", 0), *(("timed", repetition) for repetition in range(repetitions))]
    return [_sample(clip, kind, repetition, pass_s * rng.uniform(0.95, 1.15), vram) for kind, repetition in kinds]


def _sample(clip: str, kind: str, repetition: int, total_s: float, vram: bool) -> dict[str, Any]:
    sampled = int(CLIP_S * SAMPLED_FPS)
    return {
        "clip": clip,
        "kind": kind,
        "repetition": repetition,
        "started": 1_770_000_000.0 + repetition,
        "total_s": total_s,
        **{f"{phase}_s": total_s * SHARES[phase] for phase in PHASES},
        "decode_busy_s": total_s * SHARES["decode"],
        "cpu_s": total_s * 1.6,
        "run_queue_s": total_s * 0.02,
        "rss_peak_bytes": 400 * 2**20 + repetition,
        "vram_peak_bytes": 900 * 2**20 if vram else None,
        "frames_decoded": int(CLIP_S * FPS),
        "frames_sampled": sampled,
        "frames_inferred": sampled - 2,
        "duration_s": CLIP_S,
    }


def _frames(clip: str, repetitions: int, pass_s: float, rng: random.Random) -> list[dict[str, Any]]:
    count = int(CLIP_S * SAMPLED_FPS)
    return [
        {
            "clip": clip,
            "repetition": repetition,
            "index": index,
            "pts_s": index / SAMPLED_FPS,
            "step_s": pass_s / count * rng.uniform(0.8, 1.4),
        }
        for repetition in range(repetitions)
        for index in range(count)
    ]
