"""Kill -9 at random moments of every long command: the same command then comes to its end, and nothing is left behind.

Two kills of each by default; REELBENCH_SLOW=1 makes it fifty.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from support.clips import make_clip
from support.kills import Victim, die_and_go_on
from support.repositories import Repository
from support.weights import entry, running

from .conftest import ROOT

KILLS = 50 if "REELBENCH_SLOW" in os.environ else 2
CONF = ("--config-dir", str(ROOT / "tests" / "conf"))
OFF = "tracking.uri=off"
PYTHON = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])}
CONTENT = random.Random(1).randbytes(3_000_000)


def nothing() -> None:
    pass


def emptied(*folders: Path) -> Callable[[], None]:
    def fresh() -> None:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)

    return fresh


@pytest.fixture
def run_victim(clips: Path, tmp_path: Path) -> Victim:
    make_clip(clips / "other.mp4", frames=20)
    base, several = tmp_path / "work", ("measure.repetitions_min=15", "measure.repetitions_max=15")
    settings = ("analyzer=brightness", "variant=plain", "corpus=folder", f"corpus.path={clips}", *several, OFF)

    def done() -> None:
        records = [json.loads(file.read_text()) for file in base.glob("runs/*/run.json")]
        # One that is killed after it finished is not gone on with: there may be several.
        assert {record["status"] for record in records} == {"finished"}, "it did not go on with a killed run"
        assert {clip["repetitions"] for record in records for clip in record["clips"]} == {15}

    return Victim(base, ("run", *CONF, *settings), done, emptied(base / "runs"), environment=PYTHON)


@pytest.fixture
def ab_victim(clips: Path, tmp_path: Path) -> Victim:
    base = tmp_path / "work"
    settings = ("analyzer=brightness", "corpus=folder", f"corpus.path={clips}", "measure=quick", OFF)
    arms = ("measure.pairs.looks=[8]", "a=plain analyzer.burn_ms=6", "b=plain")

    def done() -> None:
        records = [json.loads(file.read_text()) for file in base.glob("runs/comparisons/*/comparison.json")]
        statuses = {record["status"] for record in records}
        assert "finished" in statuses and statuses <= {"finished", "interrupted"}

    return Victim(base, ("ab", *CONF, *settings, *arms), done, emptied(base / "runs"), codes=(0, 3), environment=PYTHON)


@pytest.fixture
def system_victim(clips: Path, tmp_path: Path) -> Victim:
    for name in ("b", "c"):
        make_clip(clips / f"{name}.mp4", frames=20)
    base = tmp_path / "work"
    system = ("system.analyzers=[brightness,echo]", "system.variant=plain", f"system.scratch={base / 'spool'}")
    settings = ("corpus=folder", f"corpus.path={clips}", OFF)

    def done() -> None:
        files = list(base.glob("runs/system/*/system.json"))
        assert {json.loads(file.read_text())["status"] for file in files} == {"finished"}
        assert all(len(list(file.parent.glob("results/*/*.json"))) == 6 for file in files)

    (base / "spool").mkdir(parents=True)
    return Victim(base, ("system", *CONF, *system, *settings), done, emptied(base / "runs"), environment=PYTHON)


@pytest.fixture
def gate_victim(tmp_path: Path) -> Victim:
    repository = Repository(tmp_path / "checkout")
    repository.clips()
    base, cache = tmp_path, tmp_path / "cache"
    words = ("gate", "bare", "--against", "HEAD", "corpus.path=clips", OFF, "--uncalibrated")

    def done() -> None:
        records = [json.loads(file.read_text()) for file in repository.root.glob("runs/gates/*/gate.json")]
        assert "passed" in [record["status"] for record in records if not record["interrupted"]]
        assert {r["status"] for r in records if r["interrupted"]} <= {"interrupted"}
        assert not list((cache / "reelbench" / "gate" / "worktrees").iterdir())
        assert len(repository.git("worktree", "list").splitlines()) == 1

    environment = {
        "PYTHONPATH": str(repository.root / "src"),
        "XDG_CACHE_HOME": str(cache),
        "REELBENCH_CALIBRATION": str(tmp_path / "calibration"),
        "REELBENCH_MODEL_STORE": str(repository.root / "model_store"),
    }
    fresh = emptied(repository.root / "runs", cache)
    return Victim(base, words, done, fresh, codes=(0, 3), environment=environment, cwd=repository.root)


@pytest.fixture
def pull_victim(tmp_path: Path) -> Iterator[Victim]:
    base = tmp_path / "work"
    with running() as server:
        server.chunk_delay_s = 0.005
        _catalog(tmp_path / "conf", server.serve("/a", CONTENT))
        environment = {"REELBENCH_CATALOG": str(tmp_path / "conf"), "REELBENCH_MODEL_STORE": str(base / "store")}
        words = ("models", "pull", "kills/a.bin")
        yield Victim(base, words, _whole(base), emptied(base / "store"), environment=environment)


@pytest.fixture
def import_victim(tmp_path: Path) -> Victim:
    from reelbench.models import bundle
    from reelbench.models.catalog import Catalog
    from reelbench.models.store import ModelStore

    _catalog(tmp_path / "conf", "http://127.0.0.1:9/a")
    there = tmp_path / "there" / "kills" / "a.bin"
    there.parent.mkdir(parents=True)
    there.write_bytes(CONTENT)
    catalog = Catalog.load(tmp_path / "conf")
    bundle.export(
        ModelStore(tmp_path / "there", catalog), ["kills/a.bin"], tmp_path / "b.tar", None, [tmp_path / "conf/weights"]
    )
    base = tmp_path / "work"
    environment = {"REELBENCH_CATALOG": str(tmp_path / "conf"), "REELBENCH_MODEL_STORE": str(base / "store")}
    words = ("models", "bundle", "import", str(tmp_path / "b.tar"))
    return Victim(base, words, _whole(base), emptied(base / "store"), environment=environment)


def _catalog(conf: Path, address: str) -> None:
    (conf / "weights").mkdir(parents=True)
    about = {"title": "A net", "licence": "MIT", "class": "refetchable"}
    artifacts = {"kills/a.bin": entry(CONTENT, {"https": address})}
    (conf / "weights" / "kills.yaml").write_text(yaml.safe_dump({**about, "artifacts": artifacts}))


def _whole(base: Path) -> Callable[[], None]:
    def done() -> None:
        assert (base / "store" / "kills" / "a.bin").read_bytes() == CONTENT
        assert not (base / "store" / ".partial").exists()

    return done


@pytest.mark.timeout(6000)
@pytest.mark.parametrize("command", ["run", "ab", "system", "gate", "pull", "import"])
def test_a_command_that_is_killed_ends_well_the_next_time(command: str, request: pytest.FixtureRequest) -> None:
    victim: Victim = request.getfixturevalue(f"{command}_victim")
    found = die_and_go_on(victim, KILLS, seed=len(command))
    print(f"{command}: {found}")
    assert found["kills"] == KILLS
