"""Measure how often noise on this machine leads to a wrong verdict, and which slow-downs are found (docs/calibration.md).

clips that are short → decisions on identical code and on code with a real delay, in shuffled order → the figures, kept for the machine
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, ValidationError

from reelbench.bench.effective import job_of, prepare_network
from reelbench.bench.environment import environment
from reelbench.bench.integrity import Checked, Figure, differing
from reelbench.bench.progress import Progress, Silent
from reelbench.bench.record_folder import claim_newest, settle_killed, write_record
from reelbench.bench.setup import open_clips
from reelbench.comparison.arms import plan
from reelbench.comparison.calibrated import calibration_file, read_calibration, write_calibration
from reelbench.comparison.calibration.figures import calibrated
from reelbench.comparison.calibration.recompute import decision_figures
from reelbench.comparison.calibration.stretch import Decision, Stretches
from reelbench.comparison.records import Calibrated
from reelbench.comparison.rule import Rule
from reelbench.comparison.schedule import stretched
from reelbench.config import RunConfig, compose, digest
from reelbench.errors import ConfigError, InputError
from reelbench.models.store import ModelStore
from reelbench.owners import UNFINISHED, claim, new_folder
from reelbench.paths import describe_os_error, write_text
from reelbench.results import Readable

if TYPE_CHECKING:
    from filelock import FileLock

SLOW_DOWNS = (0.10, 0.05)
CLIPS = 3
DEFAULT_S, QUICK_S = 600.0, 120.0
FEWEST, MOST = 4, 200
FILE, DECISION = "calibration.json", "decision.json"


class CalibrationState(Checked):
    """``calibration.json`` of a calibration's folder. Decision i lies in the sub-folder of its number with ``slow_downs[i]``."""

    CODE: ClassVar[tuple[str, ...]] = (
        "comparison/calibration/*.py",
        "comparison/records.py",
        "comparison/recompute.py",
        "comparison/rule.py",
        "comparison/statistics.py",
    )

    model_config = ConfigDict(extra="forbid")

    id: str
    created: str
    command: Readable
    key: str
    status: Literal["running", "interrupted", "finished"] = "running"
    clips: list[str]
    slow_downs: list[float]
    looks: tuple[int, ...]
    smallest_change: float
    found: Calibrated | None = None
    notes: list[str] = Field(default_factory=list)

    def recomputed(self, folder: Path) -> Iterable[Figure]:
        if self.found is None:
            return
        made = [_read(folder / f"{index:04}") for index in range(len(self.slow_downs))]
        rule = Rule(looks=self.looks, delta=self.smallest_change)
        for index, decision in enumerate(made):
            if decision is not None:
                yield Figure(f"decision {index}: slow_down", decision.slow_down, self.slow_downs[index])
                yield from decision_figures(folder / f"{index:04}", f"decision {index}", decision, rule)
        known = self.found
        again = calibrated(
            [decision for decision in made if decision is not None],
            created=known.created,
            fingerprint=known.fingerprint,
            smallest_change=known.smallest_change,
            what=known.what,
        )
        yield from differing("calibration", known, again)


