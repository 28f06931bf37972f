"""What the folder of a load run holds. ``load.json`` is a `LoadRecord`.

    load.json        this record
    queries.csv      a row a clip that was handed over: `Query`
    memory.csv       a row a look at the memory of all processes: `Memory`
    system/<id>/     the run of the system itself (`reelbench.system.records`), whose clips are the queries
    manifest.json    the hash of every other file, written last (`reelbench.bench.manifest`)
    report.html      the page

Seconds count from the moment at which the first counted clip could be handed over (after the warm-up).

History of ``LOAD_VERSION``:
    1  first version
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from reelbench.bench.integrity import Checked, Figure
from reelbench.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_REGRESSION, EXIT_USAGE, AnalyzerError
from reelbench.results import Readable
from reelbench.system.records import SystemRecord

LOAD_VERSION = 1

QueryStatus = Literal["done", "failed", "pending"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="strings")


class Query(_Model):
    """A clip that was handed over. ``arrived_s``: when; ``began_s``: when its first task did; ``ended_s``: its last result.

    'done': every analyzer that can run here gave its result; 'failed': one did not (``reason``), and its latency is not counted;
    'pending': the run was cut off before. ``work_s`` are the seconds in which its tasks held a core, ``cpu_s`` their processor time.
    """

    name: str
    clip: str
    kind: str
    video_s: float
    warmup: bool = False
    status: QueryStatus = "pending"
    reason: str = ""
    arrived_s: float | None = None
    began_s: float | None = None
    ended_s: float | None = None
    work_s: float = 0.0
    cpu_s: float = 0.0

    @property
    def latency_s(self) -> float | None:
        return None if self.ended_s is None or self.arrived_s is None else self.ended_s - self.arrived_s


class Percentile(_Model):
    """The nearest rank: the smallest of the latencies that at least ``percent`` of them do not exceed. ``maximum``: with so few
    samples that is simply the longest."""

    percent: float
    seconds: float
    maximum: bool


class Figures(_Model):
    """Over the queries that are done (``queries``); ``failed`` others are in no figure but this count.

    ``percentiles`` are of the latency, from arrival to the last result. ``waited_s_median``: from arrival to the first task.
    ``x_realtime``: seconds of video for a second of latency, all together. ``work_per_video_s`` and ``cpu_per_video_s``: for a second
    of video, the seconds in which tasks held a core, and processor seconds.
    """

    queries: int = 0
    failed: int = 0
    video_s: float = 0.0
    percentiles: list[Percentile] = Field(default_factory=list)
    mean_s: float | None = None
    waited_s_median: float | None = None
    x_realtime: float | None = None
    work_per_video_s: float | None = None
    cpu_per_video_s: float | None = None


class Bound(_Model):
    """A latency that was not to be exceeded. ``kept`` is None where no query was done. One that failed breaks it."""

    percent: float
    limit_s: float
    found_s: float | None = None
    maximum: bool = False
    samples: int = 0
    kept: bool | None = None


class Memory(_Model):
    """One look at all processes together: ``pss_bytes`` counts what is shared once."""

    at_s: float
    pss_bytes: int
    rss_bytes: int
    processes: int


class LoadRecord(_Model, Checked):
    """One scenario, played once.

    ``span_s``: from the first arrival that could be to the last result; ``per_min`` clips were done in a minute of it,
    ``video_per_s`` seconds of video in a second. ``rate_per_min`` is what was offered (server), ``rate_source`` where it comes from.
    ``in_system_most``: the most clips that had arrived and were not done. ``watching_cpu_s``: what looking at the memory cost.
    ``kinds``: of each clip of the corpus; ``analyzers``: how each ended; ``executed``: the evidence of
    its workers; ``invalid``: whose figures must not be used, and why (`reelbench.system.records.AnalyzerRecord`).
    ``system_key``: records with the same one are of the same system, clips, code and machine.
    """

    CODE: ClassVar[tuple[str, ...]] = (
        *SystemRecord.CODE,
        "load/arrivals.py",
        "load/figures.py",
        "load/recompute.py",
        "load/records.py",
        "load/tell.py",
    )

    version: int = LOAD_VERSION
    id: str
    created: str
    command: Readable
    scenario: str
    corpus: str
    system: str
    plan: str
    cores: tuple[int, ...]
    fingerprint: str
    machine: str = ""
    settings: dict[str, Any] = Field(default_factory=dict)
    system_key: str
    system_run: str = ""
    status: Literal["running", "finished", "failed", "interrupted"] = "running"
    rate_per_min: float | None = None
    rate_source: str = ""
    span_s: float | None = None
    per_min: float | None = None
    video_per_s: float | None = None
    utilisation: float | None = None
    in_system_most: int = 0
    load_wall_s: float = 0.0
    figures: Figures = Field(default_factory=Figures)
    by_kind: dict[str, Figures] = Field(default_factory=dict)
    bound: Bound | None = None
    memory: list[Memory] = Field(default_factory=list)
    pss_peak_bytes: int | None = None
    watching_cpu_s: float = 0.0
    queries: list[Query] = Field(default_factory=list)
    analyzers: dict[str, str] = Field(default_factory=dict)
    executed: dict[str, dict[str, Any]] = Field(default_factory=dict)
    invalid: dict[str, str] = Field(default_factory=dict)
    kinds: dict[str, str] = Field(default_factory=dict)
    refused: dict[str, str] = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)
    mlflow_run_id: str | None = None

    def recomputed(self, folder: Path) -> Iterable[Figure]:
        from reelbench.load.recompute import recomputed

        return recomputed(folder, self)

    @property
    def counted(self) -> list[Query]:
        return [query for query in self.queries if not query.warmup]

    @property
    def exit_code(self) -> int:
        """130 interrupted, 5 an analyzer failed or is invalid, 1 the bound was broken, 2 a clip could not be read, else 0."""
        if self.status in ("interrupted", "running"):
            return EXIT_INTERRUPTED
        if self.status == "failed" or self.invalid:
            return AnalyzerError.exit_code
        if self.bound is not None and self.bound.kept is False:
            return EXIT_REGRESSION
        return EXIT_USAGE if self.refused else EXIT_OK
