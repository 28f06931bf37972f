"""ReelBench measures whether a video-analysis system got faster, and did not get worse.

The Python API is in `reelbench.api`; its names are here, too, and are imported when they are first used (docs/python.md).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reelbench.api import compare as compare
    from reelbench.api import compare_runs as compare_runs
    from reelbench.api import measure as measure
    from reelbench.bench.records import RunRecord as RunRecord
    from reelbench.comparison.records import Arm as Arm
    from reelbench.comparison.records import Audit as Audit
    from reelbench.comparison.records import Calibrated as Calibrated
    from reelbench.comparison.records import ComparisonRecord as ComparisonRecord
    from reelbench.comparison.records import Effect as Effect
    from reelbench.comparison.records import Pair as Pair
    from reelbench.comparison.records import Quality as Quality
    from reelbench.comparison.records import Speed as Speed
    from reelbench.config import Judging as Judging
    from reelbench.errors import AnalyzerError as AnalyzerError
    from reelbench.errors import ConfigError as ConfigError
    from reelbench.errors import InputError as InputError
    from reelbench.errors import MediaError as MediaError
    from reelbench.errors import OutputError as OutputError
    from reelbench.errors import ReelBenchError as ReelBenchError
    from reelbench.errors import UnavailableError as UnavailableError
    from reelbench.errors import UsageError as UsageError
    from reelbench.errors import WeightsError as WeightsError

__version__ = "0.1.0"

_HOMES = {
    "reelbench.api": ("compare", "compare_runs", "measure"),
    "reelbench.bench.records": ("RunRecord",),
    "reelbench.comparison.records": (
        "Arm", "Audit", "Calibrated", "ComparisonRecord", "Effect", "Pair", "Quality", "Speed",
    ),
    "reelbench.config": ("Judging",),
    "reelbench.errors": (
        "AnalyzerError", "ConfigError", "InputError", "MediaError", "OutputError", "ReelBenchError", "UnavailableError",
        "UsageError", "WeightsError",
    ),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME_OF]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'reelbench' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOME_OF[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
