"""What is done with what was measured: the page of a comparison, and MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reelbench.bench.progress import Progress
from reelbench.comparison.folder import ComparisonFolder
from reelbench.config import Tracking
from reelbench.errors import ReelBenchError, UnavailableError

if TYPE_CHECKING:
    from reelbench.system.config import Composed

OFF = "off"


def publish(folder: ComparisonFolder, tracking: Tracking, progress: Progress) -> Path:
    """Write the page of the comparison and send it to MLflow; return the page."""
    from reelbench.report.ab_page import write_ab_page

    page = write_ab_page(folder.path)
    track(folder.path, progress, tracking)
    return page


def track(folder: Path, progress: Progress, tracking: Tracking | None = None) -> str | None:
    """Send a folder to MLflow, to where its own configuration says unless ``tracking`` does; returns the MLflow run's id.

    None where tracking is off, or where MLflow cannot be reached: the user is told, and `reelbench track sync` sends it later.
    """
    if tracking is not None and tracking.uri == OFF:
        return None
    from reelbench.tracking.folders import log_folder
    from reelbench.tracking.kinds import kind_of

    if tracking is None:
        kind = kind_of(folder)
        tracking = kind.tracking(folder, kind.read(folder))
        if tracking.uri == OFF:
            return None
    try:
        sent = log_folder(folder, tracking.uri, tracking.experiment)
    except UnavailableError as error:
        progress.message(one_line(error))
        return None
    progress.message(f"tracked in MLflow: {tracking.uri} (experiment {tracking.experiment})")
    return sent


def tracking_of_system(composed: Composed) -> Tracking:
    """Where a run of the whole system goes that was asked for just now."""
    from reelbench.tracking.kinds.system import KIND, together

    each = {config.analyzer.name: config.tracking for config in composed.analyzers.values()}
    return together(each, KIND.home)


def one_line(error: ReelBenchError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message
