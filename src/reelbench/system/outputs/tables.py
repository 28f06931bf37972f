"""All events of all clips as one table, in JSON Lines and in Parquet; and beside it a table of who finished on which clip.

The second tells an analyzer that found nothing (``events`` 0) from one that did not finish (``events`` null, with a reason).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from reelbench.paths import atomic_path
from reelbench.system.folder import SystemFolder
from reelbench.system.outputs.reading import Export, clip_outputs
from reelbench.system.outputs.records import ClipOutput, Done

if TYPE_CHECKING:
    import pyarrow as pa

EVENTS, STATUS = "events", "status"
Row = dict[str, Any]


def write_jsonl(folder: SystemFolder, out: Path) -> Export:
    """``out``/events.jsonl and status.jsonl, one object a line; ``attributes`` is an object. OutputError: cannot be written."""
    events, status = out / f"{EVENTS}.jsonl", out / f"{STATUS}.jsonl"
    with (
        atomic_path(events) as a,
        atomic_path(status) as b,
        a.open("w", encoding="utf-8") as lines,
        b.open("wb") as rest,
    ):
        for clip in clip_outputs(folder):
            lines.writelines(_line(row) + "\n" for row in event_rows(clip))
            rest.writelines(_line(row).encode() + b"\n" for row in status_rows(clip))
    return Export([events, status])


def write_parquet(folder: SystemFolder, out: Path) -> Export:
    """``out``/events.parquet and status.parquet; ``attributes`` is text that holds JSON. A clip is a row group."""
    import pyarrow.parquet as pq

    events, status = out / f"{EVENTS}.parquet", out / f"{STATUS}.parquet"
    event_schema, status_schema = _schemas()
    with (
        atomic_path(events) as a,
        atomic_path(status) as b,
        pq.ParquetWriter(a, event_schema) as table,
        pq.ParquetWriter(b, status_schema) as rest,
    ):
        for clip in clip_outputs(folder):
            rows = [{**row, "attributes": _text(row["attributes"])} for row in event_rows(clip)]
            table.write_table(_table(rows, event_schema))
            rest.write_table(_table(list(status_rows(clip)), status_schema))
    return Export([events, status])


def event_rows(clip: ClipOutput) -> Iterator[Row]:
    """A flat row for each event; tracks are left out (the box is the best of the interval)."""
    for name, found in clip.analyzers.items():
        if not isinstance(found, Done):
            continue
        for event in found.events:
            x1, y1, x2, y2 = event.box or (None,) * 4
            yield {
                "run": clip.run,
                "clip": clip.clip.name,
                "analyzer": name,
                "variant": found.variant,
                "start_s": event.start_s,
                "end_s": event.end_s,
                "label": event.label,
                "score": event.score,
                "x1": x1,
                "y1": y1,
                "x2": x2,
                "y2": y2,
                "text": event.text,
                "attributes": event.attributes,
            }


def status_rows(clip: ClipOutput) -> Iterator[Row]:
    """A row for each analyzer of the run."""
    for name, found in clip.analyzers.items():
        done = isinstance(found, Done)
        yield {
            "run": clip.run,
            "clip": clip.clip.name,
            "analyzer": name,
            "variant": found.variant,
            "status": found.status,
            "reason": None if isinstance(found, Done) else found.reason,
            "events": len(found.events) if isinstance(found, Done) else None,
            "duration_s": clip.clip.duration_s if done else None,
        }


def _schemas() -> tuple[pa.Schema, pa.Schema]:
    import pyarrow as pa

    text, number = pa.string(), pa.float64()
    who = [(name, text) for name in ("run", "clip", "analyzer", "variant")]
    box = [(name, number) for name in ("x1", "y1", "x2", "y2")]
    times: list[tuple[str, Any]] = [("start_s", number), ("end_s", number), ("label", text), ("score", number)]
    events = pa.schema([*who, *times, *box, ("text", text), ("attributes", text)])
    status = pa.schema([*who, ("status", text), ("reason", text), ("events", pa.int64()), ("duration_s", number)])
    return events, status


def _table(rows: list[Row], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_pylist(rows, schema=schema)


def _text(value: Any) -> str:
    """As JSON; a figure that is no number (NaN, infinite) is null."""
    return to_json(value, inf_nan_mode="null").decode()


def _line(row: Row) -> str:
    """JSON on one line for every reader: some also break lines at these three."""
    return _text(row).replace("\u2028", r"\u2028").replace("\u2029", r"\u2029").replace("\x85", r"\u0085")
