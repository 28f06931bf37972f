"""The page of a clip: the video, what every analyzer found beneath it in time, and over it in place.

Nothing is loaded but the video, which lies beside the page or, where it is small and that is asked for, inside it.
"""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import os
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from reelbench.bench.records import ClipRecord
from reelbench.bench.run_folder import safe_name
from reelbench.encoding import path_of
from reelbench.paths import describe_os_error, write_text
from reelbench.report.clip_lanes import Timeline, timeline
from reelbench.report.render import render
from reelbench.system.folder import SystemFolder
from reelbench.system.outputs.reading import Export, clip_output

PAGES = "clips"
"""The folder of the pages in the folder of their run."""

EMBED_BYTES = 24_000_000
_SHOWN = 640
_UNKNOWN_SIZE = (720, 1280)
_TICKS = 8
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)


def page_name(clip: str) -> str:
    """The file name of a clip's page."""
    return f"{safe_name(clip)}.html"


def write_clip_pages(folder: SystemFolder, out: Path, embed: bool = False) -> Export:
    """A page for each clip of the run in ``out``. With ``embed`` videos of up to 24 MB are put into their page.

    OutputError where a page cannot be written.
    """
    done = Export()
    for clip in folder.record.clips:
        target = out / page_name(clip.name)
        html, note = clip_page(folder, clip, target, embed=embed)
        write_text(target, html)
        done.files.append(target)
        if note:
            done.notes.append(f"{clip.name}: {note}")
    return done


def clip_page(folder: SystemFolder, clip: ClipRecord, target: Path, embed: bool = False) -> tuple[str, str]:
    """The page as HTML, with the video's address relative to ``target``; and a note where the video is not in it as asked."""
    from jinja2.utils import htmlsafe_json_dumps
    from markupsafe import Markup

    output = clip_output(folder, clip)
    shown = timeline(output)
    size = (clip.width or _UNKNOWN_SIZE[0], clip.height or _UNKNOWN_SIZE[1])
    source, note = _video(path_of(clip.path) if clip.path else None, target, embed)
    style = _packaged("page.css") + _packaged("clip.css")
    page_script, clip_script = _packaged("page.js"), _packaged("clip.js")
    html = render(
        "clip.html.j2",
        title=f"{clip.name}: what every analyzer found",
        # In place of the house's: more style, one script more, and a video from a file, from where the page came, or out of the page.
        style=Markup(style),
        script=Markup(page_script),
        clip_script=Markup(clip_script),
        policy=(
            "default-src 'none'; img-src data:; media-src 'self' file: data:; base-uri 'none'; form-action 'none'; "
            f"style-src '{_hash(style)}'; script-src '{_hash(page_script)}' '{_hash(clip_script)}'"
        ),
        output=output,
        shown=shown,
        ticks=ticks(shown),
        data=htmlsafe_json_dumps(shown.data(size)),
        size=size,
        stage=_stage(size),
        source=source,
        video_note=note,
        back=_back(folder, target),
    )
    return html, note


def ticks(shown: Timeline) -> list[tuple[float, str]]:
    """Round instants on the ruler as (percent, label)."""
    step = next((s for s in _STEPS_S if shown.duration_s / s <= _TICKS), _STEPS_S[-1])
    found = []
    for at in range(int(shown.duration_s / step + 1e-9) + 1):
        seconds = at * step
        label = f"{seconds:g} s" if shown.duration_s < 100 else f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
        found.append((100 * seconds / shown.duration_s, label))
    return found


def _stage(size: tuple[int, int]) -> tuple[int, int]:
    """How large the picture is shown where there is room: its longer side is always the same."""
    factor = _SHOWN / max(size)
    return round(size[0] * factor), round(size[1] * factor)


def _video(path: Path | None, target: Path, embed: bool) -> tuple[str, str]:
    """The address of the video for the page at ``target``, and a note: why it is not there, or not inside."""
    if path is None or not path.is_file():
        return "", "the video is not where it was when the run was made, so the page has none"
    where = quote(os.fsencode(os.path.relpath(path.absolute(), target.absolute().parent)))
    if not embed:
        return where, ""
    if path.stat().st_size > EMBED_BYTES:
        return where, f"the video is larger than {EMBED_BYTES // 1_000_000} MB: it stays beside the page"
    try:
        content = base64.b64encode(path.read_bytes()).decode()
    except OSError as error:
        raise describe_os_error(error, path, "cannot read") from error
    return f"data:{mimetypes.guess_type(path.name)[0] or 'video/mp4'};base64,{content}", ""


def _back(folder: SystemFolder, target: Path) -> str:
    """The address of the run's page, where the pages lie in its folder (elsewhere it would lead nowhere once they are moved)."""
    root = folder.path.absolute()
    return (
        quote(os.fsencode(os.path.relpath(root / "report.html", target.absolute().parent)))
        if _inside(target.absolute(), root)
        else ""
    )


def _inside(path: Path, root: Path) -> bool:
    return root in path.parents


def _packaged(name: str) -> str:
    return (files("reelbench.report") / "templates" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
