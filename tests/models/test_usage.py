"""The record of last uses is a hint: it remembers what it can, and nothing that happens to it is an error."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from reelbench.models.usage import FILE, Usage


def test_the_latest_use_of_each_is_remembered(tmp_path: Path) -> None:
    usage = Usage(tmp_path)
    assert usage.last() == {}
    usage.record(["weights:a/b", "weights:a/b", "derived:x"], at=100.0)
    usage.record(["weights:a/b"], at=300.0)
    usage.record(["weights:a/b"], at=200.0)
    assert Usage(tmp_path).last() == {"weights:a/b": 300.0, "derived:x": 100.0}


def test_several_at_once_lose_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: Usage(tmp_path).record([f"weights:{number}"]), range(40)))
    assert len(Usage(tmp_path).last()) == 40


def test_a_damaged_locked_or_absent_record_is_no_error(tmp_path: Path) -> None:
    Usage(tmp_path / "absent").record(["weights:a"])
    assert not (tmp_path / "absent").exists()
    (tmp_path / FILE).write_bytes(b"not a database" * 100)
    Usage(tmp_path).record(["weights:a"])
    assert Usage(tmp_path).last() == {}
    (tmp_path / FILE).unlink()
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("create table used (something text)")
    Usage(tmp_path).record(["weights:a"])
    assert Usage(tmp_path).last() == {}
