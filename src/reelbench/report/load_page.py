"""The self-contained page of a load run: latency, throughput and memory, together and by kind of video."""

from __future__ import annotations

from pathlib import Path

from reelbench.bench.record_folder import marked
from reelbench.load.folder import read_load
from reelbench.paths import write_text
from reelbench.report import load_charts
from reelbench.report import load_terminal as words
from reelbench.report.render import flat, render
from reelbench.report.run_data import read_environment

PAGE = "report.html"


def write_load_page(path: Path, target: Path | None = None) -> Path:
    """Write the page of the load run in ``path`` (``report.html`` there, or ``target``) and return where it is.

    InputError: no folder of a load run, or a damaged one. OutputError: the page cannot be written.
    """
    record = marked(path, read_load(path))
    run = path / record.system_run
    machine = read_environment(run / "environment.json") if record.system_run else {}
    html = render(
        "load.html.j2",
        title=f"Load: {record.scenario.replace('_', ' ')}, {record.system}, plan {record.plan}",
        record=record,
        words=words,
        latencies=load_charts.latencies(record),
        in_system=load_charts.clips_in_system(record),
        memory=load_charts.memory(record),
        settings=flat(record.settings),
        machine=flat({key: machine[key] for key in ("machine", "python", "reelbench", "code") if key in machine}),
    )
    write_text(target or path / PAGE, html)
    return target or path / PAGE
