"""The self-contained page of a system run: what ran where and when, what held it up, what each analyzer cost and found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from reelbench.bench.record_folder import marked
from reelbench.paths import write_text
from reelbench.report import system_data
from reelbench.report.clip_page import PAGES, page_name
from reelbench.report.render import flat, render
from reelbench.report.system_terminal import predicted, quality, reasons, standing
from reelbench.report.wording import evidence_line
from reelbench.system.folder import SystemFolder

PAGE = "report.html"
LEVELS = {
    "done": "finished",
    "failed": "failed",
    "invalid": "invalid",
    "timed_out": "failed",
    "unavailable": "unavailable",
    "skipped": "unavailable",
}


def write_system_page(path: Path, target: Path | None = None) -> Path:
    """Write the page of the run in ``path`` (``report.html`` there, or ``target``) and return where it is.

    InputError: no folder of a system run, or a damaged one. OutputError: the page cannot be written.
    """
    folder = SystemFolder.open(path)
    record, spans = marked(path, folder.record), folder.spans
    held, waited_s = system_data.held_up(record, spans)
    environment = path / "environment.json"
    machine = json.loads(environment.read_text(encoding="utf-8")) if environment.is_file() else {}
    html = render(
        "system.html.j2",
        title=f"System run: {record.system}, plan {record.plan}",
        record=record,
        totals=record.totals,
        gantt=system_data.gantt(record, spans),
        colours=system_data.colours(record),
        held=held,
        waited_s=waited_s,
        levels=LEVELS,
        quality=quality,
        standing=standing,
        evidence_line=evidence_line,
        evidence={name: _known(item.evidence) for name, item in record.analyzers.items() if item.evidence},
        reasons=reasons(record),
        predicted=predicted(record),
        machine=flat({key: machine[key] for key in ("machine", "python", "reelbench", "code") if key in machine}),
        pages={clip.name: _page_of(path, clip.name) for clip in record.clips},
        tasks=sum(1 for span in spans if span.kind == "task"),
    )
    write_text(target or path / PAGE, html)
    return target or path / PAGE


def _known(evidence: dict[str, Any]) -> list[tuple[str, str]]:
    return flat({key: value for key, value in evidence.items() if value not in ("", None, {})})


def _page_of(folder: Path, clip: str) -> str:
    """The address of the clip's own page, seen from the page of the run; '' where none was written."""
    name = page_name(clip)
    return f"{PAGES}/{quote(name)}" if (folder / PAGES / name).is_file() else ""
