"""One JSON file for each clip."""

from __future__ import annotations

from pathlib import Path

from reelbench.bench.run_folder import safe_name
from reelbench.paths import write_text
from reelbench.system.folder import SystemFolder
from reelbench.system.outputs.reading import Export, clip_outputs


def write_clip_json(folder: SystemFolder, out: Path) -> Export:
    """``out``/<clip>.json after docs/clip.schema.json. OutputError where one cannot be written."""
    done = Export()
    for clip in clip_outputs(folder):
        target = out / f"{safe_name(clip.clip.name)}.json"
        write_text(target, clip.model_dump_json(indent=1), exact=True)
        done.files.append(target)
    return done
