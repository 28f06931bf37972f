"""Runs of the whole system, load runs and comparisons of systems in a real MLflow database: every number, once, and never lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from reelbench.bench.manifest import unseal
from reelbench.bench.progress import Silent
from reelbench.cli import main
from reelbench.cli.track import command
from reelbench.config import Tracking
from reelbench.errors import EXIT_OK, EXIT_UNAVAILABLE
from reelbench.load.folder import LoadFolder, read_load
from reelbench.owners import claim
from reelbench.publish import track
from reelbench.system.ab.folder import SystemComparisonFolder, read_system_comparison
from reelbench.system.folder import SystemFolder
from reelbench.tracking.client import TrackingError
from reelbench.tracking.folders import MARKER, log_folder
from reelbench.tracking.kinds import kind_of, kinds
from reelbench.tracking.kinds.system import together
from reelbench.tracking.sync import sync
from support.tracked_systems import tracked_load, tracked_system, tracked_systems_ab


def found(uri: str, tag: str, value: str) -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(everywhere, f"tags.`{tag}` = '{value}'"))


def experiment_of(uri: str, run: Any) -> str:
    from mlflow import MlflowClient

    return str(MlflowClient(uri).get_experiment(run.info.experiment_id).name)


def artifacts(uri: str, run: Any) -> set[str]:
    from mlflow import MlflowClient

    return {file.path for file in MlflowClient(uri).list_artifacts(run.info.run_id)}


def test_a_run_of_the_system_with_every_analyzer_and_clip(tmp_path: Path, uri: str) -> None:
    folder = tracked_system(tmp_path, "sys-whole")
    sent = log_folder(folder, uri, "system")
    [run] = found(uri, "reelbench.system_id", "sys-whole")
    assert run.info.run_id == sent == SystemFolder.open(folder).record.mlflow_run_id
    assert run.info.end_time - run.info.start_time == 5000 and run.info.status == "FINISHED"
    figures = {
        "makespan_s": 4.0, "video_s": 2.0, "x_realtime": 0.5, "cpu_s": 6.0, "decode_share": 0.25, "load_wall_s": 1.0,
        "predicted.makespan_s": 3.5, "analyzers.done": 2, "analyzers.unavailable": 1, "tasks.failed": 0, "tasks.done": 2,
        "analyzer.cuts.cpu_per_video_s": 1.5, "analyzer.cuts.quality": 0.9, "analyzer.cuts.quality.precision": 0.8,
        "clip.a.cuts.quality": 0.7, "clip.a.video_s": 2.0, "exit_code": 0,
    }  # fmt: skip
    assert {name: run.data.metrics[name] for name in figures} == figures
    unmeasured = {"utilisation", "pss_peak_bytes", "analyzer.eye.quality", "analyzer.vlm.cpu_per_video_s"}
    assert not unmeasured & run.data.metrics.keys(), "what was not measured is left out"
    params = {"variant.cuts": "optimized", "plan.name": "auto", "plan.clips_at_once": "2", "corpus": "folder"}
    assert params.items() <= run.data.params.items()
    tags = {"reelbench.kind": "system", "analyzer.cuts.metric": "f1", "machine": "machine", "status": "finished"}
    assert tags.items() <= run.data.tags.items()
    assert Path(run.data.tags["results"]) == folder / "results"
    assert json.loads(run.data.tags["unavailable"]) == {"vlm": "torch is not installed"}
    assert artifacts(uri, run) == {"system.json", "config.yaml", "environment.json"}, "not what was found on each clip"


def test_a_run_that_went_on_is_completed_in_place(tmp_path: Path, uri: str) -> None:
    folder = tracked_system(tmp_path, "sys-on", status="interrupted")
    first = log_folder(folder, uri, "system")
    [run] = found(uri, "reelbench.system_id", "sys-on")
    assert run.info.status == "KILLED" and run.data.metrics["exit_code"] == 130
    changed = SystemFolder.open(folder)
    changed.record.status, changed.record.totals.makespan_s = "finished", 9.0
    assert changed.record.mlflow_run_id == first
    changed.save()
    unseal(folder)  # the totals are made up
    assert log_folder(folder, uri, "elsewhere") == first
    [run] = found(uri, "reelbench.system_id", "sys-on")
    assert run.info.status == "FINISHED" and run.data.metrics["makespan_s"] == 9 and run.data.metrics["exit_code"] == 0


def test_a_load_run_by_kind_of_video(tmp_path: Path, uri: str) -> None:
    folder = tracked_load(tmp_path, "load-whole")
    sent = log_folder(folder, uri, "load")
    [run] = found(uri, "reelbench.load_id", "load-whole")
    assert run.info.run_id == sent == read_load(folder).mlflow_run_id
    figures = {
        "latency_p50_s": 4.0, "latency_p90_s": 8.0, "latency_p99_s": 8.0, "type.music.latency_p50_s": 8.0,
        "type.talking.latency_p99_s": 4.0, "pss_peak_bytes": 1e9, "rate_per_min": 6.0, "queries": 2, "in_system_most": 2,
        "bound.limit_s": 7.0, "bound.found_s": 8.0, "exit_code": 1, "analyzers.unavailable": 1,
    }  # fmt: skip
    assert {name: run.data.metrics[name] for name in figures} == figures
    assert run.data.metrics["per_min"] == pytest.approx(2 / 9 * 60)
    assert {"scenario": "server", "plan": "first_come", "load.rate": "6.0"}.items() <= run.data.params.items()
    assert run.data.tags["bound"] == "broken" and run.data.tags["reelbench.kind"] == "load"
    assert run.data.tags["latency.maximum"].startswith("p90, p99; ")
    assert {"load.json", "queries.csv", "memory.csv", "config.yaml"} <= artifacts(uri, run)
    assert not found(uri, "reelbench.system_id", "run"), "its own run of the system is not sent apart"


def test_a_comparison_of_systems_is_a_parent_with_the_runs_of_its_arms(tmp_path: Path, uri: str) -> None:
    folder = tracked_systems_ab(tmp_path, "ab-whole")
    held = claim(tracked_system(folder / "b", "ab-live", status="running"))
    assert held is not None
    tracked_system(folder / "b", "ab-broken", status="failed")
    sent = log_folder(folder, uri, "system_comparison")
    [run] = found(uri, "reelbench.system_comparison_id", "ab-whole")
    assert run.info.run_id == sent == read_system_comparison(folder).mlflow_run_id
    figures = {"pairs": 7, "a.makespan_s": 8.03, "b.makespan_s": 4.0, "analyzer.cuts.quality_difference": 0.01}
    figures |= {"analyzer.cuts.cpu_per_video_s_b": 0.5, "a.cpu_per_video_s": 3.0, "seconds": 90.0}
    assert {name: run.data.metrics[name] for name in figures} == pytest.approx(figures)
    assert run.data.metrics["speed_low"] < run.data.metrics["speed_ratio"] < run.data.metrics["speed_high"] < 0.51
    tags = {"verdict": "faster", "quality.verdict": "not worse", "analyzer.cuts.quality": "underpowered"}
    tags |= {"analyzer.cuts.metric": "f1", "mlflow.note.content": "B is faster.", "b": "arm b"}
    assert tags.items() <= run.data.tags.items()
    children = {
        child.data.tags["reelbench.system_id"]: child.data.tags for child in found(uri, "mlflow.parentRunId", sent)
    }
    assert children.keys() == {"ab-whole-a", "ab-whole-b", "ab-broken"}, "what still runs is not sent"
    assert {tags["reelbench.arm_of"] for tags in children.values()} == {"ab-whole"}
    assert (children["ab-whole-a"]["arm"], children["ab-whole-a"]["pair"]) == ("a", "1")
    assert children["ab-broken"]["arm"] == "b" and "pair" not in children["ab-broken"]


def test_each_kind_is_kept_where_mlflow_is_away_and_sent_later_where_its_configuration_says(
    tmp_path: Path, uri: str, closed_port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {
        "system": tracked_system(tmp_path, "late-system", uri),
        "load": tracked_load(tmp_path, "late-load", uri),
        "system_comparison": tracked_systems_ab(tmp_path, "late-ab", uri),
    }
    off = tracked_system(tmp_path, "late-off", "off")
    for folder in made.values():
        with pytest.raises(TrackingError) as caught:
            log_folder(folder, closed_port, "system")
        assert caught.value.exit_code == EXIT_UNAVAILABLE and str(folder) in caught.value.message
        assert (folder / MARKER).is_file()
    assert rows(tmp_path) == dict.fromkeys(["late-system", "late-load", "late-ab", "late-off"])
    report = sync(tmp_path)
    assert set(report.sent) == {str(folder) for folder in made.values()} and list(report.skipped) == [str(off)]
    for kind, folder in made.items():
        [run] = found(uri, f"reelbench.{kind}_id", folder.name)
        assert experiment_of(uri, run) == kind and rows(tmp_path)[folder.name] == run.info.run_id
    assert not list(tmp_path.rglob(MARKER)) and sync(tmp_path).sent == {}
    assert sync(tmp_path, uri, everything=True).sent.keys() == {*report.sent, str(off)}
    assert len(found(uri, "reelbench.system_comparison_id", "late-ab")) == 1


def rows(runs: Path) -> dict[str, str | None]:
    done = CliRunner().invoke(command, ["list", "--runs-dir", str(runs), "--json"], standalone_mode=False)
    assert done.return_value == EXIT_OK
    return {row["run"]: row["mlflow"] for row in json.loads(done.stdout)["runs"]}


class Told(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)


def test_a_server_that_is_away_is_one_line_and_off_is_none(tmp_path: Path, uri: str, closed_port: str) -> None:
    away, off = tracked_load(tmp_path, "away", closed_port), tracked_load(tmp_path, "off")
    told = Told()
    assert track(away, told) is None and track(off, told) is None
    [line] = told.said
    assert "cannot be reached" in line and "reelbench track sync" in line and "\n" not in line
    assert (away / MARKER).is_file() and not (off / MARKER).exists()
    assert track(away, told, Tracking(uri="off", experiment="load")) is None and len(told.said) == 1
    assert track(away, told, Tracking(uri=uri, experiment="load")) == read_load(away).mlflow_run_id is not None


ONE = ("system.analyzers=[audio_analysis]",)


@pytest.mark.parametrize(
    ("words", "measured", "kind"),
    [
        (("system", *ONE), "reelbench.system.runner.run_system", "system"),
        (("load", *ONE), "reelbench.load.run.run_load", "load"),
        (("ab", "system", "a=x", "b=y"), "reelbench.system.ab.run.compare_systems", "system_comparison"),
    ],
)
def test_each_command_sends_what_it_measured_and_keeps_its_exit_code(
    words: tuple[str, ...], measured: str, kind: str, tmp_path: Path, uri: str, closed_port: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def made(name: str, asked: str) -> tuple[Path, Any]:
        if kind == "system":  # its folder may be of an interrupted run: where it is sent is what was said now
            path = tracked_system(tmp_path, name, "off")
            return path, SystemFolder.open(path)
        path = tracked_load(tmp_path, name, asked) if kind == "load" else tracked_systems_ab(tmp_path, name, asked)
        read = read_load if kind == "load" else read_system_comparison
        return path, (LoadFolder if kind == "load" else SystemComparisonFolder)(path, read(path))  # type: ignore[arg-type]

    for name, asked in ((f"said-{kind}", uri), (f"gone-{kind}", closed_port)):
        path, folder = made(name, asked)
        monkeypatch.setattr(measured, lambda *_, found=folder, **__: found)
        with pytest.raises(SystemExit) as ended:
            main([*words, f"tracking.uri={asked}", "--json"])
        shown = capsys.readouterr()
        assert ended.value.code == folder.record.exit_code and json.loads(shown.out)
        if asked == uri:
            [run] = found(uri, f"reelbench.{kind}_id", name)
            assert json.loads(shown.out)["mlflow_run_id"] == run.info.run_id and experiment_of(uri, run) == kind
            assert "report.html" in artifacts(uri, run) and "tracked in MLflow" in shown.err
        else:
            assert "cannot be reached" in shown.err and (path / MARKER).is_file()


def test_the_experiment_is_that_which_was_asked_for(tmp_path: Path) -> None:
    own = {name: Tracking(uri="u", experiment=name) for name in ("cuts", "eye")}
    assert together(own, "system") == Tracking(uri="u", experiment="system")
    asked = dict.fromkeys(own, Tracking(uri="u", experiment="eye"))
    assert together(asked, "system").experiment == "eye"
    folder = tracked_systems_ab(tmp_path, "asked", "u")
    tracked_system(folder / "b", "z-newest", "elsewhere", "mine")
    kind = kind_of(folder)
    assert kind.tracking(folder, kind.read(folder)) == Tracking(uri="elsewhere", experiment="mine")


def test_records_of_before_are_still_read(tmp_path: Path) -> None:
    for folder in (tracked_system(tmp_path, "s"), tracked_load(tmp_path, "l"), tracked_systems_ab(tmp_path, "c")):
        kind = kind_of(folder)
        old = json.loads((folder / kind.file).read_text())
        del old["mlflow_run_id"]
        (folder / kind.file).write_text(json.dumps(old), encoding="utf-8")
        assert kind.read(folder).mlflow_run_id is None
    assert {kind.home for kind in kinds()} == {"", "comparisons", "system", "load", "system_comparisons"}
