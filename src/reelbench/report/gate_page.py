"""The page of a gate: every check, and links to the pages of the comparisons behind them."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from reelbench.comparison.gate.records import CheckResult, GateRecord
from reelbench.paths import write_text
from reelbench.report.gate_report import EXIT_WORDS, check_lines, foot_lines, judging_lines, raised_lines
from reelbench.report.render import render

PAGE = "report.html"
LEVELS = {"passed": "good", "failed": "bad", "invalid": "bad"} | dict.fromkeys(
    ("inconclusive", "unavailable", "running", "interrupted"), "warn"
)


def write_gate_page(record: GateRecord, target: Path) -> Path:
    """Write the page and return its path. Links lead from there to the comparisons' pages, wherever both are moved together."""
    links = {check.page: _link(check, target) for check in record.checks if check.page}
    html = render(
        "gate.html.j2",
        title=f"Gate {record.policy}: {record.b.label} against {record.a.label}",
        record=record,
        level=LEVELS[record.status],
        levels=LEVELS,
        exit_words=EXIT_WORDS.get(record.exit_code, ""),
        links=links,
        lines=check_lines,
        foot=foot_lines(record),
        judged=judging_lines(record),
        raised=raised_lines(record),
        questions=("speed", "quality", "memory", "cold start"),
    )
    write_text(target, html)
    return target


def _link(check: CheckResult, target: Path) -> str:
    return quote(Path(os.path.relpath(Path(check.page).absolute(), target.absolute().parent)).as_posix())
