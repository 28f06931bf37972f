"""The model store and the disks: what lies there, whether it is whole, and whether more fits."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from reelbench.doctor.findings import Finding
from reelbench.engines.lowered import refused_networks
from reelbench.errors import ReelBenchError
from reelbench.paths import store_dir

LEAST_FREE = 2e9


def findings() -> Iterator[Finding]:
    root = store_dir()
    yield _weights(root)
    yield _derived(root)
    yield from _disks(root)


def _weights(root: Path) -> Finding:
    """Without reading files again: sizes, and hashes that are remembered."""
    from reelbench.models.store import ModelStore

    if not root.is_dir():
        return Finding("model store", "ok", f"{root} is not there yet; the first command makes it")
    try:
        store = ModelStore(root)
        found = [store.status(artifact) for artifact in store.catalog.artifacts]
    except ReelBenchError as error:
        return Finding("model store", "wrong", error.message, error.hint)
    counted = Counter(one.state for one in found)
    size = sum(one.bytes for one in found if one.state != "missing")
    said = f"{root}: {len(found) - counted['missing']} of {len(found)} files, {size / 1e6:.0f} MB"
    if damaged := [one.id for one in found if one.state == "damaged"]:
        text = f"{said}; damaged: {', '.join(damaged[:5])}"
        return Finding("model store", "wrong", text, f"reelbench models pull {' '.join(damaged[:5])}")
    if not os.access(root, os.W_OK):
        return Finding("model store", "look", f"{said}, read-only: nothing can be fetched or converted")
    return Finding("model store", "ok", f"{said}, none damaged ('reelbench models verify' reads every byte)")


def _derived(root: Path) -> Finding:
    """What was converted: leftovers of killed processes, and networks that failed their comparison with FP32 here."""
    folders = [path for path in (root / "derived").glob("*") if path.is_dir()]
    parts = [path for path in root.glob("derived/*/.*.part*") if path.is_file()]
    if refused := refused_networks(root / "derived"):
        text = f"{len(refused)} network computes something else here than in FP32: {refused[0]}"
        return Finding("derived networks", "look", text, "use a variant in FP32 on this machine")
    if parts:
        return Finding("derived networks", "look", f"{len(parts)} half-written files", "the next prepare removes them")
    return Finding("derived networks", "ok", f"{len(folders)} folders in {root / 'derived'}")


def _disks(root: Path) -> Iterator[Finding]:
    import platformdirs

    places = {"store": root, "cache": Path(platformdirs.user_cache_dir("reelbench")), "runs": Path.cwd()}
    for name, place in places.items():
        there = next(path for path in (place, *place.parents) if path.exists())
        usage = shutil.disk_usage(there)
        said = f"{usage.free / 1e9:.1f} of {usage.total / 1e9:.1f} GB free at {there}"
        if not os.access(there, os.W_OK):
            yield Finding(f"disk of {name}", "look", f"{said}, which cannot be written")
        elif usage.free < LEAST_FREE:
            yield Finding(f"disk of {name}", "look", said, "reelbench disk shows what can go")
        else:
            yield Finding(f"disk of {name}", "ok", said)
