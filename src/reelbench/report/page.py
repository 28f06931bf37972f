"""The self-contained pages: one of a run, one that puts the variants of a sweep side by side.

Style, script, pictures and figures are inside the file, and its content security policy forbids it to load anything: it opens
from a disk, offline, and a hostile clip name in it stays text.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reelbench.bench.records import RunRecord
from reelbench.errors import InputError
from reelbench.paths import write_text
from reelbench.report import charts, figures, placement, wording
from reelbench.report.comparison import Comparison
from reelbench.report.notices import notices, unlike
from reelbench.report.rows import Row
from reelbench.report.run_data import RunData, load_run
from reelbench.report.thumbnails import SampledFrame

if TYPE_CHECKING:
    from jinja2 import Environment

RUN_PAGE = "report.html"
_LONG_LISTS = ("packages",)


def write_run_page(
    folder: Path, frames: Mapping[str, list[SampledFrame]] | None = None, target: Path | None = None
) -> Path:
    """Write the page of a run (``report.html`` in its folder, or ``target``) and return its path.

    ``frames`` are pictures by clip (`reelbench.report.pictures`). InputError: a damaged folder. OutputError: it cannot be written.
    """
    target = target or folder / RUN_PAGE
    write_text(target, run_page(load_run(folder), frames or {}))
    return target


def write_comparison_page(folders: Sequence[Path], target: Path, missing: Sequence[Row] = ()) -> Path:
    """Write one page over several runs of the same analyzer and return ``target``.

    ``missing`` are the variants that left no folder (`Row.failed`). Links to the runs' own pages are relative to ``target``.
    """
    if not folders:
        raise InputError("a comparison page needs at least one run folder")
    runs = [load_run(folder) for folder in folders]
    links = [_link(run.folder / RUN_PAGE, target) for run in runs]
    write_text(target, comparison_page(runs, links, missing))
    return target


def run_page(run: RunData, frames: Mapping[str, list[SampledFrame]]) -> str:
    """The page of one run as HTML."""
    record = run.record
    clips = figures.clip_figures(run)
    phases = figures.corpus_phases(clips)
    return _render(
        "run.html.j2",
        title=f"{record.analyzer} · {wording.variant_name(record.requested, record.effective)}",
        record=record,
        row=Row.of(record),
        s=defaultdict(lambda: None, record.summary),
        notices=notices(record),
        clips=clips,
        phases=phases,
        phase_bars=charts.stacked(phases),
        clip_phases=[(clip, charts.stacked(figures.shares(clip.phases))) for clip in clips if clip.phases],
        clip_scores=clip_scores(record),
        latency=charts.latency(figures.all_steps(run)),
        drift=charts.drift(run),
        passes=[chart for clip in clips if (chart := charts.passes(run, clip.clip.name)) is not None],
        gallery={clip: [_picture(frame) for frame in shown] for clip, shown in frames.items() if shown},
        quality=quality_tables(record),
        evidence=flat({key: value for key, value in record.evidence.items() if value not in ("", None, {})}),
        environment=flat({key: value for key, value in run.environment.items() if key not in _LONG_LISTS}),
        packages=run.environment.get("packages") or {},
        config=run.config,
    )


def comparison_page(runs: Sequence[RunData], links: Sequence[str], missing: Sequence[Row] = ()) -> str:
    """The page over several runs as HTML. ``links`` lead to the runs' own pages; an empty one makes no link."""
    records = [run.record for run in runs]
    names = " and ".join(sorted({record.analyzer for record in records}))
    return _render(
        "comparison.html.j2",
        title=f"{names}: {len(runs) + len(missing)} variants",
        comparison=Comparison.of(runs),
        rows=[Row.of(record, link) for record, link in zip(records, links, strict=True)],
        missing=list(missing),
        records=records,
        unlike=unlike(runs),
        notices=[(record, notices(record, only_bad=True)) for record in records],
        evidence=[flat({k: v for k, v in record.evidence.items() if v not in ("", None, {})}) for record in records],
    )


