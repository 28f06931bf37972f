"""What a run folder holds. ``run.json`` is a `RunRecord`; the tables beside it are Parquet.

    run.json             this record, rewritten after every clip
    config.yaml          the resolved configuration
    environment.json     the machine and the software (`reelbench.bench.environment`)
    samples.parquet      one row a timed (or warm-up) pass over a clip: `SAMPLE_COLUMNS`
    frames.parquet       one row a sampled frame of a timed pass: `FRAME_COLUMNS`
    results/<clip>.json  what the analyzer found (`reelbench.results.AnalyzerResult`)
    manifest.json        the hash of every other file, written last (`reelbench.bench.manifest`)
    report.html          the page

History of ``RUN_VERSION``:
    1  first version
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from reelbench.bench.integrity import Checked, Figure
from reelbench.bench.observed import Observation
from reelbench.results import Readable

RUN_VERSION = 1

PHASES = ("decode", "preprocess", "infer", "postprocess", "other")
"""Wall seconds of one pass, on the analyzer's own thread; they add up to ``total_s``. 'decode' is the time spent waiting for
frames (all of the decoding where nothing is decoded ahead); ``decode_busy_s`` is what the decoder worked, wherever it ran."""

SAMPLE_COLUMNS = (
    "clip", "kind", "repetition", "started", "total_s", *(f"{phase}_s" for phase in PHASES), "decode_busy_s",
    "cpu_s", "run_queue_s", "rss_peak_bytes", "vram_peak_bytes", "frames_decoded", "frames_sampled", "frames_inferred", "duration_s",
    "frames_handed", "request_s", "request_queue_s", "request_cpu_s", "crossed_bytes", "worker", "events",
)  # fmt: skip
"""``kind`` is 'warmup' or 'timed'; ``started`` is Unix time; ``vram_peak_bytes`` is null without a GPU. What the
last line names was seen from outside of the analyzer (`reelbench.bench.observed`), and is null in older runs:
``frames_handed`` are the frames that it took, ``request_…`` is a `reelbench.bench.watching.Watched`, ``crossed_bytes``
the JSON of results, both ways, ``worker`` which start of the process it was, ``events`` the sha256 of what was found."""

FRAME_COLUMNS = ("clip", "repetition", "index", "pts_s", "step_s")
"""``step_s``: wall seconds from asking for this frame to asking for the next, averaged over the frames of one step (batch)."""


class _Model(BaseModel):
    # A metric that came out as NaN or infinite stays what it is ("NaN" in JSON): it makes a comparison invalid, not unreadable.
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="strings")


class ClipRecord(_Model):
    """One clip of the corpus in this run. ``status`` 'refused': it could not be opened; 'failed': the analyzer failed on it.
    ``truth_sha256`` is that of its ground truth (`corpus.clip.truth_digest`); '' where it has none.

    ``flags`` and ``details`` are those of `media.types.ClipInfo`, and what decoding found: 'damaged_picture' and 'damaged_sound' say in
    ``details`` how many packets were left out and where."""

    name: str
    sha256: str = ""
    has_truth: bool = False
    truth_sha256: str = ""
    status: Literal["pending", "measured", "refused", "failed"] = "pending"
    error: str = ""
    repetitions: int = 0
    duration_s: float | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    flags: list[str] = Field(default_factory=list)
    details: dict[str, Any] = Field(default_factory=dict)
    path: str = ""


class ColdStart(_Model):
    """Seconds before the steady state. ``prepare_s`` is spent once a machine (conversion, calibration); the others every start:
    ``process_s`` starts Python and imports, ``load_s`` loads the network, ``first_pass_s`` is the first pass over the warm-up clip."""

    prepare_s: float = 0.0
    process_s: float = 0.0
    load_s: float = 0.0
    first_pass_s: float | None = None

    @property
    def total_s(self) -> float:
        return self.process_s + self.load_s


class Warmup(_Model):
    """``stationary``: the last passes agreed (`reelbench.bench.stationarity`); False: the maximum was reached before they did."""

    passes: int = 0
    stationary: bool = False
    note: str = ""


class QualityRecord(_Model):
    """``overall`` and ``per_clip`` are against ground truth; ``agreement…`` against the results of the variant ``reference``.
    ``also``: metrics beside the primary one that must not get worse, each with what is better, 'more' or 'less'; ``guards``:
    guardrails, written likewise. ``complete``: the primary one counts whatever is missed or invented."""

    primary: str = ""
    also: dict[str, str] = Field(default_factory=dict)
    guards: dict[str, str] = Field(default_factory=dict)
    complete: bool = False
    overall: dict[str, float] = Field(default_factory=dict)
    per_clip: dict[str, dict[str, float]] = Field(default_factory=dict)
    reference: str = ""
    agreement: dict[str, float] = Field(default_factory=dict)
    agreement_per_clip: dict[str, dict[str, float]] = Field(default_factory=dict)
    absent: dict[str, str] = Field(default_factory=dict)


class UpstreamCost(_Model):
    """What an analyzer upstream took for the clips of a run, one pass each: it is not part of the variant's own time.

    ``seconds`` and ``cpu_s`` are over all ``clips`` that it gave a result for, as the parent saw the pass that made it."""

    variant: str
    seconds: float = 0.0
    cpu_s: float = 0.0
    clips: int = 0

    def text(self, name: str) -> str:
        """A sentence for the notes of a run."""
        return (
            f"upstream, not in these times: {name} {self.variant} took {self.seconds:.3g} s for {self.clips} "
            f"clip{'s' if self.clips != 1 else ''} ({self.cpu_s:.3g} s of CPU time)"
        )


class RunRecord(_Model, Checked):
    """One (analyzer, variant, corpus) measured once.

    ``requested`` and ``effective`` differ only where on_unavailable=fallback was asked for; ``fallback_reason`` then says why.
    ``status``: 'finished' (every clip measured or refused), 'failed' (some clip failed), 'interrupted', 'running'.
    ``invalid`` says why the figures must not be used (evidence contradicts the request, …); empty for a valid run.
    ``summary`` holds the figures of the table: x_realtime, frames_per_s, frame_ms_p50, frame_ms_p95, cold_start_s, rss_peak_bytes,
    total_s_median (per pass), <phase>_s_median, <phase>_s_p95, cpu_s_median, run_queue_share, parent_cpu_share …
    ``comparison`` is the id of the comparison that this run is an arm of; empty for a run of its own. ``observed``: what the parent
    saw, held against what the worker reported. ``deterministic``: what the analyzer declares. ``upstream``: what the results that
    it is handed cost, by analyzer.
    """

    CODE: ClassVar[tuple[str, ...]] = (
        "results.py",
        "corpus/clip.py",
        "bench/observed.py",
        "bench/recompute.py",
        "bench/summary.py",
        "quality/*.py",
    )

    version: int = RUN_VERSION
    run_id: str
    created: str
    analyzer: str
    requested: str
    effective: str
    fallback_reason: str = ""
    corpus: str
    measure: str
    command: Readable
    config_hash: str
    resume_key: str
    status: Literal["running", "finished", "failed", "interrupted"] = "running"
    invalid: str = ""
    evidence: dict[str, Any] = Field(default_factory=dict)
    weights: dict[str, str] = Field(default_factory=dict)
    cold_start: ColdStart = Field(default_factory=ColdStart)
    warmup: Warmup = Field(default_factory=Warmup)
    clips: list[ClipRecord] = Field(default_factory=list)
    summary: dict[str, float] = Field(default_factory=dict)
    quality: QualityRecord = Field(default_factory=QualityRecord)
    notes: list[str] = Field(default_factory=list)
    mlflow_run_id: str | None = None
    comparison: str = ""
    deterministic: bool = True
    observed: list[Observation] = Field(default_factory=list)
    upstream: dict[str, UpstreamCost] = Field(default_factory=dict)

    def recomputed(self, folder: Path) -> Iterable[Figure]:
        from reelbench.bench.recompute import run_figures

        return run_figures(folder, self)
