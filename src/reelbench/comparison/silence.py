"""Judge clips on which there is nothing to find."""

from __future__ import annotations

from collections.abc import Collection

from reelbench.bench.records import QualityRecord
from reelbench.quality.base import rightly_silent


def filled(
    a: QualityRecord, b: QualityRecord, clips: Collection[str]
) -> tuple[QualityRecord, QualityRecord, list[str]]:
    """Both records, and a sentence for each score that was put in.

    Of a clip where there is nothing to find, an arm that finds nothing has no score by most metrics, and one that invents something
    has 0. The first gets 1, so that the clip counts for both."""
    into_a, of_a = _fill("a", a, b, clips)
    into_b, of_b = _fill("b", b, a, clips)
    return into_a, into_b, [*of_a, *of_b]


def _fill(
    arm: str, record: QualityRecord, other: QualityRecord, clips: Collection[str]
) -> tuple[QualityRecord, list[str]]:
    metric = record.primary
    silent = [
        clip
        for clip in sorted(clips)
        if metric in other.per_clip.get(clip, {}) and metric not in record.per_clip.get(clip, {})
        and rightly_silent(record.absent.get(f"{clip}/{metric}") or record.absent.get(clip, ""))
    ]  # fmt: skip
    scores = {clip: {**record.per_clip.get(clip, {}), metric: 1.0} for clip in silent}
    said = [f"arm {arm} rightly found nothing on {clip}, where the other did: a score of 1" for clip in silent]
    return record.model_copy(update={"per_clip": {**record.per_clip, **scores}}), said
