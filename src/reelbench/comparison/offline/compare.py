"""Compare two runs that were made before.

Arms of one interleaved comparison have pairs: its verdict is given again. Any others were measured at different times, and a shared
machine drifts in between: their interval is widened by how far identical code differs between runs here, as `reelbench calibrate`
found it; where nobody calibrated, nothing is decided (docs/statistics.md).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from math import exp, inf, log, log1p
from pathlib import Path
from statistics import mean, median

from reelbench.bench.run_folder import Row
from reelbench.comparison.calibrated import delta, read_calibration
from reelbench.comparison.folder import FILE, ComparisonFolder, new_id, read_comparison
from reelbench.comparison.offline.pairs import judge_again
from reelbench.comparison.offline.runs import (
    Measured,
    changes,
    differences,
    failed_in_both,
    faults,
    judge_results,
    read_measured,
)
from reelbench.comparison.records import Arm, Calibrated, ComparisonRecord, Effect, Look, Pair, Speed
from reelbench.comparison.rule import Rule, judge_speed
from reelbench.comparison.sentence import exit_code, sentence
from reelbench.config import Judging
from reelbench.errors import EXIT_FAILED, EXIT_USAGE, ConfigError, InputError


def compare_runs(
    a: Path, b: Path, *, judging: Judging | None = None, command: str = "", metric_name: str = ""
) -> ComparisonRecord:
    """Compare two run folders; nothing is measured and nothing written (`save_comparison` keeps the record).

    ``judging``: what counts as a change; by default what B's own configuration says. What cannot be compared, and a run that is no
    good, give a record with the verdict 'invalid' and all the reasons: its exit code is 2 where two sound runs do not belong
    together, 5 where a run itself is invalid, failed or without samples. Raises InputError where a folder cannot be read and
    ConfigError for a run against itself.
    """
    runs = read_measured(a, "a"), read_measured(b, "b")
    if runs[0].path == runs[1].path or runs[0].record.run_id == runs[1].record.run_id:
        raise ConfigError(f"{runs[0].record.run_id} cannot be compared with itself", "name two different runs")
    settings = judging or runs[1].judging
    original = _together(*runs)
    record = _record(*runs, command)
    if original is not None:
        judge_again(record, original, *runs, settings)
    else:
        _judge_apart(record, *runs, settings)
    record.status = "finished"
    record.sentence = sentence(record, metric_name)
    if record.verdict != "invalid":
        record.exit_code = exit_code(record)
    return record


def save_comparison(record: ComparisonRecord, runs_dir: Path) -> Path:
    """Write ``runs_dir``/comparisons/<id> and return it; the environment is that of run B. OutputError where it cannot be written."""
    folder = ComparisonFolder.create(runs_dir, record)
    measured_on = Path(record.b.folder) / "environment.json"
    if measured_on.is_file():
        shutil.copyfile(measured_on, folder.path / "environment.json")
    folder.save()
    return folder.path


def _together(a: Measured, b: Measured) -> ComparisonRecord | None:
    """The interleaved comparison that both are arms of."""
    home = a.path.parent
    if not a.record.comparison or a.record.comparison != b.record.comparison or b.path.parent != home:
        return None
    if not (home / FILE).is_file():
        return None
    found = read_comparison(home)
    return found if found.id == a.record.comparison else None


def _record(a: Measured, b: Measured, command: str) -> ComparisonRecord:
    labels = _labels(a, b)
    measures = list(dict.fromkeys([a.record.measure, b.record.measure]))
    return ComparisonRecord(
        id=new_id(b.record.analyzer, *labels),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        design="separate runs",
        analyzer=b.record.analyzer,
        corpus=b.record.corpus,
        measure=" and ".join(measures),
        command=command,
        fingerprint=b.fingerprint,
        a=_arm(a, labels[0]),
        b=_arm(b, labels[1]),
        calibration=read_calibration(b.fingerprint) if b.fingerprint else None,
    )


def _labels(a: Measured, b: Measured) -> tuple[str, str]:
    """How a reader tells the two apart: by variant, else by commit, else by the time at which they were made."""
    variants = a.record.requested, b.record.requested
    if variants[0] != variants[1]:
        return variants
    for mark_a, mark_b in ((a.commit[:10], b.commit[:10]), (a.record.created[:16], b.record.created[:16])):
        if mark_a and mark_b and mark_a != mark_b:
            return f"{variants[0]} ({mark_a})", f"{variants[1]} ({mark_b})"
    return f"{variants[0]} ({a.record.run_id})", f"{variants[1]} ({b.record.run_id})"


def _arm(run: Measured, label: str) -> Arm:
    record = run.record
    return Arm(
        label=label,
        variant=record.requested,
        effective=record.effective,
        run_id=record.run_id,
        folder=str(run.path),
        commit=run.commit,
        evidence=record.evidence,
        cold_starts_s=[record.cold_start.total_s] if record.cold_start.total_s > 0 else [],
        rss_peak_bytes=record.summary.get("rss_peak_bytes"),
        vram_peak_bytes=record.summary.get("vram_peak_bytes"),
    )


def _judge_apart(record: ComparisonRecord, a: Measured, b: Measured, judging: Judging) -> None:
    """Fill in a record of two runs that were made at different times."""
    record.notes = [*changes(a, b), *failed_in_both(a, b)]
    own, between = [*faults(a, b), *faults(b, a)], differences(a, b)
    if own or between:
        record.invalid, record.verdict = "; ".join([*own, *between]), "invalid"
        record.exit_code = EXIT_FAILED if own else EXIT_USAGE
        return
    clips = sorted({*a.timed} & {*b.timed})
    a_first = a.record.created <= b.record.created
    record.pairs = [_pair(index, clip, a, b, "AB" if a_first else "BA") for index, clip in enumerate(clips)]
    try:
        record.speed = judge_apart(record.pairs, record.calibration, judging)
        record.quality = judge_results(a, b, judging, agreement=b.record.quality.reference == a.record.effective)
    except InputError as error:
        record.invalid, record.verdict, record.exit_code = error.message, "invalid", EXIT_FAILED
        return
    record.verdict = record.speed.verdict
    record.notes.insert(0, _drift(record.calibration))
    record.notes += [*(record.quality.remarks if record.quality else []), *_agreement(a, b)]


def judge_apart(pairs: Sequence[Pair], calibration: Calibrated | None, judging: Judging) -> Speed:
    """The verdict on speed from one value a clip, measured at different times.

    The interval is that of one look at 5 %, then widened on both sides by ``floor_between_runs``. Without such a floor the verdict is
    'inconclusive', whatever the interval, which is then given as it is. Nothing is said of further pairs or of what would have been
    found: both would take the drift for noise that averages out.
    """
    smallest, source = delta(judging.smallest_change, calibration)
    rule = Rule(looks=(len(pairs),), delta=smallest)
    speed = judge_speed(pairs, rule, "median", source)
    speed.adjusted = speed.minimum_detectable = speed.pairs_needed = None
    floor = calibration.floor_between_runs if calibration else None
    if floor is None:
        speed.verdict, speed.across_clips = "inconclusive", None
    else:
        speed.effect, low, high = _widened(speed.effect, floor)
        speed.across_clips = _widened(speed.across_clips, floor)[0] if speed.across_clips else None
        speed.verdict = rule.verdict(low, high)
    speed.looks = [Look(pairs=len(pairs), threshold=rule.threshold, effect=speed.effect, verdict=speed.verdict)]
    return speed


def _widened(effect: Effect, floor: float) -> tuple[Effect, float, float]:
    """The effect, and its bounds in logs. Both ends move by as much in logs, so that swapping the runs mirrors the interval."""
    low = log(effect.low) - log1p(floor) if effect.low > 0 else -inf
    high = log(effect.high) + log1p(floor)
    return effect.model_copy(update={"low": exp(low), "high": exp(high)}), low, high


def _drift(calibration: Calibrated | None) -> str:
    floor = calibration.floor_between_runs if calibration else None
    if calibration is None or floor is None:
        return (
            "the runs were made at different times, and how far identical code differs between runs on this machine is not known: "
            "elsewhere it was tens of per cent (docs/statistics.md); reelbench ab measures both together, reelbench calibrate finds out"
        )
    return (
        f"the runs were made at different times: the interval is widened on both sides by {100 * floor:.3g} %, which is how far "
        f"identical code differs between runs on this machine (calibrated {calibration.created[:10]})"
    )


def _pair(index: int, clip: str, a: Measured, b: Measured, order: str) -> Pair:
    rows = a.timed[clip], b.timed[clip]
    queues = [_queue_share(side) for side in rows]
    return Pair(
        index=index,
        clip=clip,
        order=order,
        repetitions=(0, min(len(side) for side in rows)),
        a_s=median(row["total_s"] for row in rows[0]),
        b_s=median(row["total_s"] for row in rows[1]),
        a_queue=queues[0],
        b_queue=queues[1],
    )


def _queue_share(rows: Sequence[Row]) -> float | None:
    if any(row["run_queue_s"] is None for row in rows):
        return None
    return float(mean(row["run_queue_s"] / row["total_s"] for row in rows))


def _agreement(a: Measured, b: Measured) -> list[str]:
    """What both found against a third variant says something of them, but it is no agreement of B with A."""
    left, right = a.record.quality, b.record.quality
    if left.reference != right.reference or not (left.agreement and right.agreement):
        return []
    both = [f"{name} {left.agreement[name]:.3f} and {right.agreement[name]:.3f}"
            for name in left.agreement if name in right.agreement]  # fmt: skip
    return [f"agreement of A and of B with {left.reference}: {', '.join(both)}"] if both else []
