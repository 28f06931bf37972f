"""Keep what passes over the clips of a run gave: the state of each clip, and what is written into the run folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from reelbench.bench.agreeing import events_digest, same_events
from reelbench.bench.decoded import note_facts
from reelbench.bench.records import ClipRecord
from reelbench.bench.run_folder import RunFolder
from reelbench.media.types import ClipInfo
from reelbench.results import AnalyzerResult

UNSTEADY = "results differ between passes: the variant is not deterministic"
Sample = dict[str, Any]


@dataclass
class LiveClip:
    """A clip of the run and what was measured of it so far. ``resumed``: passes of an earlier session
    count, and none of this one yet."""

    record: ClipRecord
    info: ClipInfo
    done: int = 0
    seconds: float = 0.0
    found: AnalyzerResult | None = None
    """The result of the first pass."""
    resumed: bool = False

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def failed(self) -> bool:
        """Whether no result of it can be had any more."""
        return self.record.status in ("failed", "refused")


def keep(folder: RunFolder, clip: LiveClip, answer: dict[str, Any], result: AnalyzerResult) -> Sample:
    """Write a timed pass into the run folder and count it for its clip; the row of samples that it is."""
    sample: Sample = answer["sample"]
    if clip.resumed and not folder.record.comparison:
        kept = _read_kept(folder, clip)
        if kept is None or not same_events(result, kept):
            set_back(folder, clip, 0)  # an arm's passes belong to pairs: there it is noted below
            clip.found = None
            note(folder, f"{clip.name}: measured anew: since the run was resumed it finds something else than before")
    clip.resumed = False
    if clip.done == 0:
        clip.found = result
        folder.write_result(result)
    elif clip.found is None:
        clip.found = folder.read_results().get(clip.name, result)
    same = same_events(result, clip.found or result)
    sample["events"] = events_digest(clip.found if same and clip.found else result)
    if not same:
        note(folder, f"{clip.name}: {UNSTEADY}")
    if not folder.record.deterministic:
        folder.write_pass_result(result, clip.done)
    folder.add_pass(clip.name, "timed", clip.done, sample, answer["frames"])
    for sentence in note_facts(clip.record, answer):
        note(folder, sentence)
    clip.done += 1
    clip.seconds += sample["total_s"]
    clip.record.repetitions = clip.done
    clip.record.status = "measured"
    folder.save()
    return sample


def set_back(folder: RunFolder, clip: LiveClip, passes: int) -> None:
    """Only the first ``passes`` timed passes over ``clip`` count; later ones become warm-up."""
    for row in folder.samples:
        if row["clip"] == clip.name and row["kind"] == "timed" and row["repetition"] >= passes:
            row["kind"] = "warmup"
    folder.frames[:] = [row for row in folder.frames if row["clip"] != clip.name or row["repetition"] < passes]
    rows = [row for row in folder.samples if row["clip"] == clip.name and row["kind"] == "timed"]
    clip.done = clip.record.repetitions = len(rows)
    clip.seconds = sum(row["total_s"] for row in rows)
    folder.save()


def unsteady(folder: RunFolder, clip: LiveClip) -> bool:
    """Whether passes over the clip found different things."""
    return f"{clip.name}: {UNSTEADY}" in folder.record.notes


def _read_kept(folder: RunFolder, clip: LiveClip) -> AnalyzerResult | None:
    """What was found before the run was resumed; None where that cannot be read: it is then measured anew."""
    try:
        return AnalyzerResult.model_validate_json(folder.result_path(clip.name).read_bytes())
    except (OSError, ValidationError):
        return None


def note(folder: RunFolder, text: str) -> None:
    """Add a note to the record, once."""
    if text not in folder.record.notes:
        folder.record.notes.append(text)
