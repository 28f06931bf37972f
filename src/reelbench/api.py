"""ReelBench from Python: `measure`, `compare`, `compare_runs`. All are exported by `reelbench` itself (docs/python.md).

They do what ``python run.py``, ``reelbench ab`` and ``reelbench compare`` do, return what these write, and print nothing. Errors are
those of `reelbench.errors`. Nothing is sent to MLflow unless ``overrides`` name a ``tracking.uri``.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from reelbench.errors import ConfigError

if TYPE_CHECKING:
    from reelbench.bench.progress import Progress
    from reelbench.bench.records import RunRecord
    from reelbench.comparison.records import ComparisonRecord
    from reelbench.config import Judging

RUNS_DIR = Path("runs")


def measure(
    analyzer: str = "object_detection",
    variant: str = "optimized",
    *,
    corpus: str = "demo",
    measure: str = "default",
    overrides: Sequence[str] = (),
    runs_dir: str | Path | None = None,
    config_dir: str | Path | None = None,
    progress: bool = False,
) -> RunRecord:
    """Measure one variant and return its record; its folder is ``runs_dir / record.run_id``, the page in it.

    ``overrides`` are settings as on the command line ('corpus.path=videos', 'seed=1'); ``config_dir`` is a folder with your own
    analyzers and variants; ``progress`` tells on standard error how far it is. An interrupted run is resumed, as by run.py. Raises
    ConfigError, InputError, UnavailableError, OutputError before anything is measured, AnalyzerError where the analyzer cannot load.
    """
    from reelbench.bench import runner
    from reelbench.config import compose
    from reelbench.report.page import write_run_page

    common = _settings(analyzer, corpus, measure, overrides, runs_dir, config_dir)
    settings = [*common, f"variant={variant}"]
    config = compose(settings)
    with _script_left_alone(), _progress(progress) as told:
        folder = runner.measure(config, settings, shlex.join(["python", "run.py", *settings]), told)
        write_run_page(folder.path)
    if config.tracking.uri != "off":
        from reelbench.tracking.mlflow_store import log_run

        log_run(folder.path, config.tracking.uri, config.tracking.experiment)
    return folder.record


def compare(
    analyzer: str = "object_detection",
    a: str = "baseline",
    b: str = "optimized",
    *,
    corpus: str = "demo",
    measure: str = "default",
    overrides: Sequence[str] = (),
    runs_dir: str | Path | None = None,
    config_dir: str | Path | None = None,
    progress: bool = False,
    resume: bool = False,
) -> ComparisonRecord:
    """Compare two variants, both alive and pair by pair, and return the verdict with all that it rests on.

    ``a`` and ``b`` name variants, and may add settings of their own ('optimized analyzer.deduplicate=null'); ``overrides`` hold for
    both. The folder is ``runs_dir / "comparisons" / record.id``. An arm that fails gives the verdict 'invalid'. Other arguments and
    errors are those of `measure`.
    """
    from reelbench.comparison.ab import compare as compare_variants
    from reelbench.publish import publish

    settings = _settings(analyzer, corpus, measure, overrides, runs_dir, config_dir)
    command = shlex.join(["reelbench", "ab", *settings, f"a={a}", f"b={b}"])
    with _script_left_alone(), _progress(progress) as told:
        folder, config = compare_variants(settings, a, b, command, told, resume=resume)
        publish(folder, config.tracking, told)
    return folder.record


def compare_runs(
    a: str | Path, b: str | Path, *, judging: Judging | None = None, runs_dir: str | Path | None = None
) -> ComparisonRecord:
    """Compare two runs that were made before, given by their folders or run ids; nothing is written.

    Runs that cannot be compared give the verdict 'invalid' with the reasons in ``record.invalid``. ``judging`` says what counts; by
    default run B's own configuration does. Raises InputError where there is no such run.
    """
    from reelbench.comparison.offline.compare import compare_runs as compare_folders
    from reelbench.comparison.offline.find import find_run

    place = Path(runs_dir or RUNS_DIR)
    command = shlex.join(["reelbench", "compare", str(a), str(b)])
    return compare_folders(find_run(a, place), find_run(b, place), judging=judging, command=command)


@contextmanager
def _script_left_alone() -> Iterator[None]:
    """Processes that are spawned meanwhile (to render a corpus, to decode pictures for a page) do not run the caller's script again, as
    multiprocessing would have it for a script without ``if __name__ == "__main__"``: it would measure once more in each of them."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def _progress(shown: bool) -> AbstractContextManager[Progress]:
    if not shown:
        from reelbench.bench.progress import Silent

        return nullcontext(Silent())
    from reelbench.report.progress import Progress as Shown

    return Shown()


def _settings(
    analyzer: str,
    corpus: str,
    measure: str,
    overrides: Sequence[str],
    runs_dir: str | Path | None,
    config_dir: str | Path | None,
) -> list[str]:
    """As one would write them on the command line; what ``overrides`` say comes last, so that it holds."""
    from reelbench.config import search_path

    if isinstance(overrides, str):
        raise ConfigError(f"overrides={overrides!r} is one text", "give a list: overrides=['seed=1']")
    settings = [f"analyzer={analyzer}", f"corpus={corpus}", f"measure={measure}"]
    settings.append(f"runs_dir='{Path(runs_dir or RUNS_DIR).absolute()}'")
    if not any(item.startswith("tracking.uri=") for item in overrides):
        settings.append("tracking.uri=off")
    return [*settings, *search_path(Path(config_dir) if config_dir is not None else None), *overrides]
