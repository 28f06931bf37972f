"""What a comparison's folder holds. ``comparison.json`` is a `ComparisonRecord`.

    comparison.json      this record, rewritten after every pair
    environment.json     the machine and the software
    a/, b/               the two arms, each a run folder (`reelbench.bench.records`) with every raw sample and result
    manifest.json        the hash of every other file, written last (`reelbench.bench.manifest`)
    report.html          the page

A pair is one clip, taken through both arms back to back. Times are seconds; ratios are time of B over time of A, so that below 1 B is
faster; the word 'times faster' is 1 / ratio.

History of ``COMPARISON_VERSION``:
    1  first version
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite, log
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from reelbench.bench.integrity import Checked, Figure
from reelbench.bench.records import RunRecord
from reelbench.results import Readable

COMPARISON_VERSION = 1

ArmName = Literal["a", "b"]
Verdict = Literal["faster", "slower", "equivalent", "inconclusive", "invalid"]
"""Of B, seen from A."""
QualityVerdict = Literal["not worse", "worse", "underpowered"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="strings")


class Effect(_Model):
    """A ratio B/A with its interval. ``pairs`` says how many values it rests on (pairs, or clips for an effect across clips). With too
    few of them for its confidence the interval is unbounded: ``low`` 0 and ``high`` infinite (the string "Infinity" in JSON)."""

    ratio: float
    low: float
    high: float
    pairs: int

    @property
    def bounded(self) -> bool:
        return isfinite(self.high)


class Look(_Model):
    """One look at the data: whether to stop was decided here. ``threshold`` is the two-sided p that a single look may use."""

    pairs: int
    threshold: float
    effect: Effect
    verdict: Verdict


class Speed(_Model):
    """The verdict on speed with everything that it rests on.

    ``effect``: Hodges-Lehmann estimate over the pairs with its Wilcoxon interval, at ``confidence`` over all looks together.
    ``adjusted``: the same with fluctuations of the run-queue delay taken out by regression; reported, never decisive.
    ``across_clips``: one value a clip, t interval: what may be expected of other clips like these; absent with fewer than 3 clips.
    ``delta``: the smallest relative change that counts (0.03 = 3 %); ``delta_source`` says where it comes from.
    ``minimum_detectable``: the relative change that this many pairs would have found with 80 % power, from their own spread.
    ``process_deviation``: how far processes of the same code differ (0.02 = 2 %), as the interval takes it: the largest of what was
    calibrated or assumed and what these pairs show; None where no pairs share processes.
    ``pairs_needed``: for 'inconclusive', about how many pairs would decide at the present estimate; None where none would.
    """

    verdict: Verdict
    effect: Effect
    confidence: float
    statistic: Literal["median", "min"]
    delta: float
    delta_source: str
    looks: list[Look] = Field(default_factory=list)
    adjusted: Effect | None = None
    across_clips: Effect | None = None
    per_clip: dict[str, Effect] = Field(default_factory=dict)
    minimum_detectable: float | None = None
    process_deviation: float | None = None
    pairs_needed: int | None = None


class ClipQuality(_Model):
    """The primary metric of one clip in both arms."""

    a: float
    b: float


class AlsoJudged(_Model):
    """Another metric that B must not make worse, judged as the primary one is, or a guardrail. ``better``: whether more or less of it
    is; ``low`` and ``high`` bound the mean over clips of B - A, in the metric's own unit; ``losing_clips`` and ``hidden_share`` as
    those of `Quality`."""

    verdict: QualityVerdict
    better: Literal["more", "less"]
    clips: int
    mean_a: float
    mean_b: float
    difference: float
    low: float | None = None
    high: float | None = None
    margin: float
    losing_clips: int | None = None
    hidden_share: float | None = None


class Quality(_Model):
    """The verdict on quality: non-inferiority of B on the same clips, clips as clusters.

    ``difference`` is the mean over clips of B - A; ``low`` and ``high`` are its one-sided 95 % bounds. 'not worse': ``low`` lies at or
    above -``margin``; 'worse': ``high`` lies below -``margin``, or the counts are out of bounds; else 'underpowered'. ``few`` is said
    aloud: fewer than 20 clips were judged. Clips that all differ by exactly the same have no spread, and no ``low`` and ``high``.
    ``losing_clips`` lose more than the margin, and ``hidden_share`` is the one-sided 95 % upper bound (binomial) of the share of
    clips like these that do: what so few clips cannot exclude. ``agreement`` (F1 or the like of B with A on
    clips without truth) is reported beside it.
    ``overall_a`` and ``overall_b`` are the metric over all clips together, as the run's own table shows it. Where ``also`` holds other
    metrics, ``verdict`` is the worst of all, and ``of_metric`` that of the primary one alone; so with
    ``guards``, the guardrails, which may lose 5 %, or 0.02 where that is more. ``remarks``: sentences about single clips and counts
    (an arm that rightly found nothing where the other found something; counts that ground truth outweighs).
    """

    verdict: QualityVerdict
    of_metric: QualityVerdict | None = None
    also: dict[str, AlsoJudged] = Field(default_factory=dict)
    guards: dict[str, AlsoJudged] = Field(default_factory=dict)
    reason: str = ""
    metric: str = ""
    clips: int = 0
    few: bool = True
    mean_a: float | None = None
    mean_b: float | None = None
    overall_a: float | None = None
    overall_b: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    margin: float | None = None
    losing_clips: int | None = None
    hidden_share: float | None = None
    per_clip: dict[str, ClipQuality] = Field(default_factory=dict)
    agreement_metric: str = ""
    agreement: float | None = None
    agreement_per_clip: dict[str, float] = Field(default_factory=dict)
    identical_clips: int = 0
    remarks: list[str] = Field(default_factory=list)


class Audit(_Model):
    """One check that the measurement itself is honest. ``arm`` is empty where it concerns both."""

    name: str
    status: Literal["passed", "failed", "not applicable"]
    text: str
    arm: ArmName | Literal[""] = ""


class Pair(_Model):
    """One clip through both arms. ``a_s`` and ``b_s`` are the declared statistic over the passes of the slice, which ran in the order
    ``order`` ('ABBA'); ``a_queue`` and ``b_queue`` are run-queue delay per second of wall time (None where the kernel does not say).
    ``a_parent`` and ``b_parent``: CPU seconds of the comparing process per second of wall time while the passes were timed (None
    where nobody watched). ``a_idle_cpu_s`` and ``b_idle_cpu_s``: CPU seconds of an arm's processes while the other arm's passes were
    timed (None: nobody watched). ``repetitions``: the first and last + 1 repetition of this clip in both arms' samples.
    ``processes``: the
    number of the two processes that measured it; pairs with the same one are a cluster. None where each pair had its own."""

    index: int
    clip: str
    order: str
    repetitions: tuple[int, int]
    a_s: float
    b_s: float
    a_queue: float | None = None
    b_queue: float | None = None
    a_parent: float | None = None
    b_parent: float | None = None
    processes: int | None = None
    a_idle_cpu_s: float | None = None
    b_idle_cpu_s: float | None = None

    @property
    def log_ratio(self) -> float:
        return log(self.b_s) - log(self.a_s)


class Arm(_Model):
    """One side. ``folder`` is its run folder, relative to the comparison's (or absolute for runs made before). ``label`` names it to a
    reader: the variant, with what else was set for it, or the commit of its code. ``cold_starts_s``: every start of its process."""

    label: str
    variant: str
    effective: str
    run_id: str
    folder: str
    overrides: list[Readable] = Field(default_factory=list)
    commit: str = ""
    evidence: dict[str, Any] = Field(default_factory=dict)
    cold_starts_s: list[float] = Field(default_factory=list)
    rss_peak_bytes: float | None = None
    vram_peak_bytes: float | None = None


class Share(_Model):
    """``count`` of ``decisions``, with its bounds (95 %, Clopper-Pearson)."""

    count: int
    decisions: int
    rate: float
    low: float
    high: float


class Calibrated(_Model):
    """What `reelbench calibrate` found on this machine, printed beside every verdict. Rates are shares of ``decisions`` decisions;
    ``…_low`` and ``…_high`` bound them (95 %, Clopper-Pearson). ``power`` maps an injected slow-down ('0.1') to the share detected;
    ``power_bounds`` says of how many, with bounds; ``measured_slow_down`` is what the injected delay came to (median of the estimates).

    ``floor``: 95 % of the estimates on identical code lay within ±floor; ``floor_high`` is None where the decisions are too few for a
    bound. ``floor_between_runs``: the same where both sides were measured one after the other, as separate runs are.
    ``process_deviation``: how far processes of the same code differ (standard deviation, 0.02 = 2 %), with its 95 % interval
    ``process_low`` to ``process_high``; ``pair_deviation``: that of ln(B / A) among pairs of the same two processes; both over
    ``processes`` pairs of processes. None where no two pairs shared processes.
    ``smallest_change``: the δ that these decisions were made with. ``what`` was measured (analyzer, variant, clips).
    """

    created: str
    fingerprint: str
    decisions: int
    false_alarms: int
    false_alarm_rate: float
    false_alarm_low: float
    false_alarm_high: float
    power: dict[str, float] = Field(default_factory=dict)
    power_bounds: dict[str, Share] = Field(default_factory=dict)
    measured_slow_down: dict[str, float] = Field(default_factory=dict)
    floor: float
    floor_low: float | None = None
    floor_high: float | None = None
    floor_between_runs: float | None = None
    process_deviation: float | None = None
    process_low: float | None = None
    process_high: float | None = None
    pair_deviation: float | None = None
    processes: int = 0
    smallest_change: float = 0.03
    median_pairs: float | None = None
    what: str = ""
    seconds: float | None = None


class ComparisonRecord(_Model, Checked):
    """The record of a comparison of A with B.

    ``design``: 'interleaved' (both alive, pair by pair), 'code' (the same, arms are two commits), 'separate runs' (made before, at
    different times). ``verdict`` is that on speed, or 'invalid'; ``invalid`` then says why. ``sentence`` is the whole answer for a
    reader in a hurry. ``status`` as of a run. ``parent_cpu_share``: CPU
    seconds of the comparing process per second of a pass while it was timed, the mean over pairs and arms.
    """

    CODE: ClassVar[tuple[str, ...]] = (*RunRecord.CODE, "comparison/*.py", "comparison/offline/*.py")

    version: int = COMPARISON_VERSION
    id: str
    created: str
    design: Literal["interleaved", "code", "separate runs"] = "interleaved"
    analyzer: str
    corpus: str
    measure: str
    command: Readable
    fingerprint: str
    resume_key: str = ""
    status: Literal["running", "finished", "failed", "interrupted"] = "running"
    verdict: Verdict | None = None
    invalid: str = ""
    sentence: str = ""
    exit_code: int = 0
    a: Arm
    b: Arm
    pairs: list[Pair] = Field(default_factory=list)
    speed: Speed | None = None
    quality: Quality | None = None
    audits: list[Audit] = Field(default_factory=list)
    calibration: Calibrated | None = None
    notes: list[str] = Field(default_factory=list)
    parent_cpu_share: float | None = None
    seconds: float = 0.0
    mlflow_run_id: str | None = None

    def arm(self, name: ArmName) -> Arm:
        return self.a if name == "a" else self.b

    def recomputed(self, folder: Path) -> Iterable[Figure]:
        from reelbench.comparison.recompute import comparison_figures

        return comparison_figures(folder, self)
