"""Docker, where a daemon answers: what ``docker system df`` says of images, containers, volumes and the build cache.

Docker gives rounded sizes, and what lies in them is its own: an item here has no parts, and only Docker's own prune removes anything.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from reelbench.disk.caches.base import Place, Surroundings, item
from reelbench.disk.records import Item
from reelbench.disk.walk import Walk
from reelbench.models.catalog import Class

SOCKET = Path("/var/run/docker.sock")
_SIZE = re.compile(r"([\d.]+)\s*([kKMGTP]?)(i?)B")
_TIMEOUT_S = 10
_CLASSES: dict[str, Class] = {"Images": "refetchable", "Build Cache": "regenerable"}


def places(around: Surroundings) -> Iterable[Place]:
    """The folder of Docker's socket stands for the daemon; none where there is no socket, or no docker to ask it with."""
    if shutil.which("docker") is not None and (os.environ.get("DOCKER_HOST") or SOCKET.exists()):
        yield Place(SOCKET.parent, whole=False)


def read(walk: Walk, around: Surroundings) -> Iterator[Item]:
    import subprocess

    command = ["docker", "system", "df", "--format", "json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return
    if done.returncode != 0:
        return  # no daemon answers
    for line in done.stdout.splitlines():
        try:
            row = json.loads(line)
            kind, size, reclaimable = str(row["Type"]), parse_size(row["Size"]), parse_size(row["Reclaimable"])
        except (ValueError, KeyError, TypeError):
            walk.complain("", f"docker answered what is not understood: {line[:80]}")
            continue
        note = f"{row.get('TotalCount', '?')}, of which {row.get('Active', '?')} in use; Docker calls {row['Reclaimable']} reclaimable"
        for name, part_bytes in ((kind, size - reclaimable), (f"{kind}, unused", reclaimable)):
            busy = "Docker uses it" if name == kind else ""
            found = item(walk, name, [], "image", _CLASSES.get(kind, "irreplaceable"), busy=busy, note=note)
            yield replace(found, bytes=part_bytes, logical_bytes=part_bytes)


def parse_size(text: str) -> int:
    """Bytes of Docker's words for a size ('1.2GB', '0B', '512.4MB (40%)'). Raises ValueError for any others."""
    found = _SIZE.match(text)
    if found is None:
        raise ValueError(f"'{text}' is no size")
    amount, prefix, binary = found.groups()
    step: float = 1024.0 if binary else 1000.0
    return round(float(amount) * step ** " KMGTP".index(prefix.upper() or " "))