def calibrate(
    settings: Sequence[str],
    command: str,
    progress: Progress,
    *,
    decisions: int | None = None,
    quick: bool = False,
    resume: bool = False,
) -> tuple[Calibrated, Path, Path]:
    """Calibrate this machine; returns what was found, the file that every verdict reads it from, and the folder of the raw pairs.

    ``settings`` are those of a run ('analyzer=…', 'variant=…', 'corpus=…'). ``decisions``: how many on identical code; by default what
    fits into about ten minutes, with ``quick`` two. Raises ConfigError, UnavailableError, InputError, OutputError before anything is
    measured; AnalyzerError where the variant fails. What was decided before an interruption or a failure is found again by ``resume``.
    """
    if decisions is not None and decisions < 1:
        raise ConfigError(
            f"--decisions {decisions}: at least one decision is needed", "leave it out for about ten minutes"
        )
    bed, config = _prepared(settings, command, progress)
    machine = environment()
    key, fingerprint = _key(config, bed, machine, [decisions, quick]), str(machine["fingerprint"])
    if resume:
        folder, state, lock = _interrupted(config.runs_dir, key)
        progress.message(f"calibration folder: {folder}")
        state.status = "running"
        state.notes.append(f"resumed {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
    else:
        folder, lock = _created(config)
        progress.message(f"calibration folder: {folder}")
        progress.stage("choosing the clips that take least time")
        clips = bed.scout(folder / "scouting", CLIPS)
        looks = stretched(config.measure.pairs.looks, len(clips))
        one_s = bed.expected_s(looks[min(1, len(looks) - 1)])
        state = CalibrationState(
            id=folder.name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            command=command,
            key=key,
            clips=clips,
            slow_downs=_planned(decisions or _affordable(one_s, QUICK_S if quick else DEFAULT_S), folder.name),
            looks=looks,
            smallest_change=config.comparison.smallest_change,
        )
        progress.message(f"{len(state.slow_downs)} decisions on {', '.join(clips)}, about {one_s:.0f} s each")
    _save(folder, state)
    try:
        made = _decide(folder, state, bed, progress)
    except BaseException:
        state.status = "interrupted"
        _save(folder, state)
        raise
    finally:
        lock.release()
    what = f"{config.analyzer.name} {bed.a.ready.config.variant} on {', '.join(state.clips)} (measure {config.measure.name})"
    state.found = calibrated(
        made,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        fingerprint=fingerprint,
        smallest_change=state.smallest_change,
        what=what,
    )
    state.status = "finished"
    _save(folder, state)
    return state.found, _kept(state.found, quick, progress), folder


def _kept(found: Calibrated, quick: bool, progress: Progress) -> Path:
    """Write it for the machine; a quick look does not take the place of what rests on more decisions."""
    file = calibration_file(found.fingerprint)
    if quick:
        try:
            known = read_calibration(found.fingerprint)
        except InputError:
            known = None  # damaged: this one is better
        if known is not None and known.decisions > found.decisions:
            progress.message(
                f"not kept: {file} rests on {known.decisions} decisions, this on {found.decisions} (--quick)"
            )
            return file
    return write_calibration(found)


def _prepared(settings: Sequence[str], command: str, progress: Progress) -> tuple[Stretches, RunConfig]:
    """Both arms, the same variant; weights, clips and network are made ready."""
    config = compose(settings)
    common = [item for item in settings if not item.startswith("variant=")]
    a, b = (plan(name, config.variant, common) for name in ("a", "b"))
    store = ModelStore()
    clips = open_clips(config, a.weights, store, progress)
    return Stretches(a, b, clips, store, command, progress), config


def _key(config: RunConfig, bed: Stretches, machine: dict[str, Any], asked: list[Any]) -> str:
    """What an interrupted calibration must agree in. Not the checkout: both arms of a decision run the same code, whichever it is."""
    same = [machine[name] for name in ("fingerprint", "reelbench", "packages")]
    clips = [clip.sha256 for clip in bed.clips.clips]
    return digest([config.config_hash, bed.a.ready.config.config_hash, clips, same, asked])


def _decide(folder: Path, state: CalibrationState, bed: Stretches, progress: Progress) -> list[Decision]:
    """Every decision of the plan that was not made before, each written as soon as it is made."""
    rule = Rule(looks=state.looks, delta=state.smallest_change)
    made = {index: found for index in range(len(state.slow_downs)) if (found := _read(folder / f"{index:04}"))}
    if len(made) < len(state.slow_downs):
        _make_ready(folder, state, bed, progress)
    progress.start(len(state.slow_downs))
    for index, slow_down in enumerate(state.slow_downs):
        if index in made:
            continue
        path = folder / f"{index:04}"
        shutil.rmtree(path, ignore_errors=True)  # a decision that was cut off: its stretch of time is gone
        bed.progress = _Overall(progress, index, made, state)
        made[index] = bed.measure(path, f"{state.id} {index}", slow_down, rule)
        write_text(path / DECISION, made[index].model_dump_json(indent=1))
    return [made[index] for index in sorted(made)]


def _make_ready(folder: Path, state: CalibrationState, bed: Stretches, progress: Progress) -> None:
    config = bed.a.ready.config
    prepare_network(job_of(config, folder / "worker.log"), config.measure.prepare_timeout_s, progress)
    if not bed.recent:  # resumed: the machine may be faster or slower than it was, so the delays are set anew
        bed.keep_only(state.clips)
        again = folder / "scouting-again"
        shutil.rmtree(again, ignore_errors=True)
        bed.scout(again, len(state.clips))


class _Overall(Silent):
    """Tells which decision of how many goes on, in place of the pairs of each."""

    def __init__(self, progress: Progress, index: int, made: dict[int, Decision], state: CalibrationState) -> None:
        self._progress, self._done, self._total = progress, len(made), len(state.slow_downs)
        slow_down = state.slow_downs[index]
        self._name = f"decision {index + 1}: " + (f"B {100 * slow_down:g} % slower" if slow_down else "identical code")
        self._left_s = sum(d.seconds for d in made.values()) / len(made) * (self._total - self._done) if made else None

    def update(self, clip: str, phase: str, done: int, total: int, seconds_left: float | None) -> None:
        self._progress.update(self._name, f"pair {done + 1}", self._done, self._total, self._left_s)

    def message(self, text: str) -> None:
        self._progress.message(text)


def _affordable(one_s: float, seconds: float) -> int:
    """How many decisions on identical code, when a third as many are made of each slow-down."""
    return min(MOST, max(FEWEST, int(seconds / one_s / (1 + len(SLOW_DOWNS) / 3))))


def _planned(identical: int, seed: str) -> list[float]:
    """The slow-downs of all decisions in shuffled order: a drift of the machine must not meet one kind alone."""
    kinds = [0.0] * identical + [size for size in SLOW_DOWNS for _ in range(ceil(identical / 3))]
    random.Random(seed).shuffle(kinds)
    return kinds


def _created(config: RunConfig) -> tuple[Path, FileLock]:
    from uuid import uuid4

    folder = (
        config.runs_dir / "calibrations" / f"{datetime.now():%Y%m%d-%H%M%S}-{config.analyzer.name}-{uuid4().hex[:6]}"
    )
    settle_killed(folder.parent, FILE, CalibrationState)
    try:
        with new_folder(folder) as made:
            lock = claim(made)
    except OSError as error:
        raise describe_os_error(error, folder, "cannot create the calibration's folder") from error
    assert lock is not None, "the folder is new"
    return folder, lock


def _interrupted(runs_dir: Path, key: str) -> tuple[Path, CalibrationState, FileLock]:
    """The newest unfinished calibration with this key that no live process has; ConfigError where there is none."""
    found = claim_newest(
        runs_dir / "calibrations",
        FILE,
        CalibrationState,
        lambda state: state.key == key and state.status in UNFINISHED,
    )
    if found is not None:
        return found
    raise ConfigError(
        "there is no interrupted calibration with these settings, clips, packages and machine to go on with",
        "leave out --resume to begin a new one",
    )


def _read(folder: Path) -> Decision | None:
    file = folder / DECISION
    if not file.is_file():
        return None
    try:
        return Decision.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise InputError(
            f"{file} is damaged: {error.errors()[0]['msg']}", "remove its folder: it is measured again"
        ) from error


def _save(folder: Path, state: CalibrationState) -> None:
    write_record(folder, FILE, state)
