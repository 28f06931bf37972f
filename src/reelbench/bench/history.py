"""The points of a history, one for each run that a tracking server knows; `reelbench.tracking.history` reads them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class HistoryPoint:
    """One run. ``variant`` is the effective one; ``machine`` the fingerprint, ``machine_name`` its processor in words.

    ``config_hash`` and ``clips`` (a hash over the measured clips' contents) tell what was measured apart.
    ``commit`` and ``dirty`` are of ReelBench's own code (empty and None outside of a checkout). ``created`` is in UTC. ``quality`` is
    the primary metric ``quality_metric`` against truth, or agreement with the variant ``quality_reference`` where that is not empty.
    ``invalid`` says why the figures must not be used. ``comparison`` is the id of the comparison whose arm this run was: another
    worker was alive beside it. Figures that were not measured are None.
    """

    run_id: str
    analyzer: str
    requested: str
    variant: str
    corpus: str
    measure: str
    machine: str
    created: datetime
    config_hash: str
    clips: str = ""
    commit: str = ""
    dirty: bool | None = None
    machine_name: str = ""
    status: str = "finished"
    invalid: str = ""
    x_realtime: float | None = None
    total_s: float | None = None
    quality: float | None = None
    quality_metric: str = ""
    quality_reference: str = ""
    comparison: str = ""
    tracked_id: str = ""

    @property
    def usable(self) -> bool:
        """Whether its figures may be put beside others: finished, valid, and measured alone."""
        return self.status == "finished" and not self.invalid and not self.comparison


@dataclass(frozen=True, slots=True)
class History:
    """All points that ``source`` (an address without passwords) has, oldest first; of one analyzer where ``analyzer`` names it."""

    source: str
    points: tuple[HistoryPoint, ...]
    analyzer: str = ""
