"""The quality of a run: its results against ground truth where there is one, and against other results where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from reelbench.bench.records import QualityRecord
from reelbench.bench.run_folder import RunFolder
from reelbench.config import RunConfig, instantiate
from reelbench.corpus.clip import Clip, Truth
from reelbench.quality.base import Metric, Scores
from reelbench.results import AnalyzerResult


def against_truth(config: RunConfig, folder: RunFolder, clips: Sequence[Clip]) -> tuple[QualityRecord, list[Clip]]:
    """Scores of the measured clips that have ground truth, and the measured clips that have none.

    Where the analyzer is not deterministic each pass is scored, and a score is the mean over the passes.

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
        passes = [] if folder.record.deterministic else folder.read_pass_results()
        scored = [_scores(metric, found, truths) for found in passes or [results]]
        record.overall = _mean([scores.overall for scores in scored])
        record.per_clip = {
            clip: _mean([scores.per_clip.get(clip, {}) for scores in scored])
            for clip in dict.fromkeys(clip for scores in scored for clip in scores.per_clip)
        }
        for scores in scored:
            record.absent |= dict(scores.absent)
    return record, [clip for clip in measured if clip.truth is None]


def _scores(metric: Metric, results: Mapping[str, AnalyzerResult], truths: Mapping[str, Truth]) -> Scores:
    return metric.against_truth(results, {clip: truth for clip, truth in truths.items() if clip in results})


def _mean(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Each metric's mean over the passes that have it."""
    names = dict.fromkeys(name for one in scores for name in one)
    return {name: fmean(one[name] for one in scores if name in one) for name in names}


def add_agreement(
    record: QualityRecord, config: RunConfig, folder: RunFolder, reference: Mapping[str, AnalyzerResult]
) -> None:
    """Score the folder's results as agreement with ``reference``, clip by clip, into ``record``."""
    scores = instantiate(config.quality).agreement(folder.read_results(), reference)
    record.agreement = dict(scores.overall)
    record.agreement_per_clip = {name: dict(found) for name, found in scores.per_clip.items()}
    record.absent |= dict(scores.absent)
