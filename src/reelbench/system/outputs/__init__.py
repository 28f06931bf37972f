"""What people and other programs take from a system run: JSON, tables, subtitles, COCO (docs/outputs.md).

``WRITERS`` has a function for each format: it takes the run's folder and the folder to write to, and says what it wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from reelbench.system.folder import SystemFolder
from reelbench.system.outputs.clip_json import write_clip_json
from reelbench.system.outputs.coco import write_coco
from reelbench.system.outputs.reading import Export
from reelbench.system.outputs.subtitles import write_srt, write_vtt
from reelbench.system.outputs.tables import write_jsonl, write_parquet

Writer = Callable[[SystemFolder, Path], Export]

WRITERS: Mapping[str, Writer] = {
    "json": write_clip_json,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
    "vtt": write_vtt,
    "srt": write_srt,
    "coco": write_coco,
}
