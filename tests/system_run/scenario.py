"""A system of three actors on a folder of clips, for tests here; ``python -m system_run.scenario`` runs it in a process that can be
killed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from reelbench.bench.progress import Silent
from reelbench.config import validate
from reelbench.media.probing import probe
from reelbench.paths import conf_dir
from reelbench.system import setup
from reelbench.system.config import Composed, PlanConfig, SystemConfig
from reelbench.system.folder import SystemFolder
from reelbench.system.runner import run_system
from support.run_configs import run_node

from .actors import lasting

# What is downstream comes first, so that the order in the file cannot be what makes it right.
ACTORS: dict[str, dict[str, Any]] = {
    "judge": {"size": 0, "waits_for": ["eye"], "likes": ["ear"]},
    "eye": {"size": 32},
    "ear": {"size": 48, "rate": 16000},
}


def composed(
    clips: Path, runs: Path, *, plan: str = "auto", actors: dict[str, dict[str, Any]] | None = None, **system: Any
) -> Composed:
    """``actors`` change single actors (None for one leaves it out), ``faults`` by the name of a clip that lasts like
    no other; ``system`` changes conf/system."""
    import yaml

    found = yaml.safe_load((conf_dir() / "system" / "default.yaml").read_text())
    planned = yaml.safe_load((conf_dir() / "plan" / "auto.yaml").read_text())
    if plan != "auto":
        planned |= {
            k: v
            for k, v in yaml.safe_load((conf_dir() / "plan" / f"{plan}.yaml").read_text()).items()
            if k != "defaults"
        }
    changed = actors or {}
    configs = {
        name: validate(_one(name, {**settings, **(changed.get(name) or {})}, clips, runs), "plain")
        for name, settings in ACTORS.items()
        if changed.get(name, {}) is not None
    }
    base = next(iter(configs.values()))
    return Composed(
        SystemConfig.model_validate(found | {"check_copy": False} | system),
        PlanConfig.model_validate(planned),
        base,
        configs,
    )


def _one(name: str, settings: dict[str, Any], clips: Path, runs: Path) -> dict[str, Any]:
    node = {"_target_": "system_run.actors.Actor", "_convert_": "all"}
    if faults := settings.get("faults"):
        known = {lasting(probe(clips / clip).duration_s): fault for clip, fault in faults.items()}
        assert len(known) == len(faults), "an actor tells clips apart by how long they last"
        settings = {**settings, "faults": known}
    return run_node({**node, "name": name, "called": name, **settings}, clips, runs)


def outcome(folder: SystemFolder) -> dict[str, Any]:
    """All that must be equal however a run came to its end: every status, and the bytes of every result."""
    record = folder.record
    states = {f"{n}/{clip}": o.status for n, a in record.analyzers.items() for clip, o in a.outcomes.items()}
    results = {p.relative_to(folder.path).as_posix(): p.read_text() for p in sorted(folder.path.glob("results/*/*"))}
    return {"states": states, "results": results}


def same_code() -> dict[str, Any]:
    """An environment that stays the same while somebody edits the checkout: a changed one would rightly begin anew."""
    return {"fingerprint": "test", "reelbench": "test", "code": {}, "packages": {}}


if __name__ == "__main__":
    setup.environment = same_code
    run_system(composed(Path(sys.argv[1]), Path(sys.argv[2]), **json.loads(sys.argv[3])), "test", Silent())
