"""The quality of a run: its results against ground truth where there is one, and against other results where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reelbench.bench.records import QualityRecord
from reelbench.bench.run_folder import RunFolder
from reelbench.config import RunConfig, instantiate
from reelbench.corpus.clip import Clip
from reelbench.results import AnalyzerResult


def against_truth(config: RunConfig, folder: RunFolder, clips: Sequence[Clip]) -> tuple[QualityRecord, list[Clip]]:
    """Scores of the measured clips that have ground truth, and the measured clips that have none.

    An analyzer whose quality means nothing (random weights) says so by ``quality_absent_reason``; nothing is left to score then.
    """
    metric = instantiate(config.quality)
    results = folder.read_results()
    measured = [clip for clip in clips if clip.name in results]
    record = QualityRecord(
        primary=metric.primary,
        also=dict(getattr(metric, "also", {})),
        guards=dict(getattr(metric, "guards", {})),
        complete=bool(getattr(metric, "complete", False)),
        reference=config.analyzer.reference,
    )
    if reason := str(getattr(instantiate(config.analyzer.constructor), "quality_absent_reason", "")):
        record.absent["quality"] = reason
        return record, []
    truths = {clip.name: clip.truth for clip in measured if clip.truth is not None}
    if truths:
        scores = metric.against_truth(results, truths)
        record.overall, record.per_clip = dict(scores.overall), {k: dict(v) for k, v in scores.per_clip.items()}
        record.absent |= dict(scores.absent)
    return record, [clip for clip in measured if clip.truth is None]


def add_agreement(
    record: QualityRecord, config: RunConfig, folder: RunFolder, reference: Mapping[str, AnalyzerResult]
) -> None:
    """Score the folder's results as agreement with ``reference``, clip by clip, into ``record``."""
    scores = instantiate(config.quality).agreement(folder.read_results(), reference)
    record.agreement = dict(scores.overall)
    record.agreement_per_clip = {name: dict(found) for name, found in scores.per_clip.items()}
    record.absent |= dict(scores.absent)
