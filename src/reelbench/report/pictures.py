"""Which clips a page shows pictures of, and how they are had."""

from __future__ import annotations

from collections.abc import Mapping

from reelbench.bench.records import ClipRecord
from reelbench.corpus.clip import Truth
from reelbench.corpus.folder import truth_beside
from reelbench.encoding import path_of
from reelbench.errors import AnalyzerError, InputError
from reelbench.report.run_data import RunData
from reelbench.report.thumbnails import SampledFrame, sampled_frames_apart

CLIPS = 2


def run_pictures(
    run: RunData, truths: Mapping[str, Truth] | None = None, count: int = 4
) -> tuple[dict[str, list[SampledFrame]], list[str]]:
    """Sampled frames of two clips of a run, and one line for each clip whose frames could not be had.

    ``truths`` by clip; where it does not name a clip, the truth file beside the clip is read if there is one.
    """
    shown: dict[str, list[SampledFrame]] = {}
    problems: list[str] = []
    for clip in chosen(run):
        path = path_of(clip.path)
        try:
            truth = (truths or {}).get(clip.name) or truth_beside(path, path.parent)
            shown[clip.name] = sampled_frames_apart(path, run.results[clip.name], count, truth)
        except (InputError, AnalyzerError) as error:
            problems.append(f"no sampled frames of {clip.name}: {error.message}")
    return shown, problems


def chosen(run: RunData) -> list[ClipRecord]:
    """The clip with truth and the one without where most was found; two of a kind where there is only that kind."""
    usable = [clip for clip in run.record.clips if clip.status == "measured" and clip.path and clip.name in run.results]
    ranked = sorted(usable, key=lambda clip: -len(run.results[clip.name].events))
    first_of_kind = [next((clip for clip in ranked if clip.has_truth is kind), None) for kind in (True, False)]
    picked = [clip for clip in first_of_kind if clip is not None]
    return (picked + [clip for clip in ranked if clip not in picked])[:CLIPS]
