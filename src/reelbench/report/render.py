"""From values to HTML: the templates, their filters, and what makes a page self-contained and deaf to hostile names.

Style, script, pictures and figures are inside the file, and its content security policy forbids it to load anything.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from reelbench.report import placement, wording
from reelbench.report.thumbnails import SampledFrame

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, **values: Any) -> str:
    """A template of this package as a whole page."""
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
    for name in ("number", "percent", "score", "megabytes", "moment", "size"):
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


def picture(frame: SampledFrame, shown_width: float = placement.SHOWN_WIDTH) -> dict[str, Any]:
    """A frame as the templates' ``picture`` wants it; ``shown_width``: about how many pixels wide the page shows it."""
    found = ", ".join(f"{box.label} {box.score:.2f}" for box in frame.found if box.score is not None)
    return {
        "frame": frame,
        "labels": placement.labels(frame, shown_width),
        "font": placement.font_size(frame, shown_width),
        "source": "data:image/jpeg;base64," + base64.b64encode(frame.jpeg).decode(),
        "alt": f"Frame at {frame.t_s:.2f} s. Found: {found or 'nothing'}.",
    }
