"""WebVTT (https://www.w3.org/TR/webvtt1/) and SubRip files of the transcript and of the texts on the picture.

A file is written where the analyzer finished, also when it found nothing; where it did not, there is no file, and a note says why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from reelbench.bench.run_folder import safe_name
from reelbench.paths import write_text
from reelbench.system.folder import SystemFolder
from reelbench.system.outputs.cues import OVERLAYS, SPEECH, Cue, overlay_cues, speech_cues
from reelbench.system.outputs.reading import Export, clip_outputs

_KINDS = ((SPEECH, "transcript", speech_cues), (OVERLAYS, "overlays", overlay_cues))


def write_vtt(folder: SystemFolder, out: Path) -> Export:
    """``out``/<clip>.transcript.vtt and <clip>.overlays.vtt. OutputError where one cannot be written."""
    return _write(folder, out, "vtt", webvtt)


def write_srt(folder: SystemFolder, out: Path) -> Export:
    """The same as SubRip. OutputError where one cannot be written."""
    return _write(folder, out, "srt", subrip)


def webvtt(cues: Sequence[Cue]) -> str:
    """A WebVTT file. Markup in a text is escaped, so that it reads back as it was."""
    blocks = [f"{_time(cue.start_ms, '.')} --> {_time(cue.end_ms, '.')}\n{_escaped(cue.text)}\n" for cue in cues]
    return "\n".join(["WEBVTT\n", *blocks])


def subrip(cues: Sequence[Cue]) -> str:
    """A SubRip file. The format cannot escape: where players would see markup, a space keeps them from it."""
    blocks = [
        f"{number}\n{_time(cue.start_ms, ',')} --> {_time(cue.end_ms, ',')}\n{without_markup(cue.text)}\n"
        for number, cue in enumerate(cues, start=1)
    ]
    return "\n".join(blocks)


def without_markup(text: str) -> str:
    """``text`` with a space where SubRip players would read a time line ('-->'), a tag ('<b>') or a style ('{\\an8}')."""
    return re.sub(r"--(?=>)|<(?=[/!?A-Za-z])|\{(?=\\)", lambda found: f"{found.group()} ", text)


def _write(folder: SystemFolder, out: Path, ending: str, whole: Callable[[Sequence[Cue]], str]) -> Export:
    done = Export()
    for clip in clip_outputs(folder):
        for analyzer, kind, cues in _KINDS:
            found = clip.done(analyzer)
            target = out / f"{safe_name(clip.clip.name)}.{kind}.{ending}"
            if found is None:
                done.notes.append(f"{clip.clip.name}: no {target.name}: {clip.why_not(analyzer)}")
                continue
            write_text(target, whole(cues(found.events)), exact=True)
            done.files.append(target)
    return done


def _time(ms: int, point: str) -> str:
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{ms:03d}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
