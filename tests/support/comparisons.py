"""Comparison folders for tests, laid out as `reelbench.comparison.records` says. Every number in them is made up: they are fixtures."""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Mapping, Sequence
from math import exp
from pathlib import Path
from typing import Any, Literal

from reelbench.bench.manifest import unseal
from reelbench.bench.records import PHASES, QualityRecord, RunRecord
from reelbench.bench.run_folder import RunFolder
from reelbench.bench.summary import summarize
from reelbench.comparison.records import (
    Arm,
    Audit,
    Calibrated,
    ClipQuality,
    ComparisonRecord,
    Pair,
    Quality,
    QualityVerdict,
    Verdict,
)
from reelbench.comparison.rule import Rule, judge_speed
from reelbench.comparison.sentence import exit_code, sentence
from reelbench.results import AnalyzerResult
from support.runs import SHARES, make_environment, make_result, make_run

CLIPS = ("bikes", "two_rooms", "garage", "street")
PASSES = 2
"""Passes of each arm in one pair (ABBA)."""
ORDERS = ("ABBA", "BAAB")
QUEUE = 0.02
"""Run-queue delay per second in the fixture's samples."""


def make_comparison(
    parent: Path,
    *,
    name: str = "comparison",
    analyzer: str = "object_detection",
    corpus: str = "demo",
    a: str = "baseline",
    b: str = "optimized",
    clips: Sequence[str] = CLIPS,
    pairs: int = 12,
    ratio: float = 0.25,
    spread: float = 0.02,
    pass_s: float = 0.8,
    delta: float = 0.03,
    verdict: Verdict | None = None,
    quality: QualityVerdict | None = "not worse",
    quality_drop: float | None = None,
    invalid: str = "",
    audits: Sequence[Audit] | None = None,
    calibrated: bool = True,
    status: Literal["running", "finished", "failed", "interrupted"] = "finished",
    video: Path | None = None,
    notes: Sequence[str] = ("synthetic numbers: a fixture of the tests",),
    seed: int = 0,
) -> Path:
    """Write a whole comparison folder ``parent / name`` and return it.

    B takes ``ratio`` times A's time, each pair off by about ``spread`` (a share). ``verdict`` is worked out from the pairs where it is
    None; ``quality=None`` judges none. ``quality_drop`` is how far B's score lies below A's on each clip (by default what suits
    ``quality``); from 0.05 on, B's results call the person an aeroplane and miss the bicycle. ``video`` is the path of every clip.
    """
    rng = random.Random(seed)
    folder = parent / name
    drop = quality_drop if quality_drop is not None else {"worse": 0.25, "not worse": 0.003}.get(quality or "", 0.012)
    made = _pairs(clips, pairs, ratio, spread, pass_s, rng)
    arms = {
        letter: _arm_run(
            folder / letter, variant, [(p.clip, p.a_s if letter == "a" else p.b_s) for p in made],
            analyzer=analyzer, corpus=corpus, clips=clips, video=video, seed=seed,
            quality=_run_quality(clips, 0.0 if letter == "a" else drop), spoiled=letter == "b" and drop >= 0.05,
        )
        for letter, variant in (("a", a), ("b", b))
    }  # fmt: skip
    speed = judge_speed(made, Rule(delta=delta), "median", "the least change that counts") if made else None
    if speed is not None and verdict is not None:
        speed.verdict = verdict
    decided: Verdict | None = "invalid" if invalid else (speed.verdict if speed else None)
    judged = _quality(clips, quality, drop) if quality else None
    record = ComparisonRecord(
        id=name,
        created="2026-03-01T12:00:00+00:00",
        analyzer=analyzer,
        corpus=corpus,
        measure="quick",
        command=f"reelbench ab analyzer={analyzer} a={a} b={b} corpus={corpus}",
        fingerprint=str(make_environment()["fingerprint"]),
        status=status,
        verdict=decided,
        invalid=invalid,
        a=_arm("a", arms["a"]),
        b=_arm("b", arms["b"]),
        pairs=made,
        speed=speed,
        quality=judged,
        audits=list(audits) if audits is not None else make_audits(),
        calibration=make_calibration() if calibrated else None,
        notes=list(notes),
        parent_cpu_share=0.004,
        seconds=sum(PASSES * (p.a_s + p.b_s) for p in made),
    )
    record.sentence, record.exit_code = sentence(record, "mAP@0.5"), exit_code(record)
    write_comparison(folder, record)
    (folder / "environment.json").write_text(json.dumps(make_environment(), indent=1), encoding="utf-8")
    return folder


def write_comparison(folder: Path, record: ComparisonRecord) -> None:
    (folder / "comparison.json").write_text(record.model_dump_json(indent=1), encoding="utf-8")


def make_audits() -> list[Audit]:
    return [
        Audit(name="outputs", status="passed", arm="a", text="timed outputs equal those of the untimed pass"),
        Audit(name="outputs", status="passed", arm="b", text="timed outputs equal those of the untimed pass"),
        Audit(name="repeated frame", status="passed", arm="b", text="a repeated frame takes 0.99 of a new one's time"),
        Audit(name="counts", status="passed", text="B finds 0.98 of A's detections; bounds are 0.5 to 2"),
        Audit(name="parent", status="passed", text="the comparing process used 0.4 % of a core"),
    ]


def make_calibration(false_alarms: int = 7, decisions: int = 200) -> Calibrated:
    return Calibrated(
        created="2026-02-28T09:00:00+00:00",
        fingerprint=str(make_environment()["fingerprint"]),
        decisions=decisions,
        false_alarms=false_alarms,
        false_alarm_rate=false_alarms / decisions,
        false_alarm_low=0.6 * false_alarms / decisions,
        false_alarm_high=2 * false_alarms / decisions,
        power={"0.05": 0.71, "0.1": 0.98},
        floor=0.012,
        floor_between_runs=0.08,
    )


