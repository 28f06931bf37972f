"""A key that names what was measured covers the analyzer's own modules, wherever they lie, and the ground truth."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from reelbench.bench.own_code import own_code, own_files
from reelbench.bench.restarting import LoadFailed
from reelbench.bench.run_folder import RunFolder
from reelbench.bench.runner import measure
from reelbench.config import RunConfig, validate
from support.clips import make_clip
from support.run_configs import Told, run_node

ANALYZER = """
from support.analyzers import Brightness
from {package}.parts.level import LEVEL
from . import shared

class Mine(Brightness):
    level = LEVEL

    def analyze(self, material):
        import {package}.late
        found = super().analyze(material)
        return found.model_copy(update={{"events": found.events[: {package}.late.MOST]}})
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A package of the user's own that no repository tracks, on the search path; its name is its own in each test."""
    name = f"mine_{abs(hash(request.node.name)) % 10**8}"
    package = tmp_path / "project" / name
    (package / "parts").mkdir(parents=True)
    for file in ("__init__.py", "parts/__init__.py", "shared.py", "unrelated.py"):
        (package / file).write_text("")
    (package / "parts" / "level.py").write_text("LEVEL = 1\n")
    (package / "late.py").write_text("MOST = 5\n")
    (package / "analyzer.py").write_text(ANALYZER.format(package=name))
    monkeypatch.syspath_prepend(str(tmp_path / "project"))
    return package


def target(project: Path) -> str:
    return f"{project.name}.analyzer.Mine"


@pytest.mark.parametrize("file", ["analyzer.py", "parts/level.py", "late.py", "shared.py", "__init__.py"])
def test_a_change_of_any_module_that_the_analyzer_imports_changes_the_hash(project: Path, file: str) -> None:
    node = {"_target_": target(project)}
    before = own_code(node)
    assert own_code(node) == before
    (project / "unrelated.py").write_text("X = 1\n")
    assert own_code(node) == before
    with (project / file).open("a") as opened:
        opened.write("# changed\n")
    assert own_code(node) != before
    assert target(project) not in sys.modules and f"{project.name}.late" not in sys.modules  # nothing was imported


def test_installed_packages_and_the_rest_of_this_one_are_left_to_their_versions(project: Path) -> None:
    with (project / "analyzer.py").open("a") as opened:
        opened.write("import json, numpy, pydantic, reelbench.results\n")
    inside = {
        "_target_": "reelbench.analyzers.object_detection.ObjectDetection",
        "engine": {"_target_": target(project)},
    }
    names = {path.name for path in own_files(inside)}
    assert names >= {"object_detection.py", "analyzer.py", "late.py", "level.py", "analyzers.py"}
    assert not {"results.py", "decoder.py"} & names
    assert not any("site-packages" in str(path) or sys.base_prefix in str(path) for path in own_files(inside))


def test_a_module_that_is_no_python_still_counts(project: Path) -> None:
    before = own_code({"_target_": target(project)})
    (project / "late.py").write_text("MOST = (\n")
    assert own_code({"_target_": target(project)}) != before


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4"):
        make_clip(folder / name, frames=20)
        (folder / name).with_suffix(".truth.json").write_text(json.dumps({"objects": []}))
    return folder


def config(project: Path, clips: Path) -> RunConfig:
    node = {"_target_": target(project), "name": "mine"}
    return validate(run_node(node, clips, clips.parent / "runs", passes=3), "plain")


def cut_off(project: Path, clips: Path) -> RunFolder:
    """A run that has one of three passes over each clip."""
    folder = measure(config(project, clips), [], "test", Told())
    folder.samples = [row for row in folder.samples if row["kind"] == "warmup" or row["repetition"] == 0]
    folder.frames = [row for row in folder.frames if row["repetition"] == 0]
    folder.record.status, folder.record.summary = "interrupted", {}
    for clip in folder.record.clips:
        clip.repetitions = 1
    folder.save()
    folder._lock.release()  # type: ignore[union-attr]
    return folder


def passes(folder: Path, kind: str) -> Counter[str]:
    return Counter(row["clip"] for row in pq.read_table(folder / "samples.parquet").to_pylist() if row["kind"] == kind)


def test_a_run_is_gone_on_with_only_by_the_same_code_and_ground_truth(project: Path, clips: Path) -> None:
    first = cut_off(project, clips)
    (project / "late.py").write_text("MOST = 4\n")
    assert measure(config(project, clips), [], "test", Told()).path != first.path
    (project / "late.py").write_text("MOST = 5\n")
    (clips / "a.truth.json").write_text(json.dumps({"objects": [], "cuts": []}))
    assert measure(config(project, clips), [], "test", Told()).path != first.path
    (clips / "a.truth.json").write_text(json.dumps({"objects": []}, indent=2))  # the same, laid out otherwise
    assert measure(config(project, clips), [], "test", Told()).path == first.path
    assert passes(first.path, "timed") == {"a.mp4": 3, "b.mp4": 3}


def test_a_clip_that_finds_something_else_when_it_is_gone_on_with_is_measured_anew(project: Path, clips: Path) -> None:
    first = cut_off(project, clips)
    kept = first.path / "results" / "a.mp4.json"
    result = json.loads(kept.read_text())
    kept.write_text(json.dumps({**result, "events": result["events"][:2]}))
    again = measure(config(project, clips), [], "test", Told())
    assert again.path == first.path
    assert passes(first.path, "timed") == {"a.mp4": 3, "b.mp4": 3}
    old = {row["started"] for row in first.samples if row["kind"] == "timed" and row["clip"] == "a.mp4"}
    rows = pq.read_table(first.path / "samples.parquet").to_pylist()
    assert {row["kind"] for row in rows if row["started"] in old} == {"warmup"}
    assert any(note.startswith("a.mp4: measured anew") for note in again.record.notes)
    assert not any(note.startswith("b.mp4") for note in again.record.notes)
    assert json.loads(kept.read_text()) == result


def test_a_fresh_worker_never_goes_on_with_other_code(project: Path, clips: Path) -> None:
    """The analyzer is edited while it is measured, and its process dies."""
    (project / "late.py").write_text("from pathlib import Path\nMOST = 5\nme = Path(__file__)\n")
    (project / "analyzer.py").write_text(
        ANALYZER.format(package=project.name).replace(
            "        found = super()",
            "        if self._passes == 3:\n"
            f"            {project.name}.late.me.write_text('MOST = 3\\n')\n"
            "            __import__('os')._exit(3)\n"
            "        found = super()",
        )
    )
    node = {"_target_": target(project), "name": "mine"}
    made = validate(run_node(node, clips, clips.parent / "runs", passes=3), "plain")
    with pytest.raises(LoadFailed, match="code was changed while it was measured"):
        measure(made, [], "test", Told())
