"""MLflow in the registered workspaces: its database, and each run's artifacts (``mlartifacts/``, or ``mlruns/`` without a database).

The database tells which runs MLflow deleted and which folders no run of it leads to; it is opened for reading only.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from urllib.parse import quote

from reelbench.disk.caches.base import Place, Surroundings, in_use, item, unknown
from reelbench.disk.records import Item
from reelbench.disk.walk import Walk

_DATABASE = "mlflow.db"
_FOLDERS = ("mlartifacts", "mlruns")
_RUN = re.compile(r"[0-9a-f]{32}")


def places(around: Surroundings) -> Iterable[Place]:
    for workspace in around.workspaces:
        yield Place(workspace, whole=False, several=True)


def read(walk: Walk, around: Surroundings) -> Iterator[Item]:
    top = {entry.name: entry for entry in walk.entries()}
    runs = _runs(walk) if _DATABASE in top else None
    for name, entry in top.items():
        if name in _FOLDERS and entry.is_dir(follow_symlinks=False):
            for experiment in walk.entries(name):
                yield from _experiment(walk, around, experiment, f"{name}/{experiment.name}", runs)
        elif name.startswith(_DATABASE) and (taken := walk.part(name, entry)) is not None:
            yield item(walk, name, [taken[0]], "artifact", "irreplaceable",
                       logical=taken[1], busy=in_use(around.locked, [taken[0]]), note="MLflow's database")  # fmt: skip


def _experiment(
    walk: Walk, around: Surroundings, entry: os.DirEntry[str], path: str, runs: Mapping[str, str] | None
) -> Iterator[Item]:
    if not entry.is_dir(follow_symlinks=False):
        yield from unknown(walk, [entry], path.rpartition("/")[0])
        return
    for run in walk.entries(path):
        if not (_RUN.fullmatch(run.name) and run.is_dir(follow_symlinks=False)):
            yield from unknown(walk, [run], path)
        elif (taken := walk.part(f"{path}/{run.name}", run)) is not None:
            part, logical = taken
            stage = "active" if runs is None else runs.get(run.name)
            note = {"active": "", None: "no run of MLflow's database leads here"}.get(stage, "deleted in MLflow")
            yield item(walk, part.path, [part], "artifact" if stage else "orphan", "irreplaceable",
                       names=(f"run:{run.name}",), logical=logical, busy=in_use(around.locked, [part]), note=note)  # fmt: skip


def _runs(walk: Walk) -> dict[str, str] | None:
    """Life-cycle stage by run; None where the database cannot be asked, and then no folder is called an orphan."""
    address = f"file:{quote(os.fsencode(walk.path(_DATABASE)))}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=1)) as database:
            return dict(database.execute("SELECT run_uuid, lifecycle_stage FROM runs"))
    except sqlite3.Error:
        return None
