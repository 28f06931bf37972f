"""From a system run's folder to what each clip's output holds, one clip in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from reelbench.bench.records import ClipRecord
from reelbench.encoding import path_of, readable
from reelbench.errors import InputError
from reelbench.system.folder import RECORD, SystemFolder
from reelbench.system.outputs.records import ClipFacts, ClipOutput, Done, NotDone
from reelbench.system.records import AnalyzerRecord, Outcome

LATEST = "latest"


@dataclass
class Export:
    """What was written, and a line for each thing that is not there, with the reason."""

    files: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_run(word: str, runs_dir: Path) -> Path:
    """The folder of a system run: ``word`` is its path, its id under ``runs_dir``/system, or 'latest'. InputError: there is none."""
    system = runs_dir / "system"
    if word == LATEST:
        found = sorted(file.parent for file in system.glob(f"*/{RECORD}"))
        if found:
            return found[-1]
        raise InputError(f"{system}: no system run there", "reelbench system corpus=demo makes one")
    for path in (Path(word), system / word):
        if (path / RECORD).is_file():
            return path
    raise InputError(f"'{word}' is no system run: no folder with a {RECORD}, and no id in {system}", "or say: latest")


def clip_outputs(folder: SystemFolder) -> Iterator[ClipOutput]:
    """One output for each clip of the run, in its order; also for a clip that could not be read."""
    for clip in folder.record.clips:
        yield clip_output(folder, clip)


def clip_output(folder: SystemFolder, clip: ClipRecord) -> ClipOutput:
    record = folder.record
    return ClipOutput(
        run=record.id,
        created=record.created,
        corpus=record.corpus,
        clip=ClipFacts(
            name=clip.name,
            file=readable(path_of(clip.path).name),
            sha256=clip.sha256,
            duration_s=clip.duration_s,
            width=clip.width,
            height=clip.height,
            fps=clip.fps,
            error=clip.error,
        ),
        analyzers={name: _analyzer(folder, clip, item) for name, item in record.analyzers.items()},
    )


def _analyzer(folder: SystemFolder, clip: ClipRecord, item: AnalyzerRecord) -> Done | NotDone:
    outcome = item.outcomes.get(clip.name) or Outcome()
    if item.unavailable and outcome.status in ("pending", "unavailable"):
        return NotDone(status="unavailable", variant=item.variant, reason=item.unavailable, mend=item.mend)
    if outcome.status != "done":
        reason = outcome.reason or clip.error or _UNSAID.get(outcome.status, "no reason was recorded")
        return NotDone(status=outcome.status, variant=item.variant, reason=reason, mend=outcome.mend)
    result = folder.result((clip.name, item.name))
    if result is None:
        path = folder.result_path((clip.name, item.name)).relative_to(folder.path)
        return NotDone(status="lost", variant=item.variant, reason=f"{path} cannot be read: it is missing or damaged")
    return Done(
        variant=item.variant,
        frames_sampled=result.frames_sampled,
        frames_inferred=result.frames_inferred,
        sampled_s=result.sampled_s,
        events=result.events,
    )


_UNSAID = {"pending": "the run ended before it came to this clip"}
