"""System A against system B, from two arms to a verdict.

both prepared → pairs of whole runs until a look decides → every analyzer's quality → verdict
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from reelbench.bench.environment import environment
from reelbench.bench.progress import Progress
from reelbench.comparison.calibrated import delta, read_calibration
from reelbench.comparison.records import ArmName, Look, Pair
from reelbench.comparison.rule import Rule, judge_speed, log_ratios
from reelbench.comparison.schedule import schedule
from reelbench.config import digest
from reelbench.errors import AnalyzerError, ConfigError, InputError, OutputError
from reelbench.system.ab.arms import SystemArm, check_alike, prepare_both, read_arm
from reelbench.system.ab.audits import audit_runs, denied
from reelbench.system.ab.folder import SystemComparisonFolder, find_interrupted, new_id
from reelbench.system.ab.quality import judge_all, worst
from reelbench.system.ab.records import CORPUS, IN_BOTH, ArmRun, SystemComparison
from reelbench.system.ab.words import exit_code, sentence
from reelbench.system.folder import SystemFolder
from reelbench.system.records import SystemRecord
from reelbench.system.runner import carry_out
from reelbench.system.setup import Prepared, open_folder
from reelbench.system.tasks import Key

ARMS: tuple[ArmName, ArmName] = ("a", "b")


class ArmFailed(AnalyzerError):
    """Something failed in a run of an arm: the comparison is invalid."""


def compare_systems(
    common: Sequence[str],
    a: str,
    b: str,
    command: str,
    progress: Progress,
    *,
    config_dir: Path | None = None,
    resume: bool = False,
    most_pairs: int | None = None,
) -> SystemComparisonFolder:
    """Compare two systems and return the folder, whose record has the verdict. ``most_pairs`` ends it before the rule would.

    An analyzer that fails makes the comparison invalid, it does not raise. Raises ConfigError, UnavailableError, InputError before
    anything is measured; OutputError and KeyboardInterrupt leave a folder that ``resume`` finds.
    """
    arms = read_arm("a", a, common, config_dir), read_arm("b", b, common, config_dir)
    return carry_out_both(arms, command, progress, resume=resume, most_pairs=most_pairs)


def carry_out_both(
    arms: tuple[SystemArm, SystemArm],
    command: str,
    progress: Progress,
    *,
    resume: bool = False,
    most_pairs: int | None = None,
) -> SystemComparisonFolder:
    """Measure and judge arms that were read."""
    check_alike(arms[0].composed, arms[1].composed)
    ready = prepare_both(*arms, progress)
    folder = _open_folder(arms, ready, command, resume=resume)
    record = folder.record
    progress.message(f"comparison folder: {folder.path}")
    started = perf_counter()
    pairing = Pairing(folder, dict(zip(ARMS, ready, strict=True)), command, progress, most_pairs)
    try:
        pairing.run()
        record.ended_early = not pairing.decided and not pairing.contradicted
        _decide(folder, ready, pairing)
    except (KeyboardInterrupt, OutputError):
        record.status = "interrupted"
        raise
    except (ArmFailed, InputError) as error:
        record.status = "failed"
        record.invalid, record.verdict = error.message, "invalid"
        progress.message(error.message)
    finally:
        record.sentence, record.exit_code = sentence(record), exit_code(record)
        record.seconds += perf_counter() - started
        folder.save()
    return folder


class Pairing:
    """Whole runs of both arms, pair by pair, in balanced shuffled order, until a look decides or there are ``most_pairs``.

    ``looks`` are appended as they are made. A pair that was cut off is measured again as a whole.
    """

    def __init__(
        self,
        folder: SystemComparisonFolder,
        arms: dict[ArmName, Prepared],
        command: str,
        progress: Progress,
        most_pairs: int | None,
    ) -> None:
        self._folder, self._arms, self._command, self._progress = folder, arms, command, progress
        self._most = most_pairs
        base = arms["b"].composed.base
        smallest, self.delta_source = delta(base.comparison.smallest_change, folder.record.calibration)
        self.rule = Rule(looks=base.measure.pairs.looks, delta=smallest)
        self.looks: list[Look] = []
        self.contradicted = False
        """A run is invalid: no further pair can mend that."""
        self.pairs = folder.record.pairs
        self._schedule = schedule([CORPUS], folder.record.resume_key)
        for _ in self.pairs:
            next(self._schedule)
        for count in self.rule.looks:
            if count <= len(self.pairs):
                self.looks.append(self.rule.look(log_ratios(self.pairs[:count])))

    @property
    def decided(self) -> bool:
        last = self.rule.next_look(len(self.pairs)) is None
        return bool(self.looks) and (self.rule.decides(self.looks[-1]) or last)

    @property
    def over(self) -> bool:
        return self.decided or self.contradicted or (self._most is not None and len(self.pairs) >= self._most)

    def run(self) -> None:
        """Raises ArmFailed; what was measured is kept."""
        while not self.over:
            self.step()

    def step(self) -> Pair:
        """Measure the next pair, and look at the data where that is due."""
        record = self._folder.record
        index = len(self.pairs)
        record.runs = [run for run in record.runs if run.pair < index]
        _, order = next(self._schedule)
        systems: dict[ArmName, SystemFolder] = {}
        for letter in order.lower():
            name: ArmName = "a" if letter == "a" else "b"
            self._progress.stage(f"pair {index + 1}, arm {letter} ({record.arm(name).label})")
            run, systems[name] = self._measure(name, index)
            record.runs.append(run)
            self.contradicted = self.contradicted or bool(denied(systems[name].record))
            self._folder.save()
        record.notes += [note for note in self._same_work(systems) if note not in record.notes]
        of = {run.arm: run for run in record.runs if run.pair == index}
        pair = Pair(
            index=index,
            clip=CORPUS,
            order=order,
            repetitions=(index, index + 1),
            a_s=of["a"].makespan_s,
            b_s=of["b"].makespan_s,
            a_queue=of["a"].queue_share,
            b_queue=of["b"].queue_share,
        )
        self.pairs.append(pair)
        if len(self.pairs) in self.rule.looks:
            self.looks.append(self.rule.look(log_ratios(self.pairs)))
        self._progress.message(f"pair {index + 1} ({order}): A {pair.a_s:.1f} s, B {pair.b_s:.1f} s")
        self._folder.save()
        return pair

    def _same_work(self, systems: Mapping[ArmName, SystemFolder]) -> list[str]:
        """A line for each task that came to no result in either arm. ArmFailed where one arm had a result that the other had not, or
        nothing had any: their makespans cannot be compared then."""
        lost = {name: _not_done(run.record) for name, run in systems.items()}
        for name, run in systems.items():
            other = lost["b" if name == "a" else "a"]
            if unequal := [why for key, why in lost[name].items() if key not in other]:
                label = self._folder.record.arm(name).label
                raise ArmFailed(f"arm {name} ({label}): {'; '.join(unequal[:3])}", f"{run.path} has the details")
        if not any(item.counts["done"] for run in systems.values() for item in run.record.analyzers.values()):
            raise ArmFailed(f"nothing came to a result in either arm: {next(iter(lost['a'].values()), 'no clip')}")
        return [f"{IN_BOTH}{why}" for why in lost["a"].values()]

    def _measure(self, name: ArmName, index: int) -> tuple[ArmRun, SystemFolder]:
        """One run of the whole system, from fresh workers."""
        run = self._run(self._arms[name], name, copied=index == 0)
        totals = run.record.totals
        waited = sum(float(span.sample.get("run_queue_s") or 0.0) for span in run.spans if span.kind == "task")
        measured = ArmRun(
            pair=index,
            arm=name,
            folder=run.path.relative_to(self._folder.path).as_posix(),
            makespan_s=totals.makespan_s,
            video_s=totals.video_s,
            load_wall_s=totals.load_wall_s,
            cpu_s=totals.cpu_s,
            utilisation=totals.utilisation,
            decode_share=totals.decode_share,
            pss_peak_bytes=totals.pss_peak_bytes,
            queue_share=waited / totals.makespan_s if totals.makespan_s else None,
        )
        return measured, run

    def _run(self, arm: Prepared, where: str, *, copied: bool) -> SystemFolder:
        """``copied``: a copy of a clip is looked at, too, where the settings do not say otherwise."""
        base = arm.composed.base.model_copy(update={"runs_dir": self._folder.path / where, "resume": False})
        system = arm.composed.system
        system = system.model_copy(update={"check_copy": system.check_copy and copied})
        ready = replace(arm, composed=replace(arm.composed, base=base, system=system))
        run = open_folder(ready, self._command)
        return carry_out(ready, run, self._progress)


def _not_done(record: SystemRecord) -> dict[Key, str]:
    """What came to no result, and why, by clip and analyzer. What cannot run here took no part."""
    return {
        (clip, item.name): f"{item.name} {outcome.status.replace('_', ' ')} on {clip}: {outcome.reason}"
        for item in record.analyzers.values()
        if not item.unavailable
        for clip, outcome in item.outcomes.items()
        if outcome.status != "done"
    }


def _open_folder(
    arms: tuple[SystemArm, SystemArm], ready: tuple[Prepared, Prepared], command: str, *, resume: bool
) -> SystemComparisonFolder:
    """A new folder or, where that was asked for, the one of the same comparison that was interrupted."""
    base = arms[1].composed.base
    judged = base.model_dump(mode="json", include={"measure", "comparison"})
    key = digest(["systems", ready[0].key, ready[1].key, judged])
    if resume:
        found = find_interrupted(base.runs_dir, key)
        if found is None:
            raise ConfigError(
                "there is no interrupted comparison of these systems, clips, code and machine to go on with",
                "leave out --resume to begin a new one",
            )
        found.record.status, found.record.ended_early = "running", False
        found.record.notes.append(f"resumed {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
        return found
    fingerprint = str(environment()["fingerprint"])
    clips, parts = ready[1].clips, ready[1].parts
    record = SystemComparison(
        id=new_id(arms[0].label, arms[1].label),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        corpus=str(base.corpus.get("name", "")),
        clips=len(clips.infos),
        cores=ready[1].machine.cores,
        measure=base.measure.name,
        command=command,
        fingerprint=fingerprint,
        resume_key=key,
        a=arms[0].record(),
        b=arms[1].record(),
        left_out={name: part.unavailable for name, part in parts.items() if part.unavailable},
        refused=dict(clips.refused),
        calibration=read_calibration(fingerprint),
    )
    return SystemComparisonFolder.create(base.runs_dir, record)


def _decide(folder: SystemComparisonFolder, ready: tuple[Prepared, Prepared], pairing: Pairing) -> None:
    """Fill in speed, quality and verdict. Raises InputError for what cannot be judged, which makes the comparison invalid."""
    record = folder.record
    if not record.pairs:
        record.status = "finished"
        return
    record.speed = judge_speed(record.pairs, pairing.rule, "median", pairing.delta_source, pairing.looks)
    runs = {name: [SystemFolder.open(folder.path / run.folder) for run in record.of(name)] for name in ARMS}
    record.analyzers = judge_all(ready[1], runs["a"], runs["b"], record.left_out)
    record.quality = worst(record.analyzers)
    record.notes += [f"{one.name}: {said}" for one in record.analyzers.values() for said in one.quality.remarks]
    record.notes += [note for name in ARMS for note in _unsteady(name, runs[name]) if note not in record.notes]
    record.status, record.verdict = "finished", record.speed.verdict
    record.audits = []
    for name, arm in zip(ARMS, ready, strict=True):
        _audit(record, name, arm, runs[name])
    if failed := [audit for audit in record.audits if audit.status == "failed"]:
        record.verdict = "invalid"
        record.invalid = "; ".join(f"arm {one.arm}: {one.name}: {one.text}" for one in failed)


def _audit(record: SystemComparison, name: ArmName, arm: Prepared, runs: Sequence[SystemFolder]) -> None:
    """Fill in the audits of an arm, and which analyzers are invalid by them."""
    for one in audit_runs(name, arm, runs):
        record.audits.append(one.audit)
        for analyzer, why in one.analyzers.items():
            judged = record.analyzers[analyzer]
            judged.invalid = "; ".join(part for part in (judged.invalid, f"arm {name}: {why}") if part)


def _unsteady(name: ArmName, runs: Sequence[SystemFolder]) -> list[str]:
    """Says which analyzers did not find the same in every run of an arm: their scores are means."""
    first, *others = runs
    found = []
    for analyzer, item in first.record.analyzers.items():
        clips = [clip for clip, outcome in item.outcomes.items() if outcome.status == "done"]
        if any(_events(run, clip, analyzer) != _events(first, clip, analyzer) for run in others for clip in clips):
            found.append(analyzer)
    return [f"arm {name}: not the same in every run, so that scores are means: {', '.join(found)}"] if found else []


def _events(run: SystemFolder, clip: str, analyzer: str) -> object:
    result = run.result((clip, analyzer))
    return None if result is None else result.events