def _pairs(
    clips: Sequence[str], count: int, ratio: float, spread: float, pass_s: float, rng: random.Random
) -> list[Pair]:
    made = []
    for index in range(count):
        position, slice_ = index % len(clips), index // len(clips)
        a_s = pass_s * (1 + 0.3 * position) * exp(rng.gauss(0, 2 * spread))
        made.append(
            Pair(
                index=index,
                clip=clips[position],
                order=ORDERS[index % 2],
                repetitions=(PASSES * slice_, PASSES * (slice_ + 1)),
                a_s=a_s,
                b_s=a_s * ratio * exp(rng.gauss(0, spread)),
                a_queue=QUEUE,
                b_queue=QUEUE,
            )
        )
    return made


def _arm_run(
    folder: Path,
    variant: str,
    slices: Sequence[tuple[str, float]],
    *,
    analyzer: str,
    corpus: str,
    clips: Sequence[str],
    video: Path | None,
    seed: int,
    quality: QualityRecord,
    spoiled: bool,
) -> RunRecord:
    """One arm's run folder, whose samples are the passes of ``slices``: (clip, its median seconds)."""
    make_run(
        folder, variant=variant, analyzer=analyzer, corpus=corpus, clips=clips, repetitions=max(1, len(slices)) * PASSES,
        video=video, quality=quality, report=None, seed=seed,
    )  # fmt: skip
    run = RunFolder.open(folder)
    wanted = _pass_times(slices)
    run.samples = [_rescaled(row, wanted) for row in run.samples if row["kind"] == "warmup" or _key(row) in wanted]
    run.frames = [
        {**row, "step_s": row["step_s"] * wanted[_key(row)] / 0.8} for row in run.frames if _key(row) in wanted
    ]
    run.record.summary = {**summarize(run.samples, run.frames), "cold_start_s": 1.3, "parent_cpu_share": 0.004}
    for clip in run.record.clips:
        clip.repetitions = sum(1 for name, _ in wanted if name == clip.name)
        clip.has_truth = True
    run.save()
    unseal(run.path)  # tests go on to change it
    if spoiled:
        for clip in clips:
            run.write_result(_spoiled(make_result(clip, analyzer)))
    return run.record


def _pass_times(slices: Sequence[tuple[str, float]]) -> dict[tuple[str, int], float]:
    """Seconds of every pass by (clip, repetition), such that the median of each slice is its own."""
    times: dict[tuple[str, int], float] = {}
    for clip, seconds in slices:
        done = sum(1 for name, _ in times if name == clip)
        for position in range(PASSES):
            times[clip, done + position] = seconds * (1 + 0.004 * (2 * position - 1))
    return times


def _key(row: Mapping[str, Any]) -> tuple[str, int]:
    return row["clip"], row["repetition"]


def _rescaled(row: dict[str, Any], wanted: Mapping[tuple[str, int], float]) -> dict[str, Any]:
    total = wanted.get(_key(row), row["total_s"])
    return {
        **row,
        "total_s": total,
        **{f"{phase}_s": total * SHARES[phase] for phase in PHASES},
        "run_queue_s": total * QUEUE,
    }


def _spoiled(result: AnalyzerResult) -> AnalyzerResult:
    """What a badly quantized network makes of it: the person is an aeroplane, the bicycle is missed."""
    person = next(event for event in result.events if event.label == "person")
    return result.model_copy(update={"events": (person.model_copy(update={"label": "aeroplane"}),)})


def _arm(letter: str, run: RunRecord) -> Arm:
    return Arm(
        label=run.requested, variant=run.requested, effective=run.effective, run_id=run.run_id, folder=letter,
        evidence=run.evidence, cold_starts_s=[1.3, 1.4], rss_peak_bytes=run.summary.get("rss_peak_bytes"),
    )  # fmt: skip


def _run_quality(clips: Sequence[str], drop: float) -> QualityRecord:
    per_clip = {clip: {"map50": score, "f1": score} for clip, score in _scores(clips, drop).items()}
    mean = statistics.fmean(found["map50"] for found in per_clip.values()) if per_clip else 0.0
    return QualityRecord(primary="map50", overall={"map50": mean, "f1": mean}, per_clip=per_clip)


def _scores(clips: Sequence[str], drop: float) -> dict[str, float]:
    return {clip: 0.8 - 0.05 * index - drop * (1 + 0.1 * index) for index, clip in enumerate(clips)}


def _quality(clips: Sequence[str], verdict: QualityVerdict, drop: float) -> Quality:
    before, after = _scores(clips, 0.0), _scores(clips, drop)
    differences = [after[clip] - before[clip] for clip in clips]
    mean = statistics.fmean(differences)
    mean_a, mean_b = statistics.fmean(before.values()), statistics.fmean(after.values())
    wide = 0.02 if verdict == "underpowered" else 0.001
    verdict = verdict if len(clips) > 1 else "underpowered"
    return Quality(
        verdict=verdict,
        reason=""
        if verdict != "underpowered"
        else "one clip gives no bound"
        if len(clips) == 1
        else f"{len(clips)} clips are too few to tell",
        metric="map50",
        clips=len(clips),
        few=len(clips) < 20,
        mean_a=mean_a,
        mean_b=mean_b,
        overall_a=mean_a,
        overall_b=mean_b,
        difference=mean,
        low=mean - wide if len(clips) > 1 else None,
        high=mean + wide if len(clips) > 1 else None,
        margin=0.01 * mean_a,
        per_clip={clip: ClipQuality(a=before[clip], b=after[clip]) for clip in clips},
    )
