"""What a run uses cannot be deleted under it, and a disk without room stops it before it fails."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import yaml

from reelbench.bench.run_folder import RunFolder, read_record
from reelbench.bench.runner import measure
from reelbench.errors import OutputError
from reelbench.models import space
from reelbench.models.leases import alone
from reelbench.models.space import Need, require
from reelbench.models.usage import Usage
from reelbench.system.patience import Patient
from reelbench.system.plans import OneByOne, Resources
from support.clips import make_clip
from support.run_configs import Told, brightness_config

CONTENT = b"weights" * 1000
RUN = """
import sys
from pathlib import Path
from reelbench.bench.runner import measure
from support.run_configs import Told, brightness_config
base = Path(sys.argv[1])
target = {"_target_": "support.disks_analyzers.Holds", "weights": ["net/net.bin"]}
target |= {"started": str(base / "started"), "go": str(base / "go")}
measure(brightness_config(base / "clips", base / "runs", **target), [], "test", Told())
"""


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with one artifact, a catalog that knows it, one clip."""
    entry = {"bytes": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest(), "sources": [{"file": "/nowhere"}]}
    family = {"title": "A net", "licence": "MIT", "class": "refetchable", "artifacts": {"net/net.bin": entry}}
    for folder in ("conf/weights", "store/net", "clips"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "conf" / "weights" / "net.yaml").write_text(yaml.safe_dump(family))
    (tmp_path / "store" / "net" / "net.bin").write_bytes(CONTENT)
    make_clip(tmp_path / "clips" / "a.mp4", frames=10)
    monkeypatch.setenv("REELBENCH_CATALOG", str(tmp_path / "conf"))
    monkeypatch.setenv("REELBENCH_MODEL_STORE", str(tmp_path / "store"))
    return tmp_path


def deletable(path: Path) -> bool:
    with alone(path) as free:
        return free


def until(true: Callable[[], bool], seconds: float = 240.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def gone(pid: int) -> bool:
    """A process whose new parent has not asked how it ended counts as gone."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_weights_cannot_be_deleted_while_a_run_or_its_worker_lives_and_can_after_kill_9(base: Path) -> None:
    weights, built = base / "store" / "net" / "net.bin", base / "store" / "derived" / "built"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    before = time.time()
    run = subprocess.Popen([sys.executable, "-c", RUN, str(base)], env=environment)
    try:
        until(lambda: (base / "started").is_file() or run.poll() is not None)
        worker = int((base / "started").read_text())
        assert not deletable(weights) and not deletable(built)
        run.send_signal(signal.SIGKILL)
        run.wait()
        until(lambda: deletable(weights) and deletable(built))  # the kernel ended the worker with it
        until(lambda: gone(worker))
    finally:
        run.kill()
        run.wait()
        (base / "go").touch()
    assert before <= Usage(base / "store").last()["weights:net/net.bin"] <= time.time()


def test_weights_can_be_deleted_after_a_run(base: Path) -> None:
    (base / "go").touch()
    folder = measure(_holding(base), [], "test", Told())
    assert folder.record.status == "finished"
    del folder
    assert deletable(base / "store" / "net" / "net.bin")


def _holding(base: Path) -> object:
    files = {"started": str(base / "started"), "go": str(base / "go")}
    return brightness_config(
        base / "clips", base / "runs", _target_="support.disks_analyzers.Holds", weights=["net/net.bin"], **files
    )


def _short_of_room(monkeypatch: pytest.MonkeyPatch, left: list[int]) -> None:
    """The disk has this much room, each time that it is asked; the last answer stays."""
    monkeypatch.setattr(space, "free", lambda _: left.pop(0) if len(left) > 1 else left[0])
    monkeypatch.setattr(space, "LOOK_EVERY_S", 0.01)


def test_a_run_pauses_while_the_disk_is_low_and_goes_on(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plenty = 10**12
    _short_of_room(monkeypatch, [plenty, 10**6, 10**6, 10**6, 10**6, plenty])
    told = Told()
    folder = measure(brightness_config(base / "clips", base / "runs"), [], "test", told)
    assert folder.record.status == "finished"
    paused = [line for line in told.messages if "paused" in line or "going on" in line]
    assert len(paused) == 2 and "1 MB free" in paused[0] and "200 MB" in paused[0]


def test_a_run_stops_where_that_is_wanted_and_keeps_what_it_measured(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plenty = 10**12
    _short_of_room(monkeypatch, [plenty, 10**6])
    config = brightness_config(base / "clips", base / "runs").model_copy(update={"on_disk_low": "fail"})
    with pytest.raises(OutputError, match="disk low"):
        measure(config, [], "test", Told())
    (folder,) = (base / "runs").glob("*/run.json")
    assert read_record(folder.parent).status == "interrupted"
    assert RunFolder.open(folder.parent).passes() == {"a.mp4": 1}


def test_a_run_that_does_not_fit_is_refused_before_anything_is_fetched(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (base / "store" / "net" / "net.bin").unlink()
    _short_of_room(monkeypatch, [200_000_000 + len(CONTENT) - 1])
    with pytest.raises(OutputError, match="weights and clips") as caught:
        measure(_holding(base).model_copy(update={"download": True}), [], "test", Told())  # type: ignore[attr-defined]
    assert "results 200 MB" in caught.value.message
    assert not (base / "runs").exists()


def test_needs_of_one_disk_are_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _short_of_room(monkeypatch, [100 * 10**6])
    require([Need(tmp_path / "a" / "b", 60 * 10**6, "weights"), Need(tmp_path, 40 * 10**6, "results")])
    with pytest.raises(OutputError, match="weights 61 MB, results 40 MB"):
        require([Need(tmp_path / "a" / "b", 61 * 10**6, "weights"), Need(tmp_path, 40 * 10**6, "results")])


def test_a_plan_lets_what_runs_end_and_then_waits_for_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    plan = Patient(OneByOne(), space.LowDisk([tmp_path], 100, "pause", told.append))
    ready, running = [object()], [object()]
    _short_of_room(monkeypatch, [10])
    assert plan.next(ready, running, Resources((0,))) is None and not told  # type: ignore[arg-type]
    _short_of_room(monkeypatch, [10, 10, 10, 1000])
    assert plan.next(ready, [], Resources((0,))) is ready[0]  # type: ignore[arg-type, comparison-overlap]
    assert len(told) == 2
