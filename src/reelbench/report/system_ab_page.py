"""The self-contained page of a comparison of two systems: the verdict first, then the pairs and every analyzer."""

from __future__ import annotations

from pathlib import Path

from reelbench.bench.record_folder import marked
from reelbench.paths import write_text
from reelbench.report import ab_charts, ab_wording
from reelbench.report import system_ab_terminal as words
from reelbench.report.render import flat, render
from reelbench.report.run_data import read_environment
from reelbench.report.wording import evidence_line
from reelbench.system.ab.folder import read_system_comparison

PAGE = "report.html"


def write_system_ab_page(path: Path, target: Path | None = None) -> Path:
    """Write the page of the comparison in ``path`` (``report.html`` there, or ``target``) and return where it is.

    InputError: no folder of a comparison of systems, or a damaged one. OutputError: the page cannot be written.
    """
    record = marked(path, read_system_comparison(path))
    view, machine = record.as_comparison(), read_environment(path / "environment.json")
    html = render(
        "system_ab.html.j2",
        title=f"The whole system: {record.b.label} against {record.a.label}",
        record=record,
        words=words,
        level=ab_wording.level(view),
        verdict=ab_wording.verdict_words(view),
        exit_words=ab_wording.EXIT_WORDS.get(record.exit_code, ""),
        change=ab_wording.change,
        interval=ab_wording.interval,
        arms=words.arm_figures(record),
        forest=ab_charts.forest(record.speed.model_copy(update={"per_clip": {}})) if record.speed else None,
        paired=ab_charts.paired(view),
        in_order=ab_charts.in_order(view),
        judged=sorted(record.analyzers.values(), key=lambda one: (not one.invalid, -_SEVERE[one.verdict], one.name)),
        evidence_line=evidence_line,
        machine=flat({key: machine[key] for key in ("machine", "python", "reelbench", "code") if key in machine}),
    )
    write_text(target or path / PAGE, html)
    return target or path / PAGE


_SEVERE = {"not worse": 0, "underpowered": 1, "worse": 2}