def quality_tables(record: RunRecord) -> list[dict[str, Any]]:
    """A table of scores for each standard that results were held against: ground truth, and the reference variant."""
    quality = record.quality
    standards = (
        ("Against ground truth", quality.overall, quality.per_clip),
        (f"Agreement with the variant {quality.reference}", quality.agreement, quality.agreement_per_clip),
    )
    tables = []
    for title, overall, per_clip in standards:
        metrics = list(dict.fromkeys([*overall, *(name for scores in per_clip.values() for name in scores)]))
        if metrics:
            tables.append({"title": title, "metrics": metrics, "overall": overall, "per_clip": per_clip})
    return tables


def clip_scores(record: RunRecord) -> list[tuple[str, str, Mapping[str, Mapping[str, float]]]]:
    """The columns of quality in the table of clips: (heading, metric, scores by clip)."""
    quality = record.quality
    columns: list[tuple[str, str, Mapping[str, Mapping[str, float]]]] = []
    if any(quality.primary in scores for scores in quality.per_clip.values()):
        columns.append((wording.metric(quality.primary), quality.primary, quality.per_clip))
    agreement = wording.main_agreement(next(iter(quality.agreement_per_clip.values()), quality.agreement))
    if agreement and quality.agreement_per_clip:
        short = wording.metric(agreement).split(" at ")[0]
        columns.append((f"{short} vs {quality.reference}", agreement, quality.agreement_per_clip))
    return columns


def flat(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested values as (dotted name, text) rows; short lists in one row."""
    rows: list[tuple[str, str]] = []
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, Mapping) and item:
            rows.extend(flat(item, f"{name}."))
        elif isinstance(item, list) and item and isinstance(item[0], Mapping):
            for position, part in enumerate(item):
                rows.extend(flat(part, f"{name}[{position}]."))
        else:
            rows.append((name, _words(item)))
    return rows


def _words(item: object) -> str:
    if item is None or item in ("", [], {}):
        return wording.NONE
    if isinstance(item, list):
        return ", ".join(f"{part:.4g}" if isinstance(part, float) else str(part) for part in item)
    if isinstance(item, bool):
        return "yes" if item else "no"
    return item if isinstance(item, str) else json.dumps(item, ensure_ascii=False, default=str)


def _picture(frame: SampledFrame) -> dict[str, Any]:
    found = ", ".join(f"{box.label} {box.score:.2f}" for box in frame.found if box.score is not None)
    return {
        "frame": frame,
        "labels": placement.labels(frame),
        "font": placement.font_size(frame),
        "source": "data:image/jpeg;base64," + base64.b64encode(frame.jpeg).decode(),
        "alt": f"Frame at {frame.t_s:.2f} s. Found: {found or 'nothing'}.",
    }


def _link(page: Path, target: Path) -> str:
    """The relative address of a run's page, percent-encoded; empty where the run has none."""
    from urllib.parse import quote

    return quote(os.path.relpath(page, target.parent)) if page.is_file() else ""


def _render(template: str, **values: Any) -> str:
    html = _environment().get_template(template).render(**values)
    return html.encode("utf-8", "replace").decode("utf-8")


@cache
def _environment() -> Environment:
    """Templates from the package. Everything is escaped; only what the templates themselves spell is markup."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("reelbench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    style, script = _packaged("page.css"), _packaged("page.js")
    environment.globals |= {
        "style": Markup(style),
        "script": Markup(script),
        "policy": (
            "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
            f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
        ),
        "dash": wording.NONE,
        "metric": wording.metric,
    }
    for name in ("number", "percent", "score", "megabytes", "moment"):
        environment.filters[name] = getattr(wording, name)
    return environment


def _packaged(name: str) -> str:
    return (files("reelbench.report") / "templates" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _printable(value: object) -> object:
    """Plain strings lose what cannot be seen (control and direction characters); markup and numbers pass."""
    if type(value) is not str:
        return value
    return "\n".join(wording.plain(line.replace("\t", "    ")) for line in value.split("\n"))
