"""Runs in a real MLflow database, and on a real MLflow server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reelbench.bench.run_folder import RunFolder, read_record
from reelbench.errors import EXIT_UNAVAILABLE
from reelbench.tracking.client import TrackingError
from reelbench.tracking.folders import MARKER
from reelbench.tracking.mlflow_store import finish_parent, log_run, log_sweep, start_parent
from reelbench.tracking.payload import DIGEST_TAG, read_payload
from support.runs import make_run

FILES = {"config.yaml", "environment.json", "frames.parquet", "report.html", "results", "run.json", "samples.parquet"}


def client(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(uri)


def runs_of(uri: str, run_id: str) -> list[Any]:
    mlflow = client(uri)
    everywhere = [experiment.experiment_id for experiment in mlflow.search_experiments()]
    return list(mlflow.search_runs(everywhere, f"tags.`reelbench.run_id` = '{run_id}'"))


def check_whole(uri: str, folder: Path, mlflow_run: str) -> None:
    run = client(uri).get_run(mlflow_run)
    payload = read_payload(folder)
    assert run.data.metrics == payload.metrics
    assert run.data.params == payload.params
    assert payload.tags.items() <= run.data.tags.items()
    assert run.info.status == "FINISHED"
    assert (run.info.start_time, run.info.end_time) == (payload.started_ms, payload.ended_ms)
    assert {file.path for file in client(uri).list_artifacts(mlflow_run)} - {"manifest.json"} == FILES
    assert len(client(uri).list_artifacts(mlflow_run, "results")) == 2
    assert read_record(folder).mlflow_run_id == mlflow_run


def test_a_run_is_there_in_full_with_its_artifacts_beside_the_database(tmp_path: Path, uri: str, home: Path):
    make_run(tmp_path / "whole")
    mlflow_run = log_run(tmp_path / "whole", uri, "object_detection")
    check_whole(uri, tmp_path / "whole", mlflow_run)
    assert (home / "mlflow.db").is_file()
    assert (home / "mlartifacts" / "object_detection" / mlflow_run / "artifacts" / "samples.parquet").is_file()
    assert not (home / "mlruns").exists()


def test_the_same_run_is_never_sent_twice(tmp_path: Path, uri: str):
    make_run(tmp_path / "once")
    first = log_run(tmp_path / "once", uri, "object_detection")
    before = client(uri).get_run(first).to_dictionary()
    assert log_run(tmp_path / "once", uri, "another experiment") == first
    assert client(uri).get_run(first).to_dictionary() == before
    assert len(runs_of(uri, "once")) == len(client(uri).get_metric_history(first, "x_realtime")) == 1


def test_what_was_cut_off_while_sending_is_completed_and_what_changed_since_is_renewed(tmp_path: Path, uri: str):
    make_run(tmp_path / "cut", status="interrupted")
    first = log_run(tmp_path / "cut", uri, "object_detection")
    assert client(uri).get_run(first).info.status == "KILLED"
    client(uri).delete_tag(first, DIGEST_TAG)
    client(uri).delete_tag(first, "corpus")
    assert log_run(tmp_path / "cut", uri, "object_detection") == first
    assert client(uri).get_run(first).data.tags["corpus"] == "demo"
    folder = RunFolder.open(tmp_path / "cut")
    folder.record.status = "finished"
    folder.record.summary["parent_cpu_share"] = 0.5
    folder.save()
    assert log_run(tmp_path / "cut", uri, "object_detection") == first
    check_whole(uri, tmp_path / "cut", first)


def test_a_sweep_is_one_parent_with_its_runs(tmp_path: Path, uri: str):
    make_run(tmp_path / "a", variant="baseline")
    make_run(tmp_path / "b", variant="optimized", pass_s=0.2)
    make_run(tmp_path / "c", variant="openvino_int8", invalid="it ran in FP32")
    (tmp_path / "report.html").write_text("<p>the comparison", encoding="utf-8")
    alone = log_run(tmp_path / "a", uri, "object_detection")
    folders = [tmp_path / name for name in "abc"]
    parent = log_sweep(folders, uri, "object_detection", "20260301-120000", [tmp_path / "report.html"])
    assert log_sweep(folders, uri, "object_detection", "20260301-120000", [tmp_path / "report.html"]) == parent
    assert read_record(tmp_path / "a").mlflow_run_id == alone
    for name in "abc":
        [child] = runs_of(uri, name)
        assert child.data.tags["mlflow.parentRunId"] == parent
    run = client(uri).get_run(parent)
    assert run.info.run_name == "20260301-120000" and run.info.status == "FINISHED"
    assert run.data.metrics["optimized.x_realtime"] > run.data.metrics["baseline.x_realtime"]
    assert not [name for name in run.data.metrics if name.startswith("openvino_int8")]
    assert [file.path for file in client(uri).list_artifacts(parent)] == ["report.html"]


def test_a_parent_can_be_kept_open_while_its_runs_come(tmp_path: Path, uri: str):
    parent = start_parent(uri, "object_detection", "by hand")
    make_run(tmp_path / "child")
    child = log_run(tmp_path / "child", uri, "object_detection", parent)
    finish_parent(uri, parent, status="FAILED")
    assert client(uri).get_run(child).data.tags["mlflow.parentRunId"] == parent
    assert client(uri).get_run(parent).info.status == "FAILED"


def test_no_password_reaches_mlflow(tmp_path: Path, uri: str, home: Path):
    make_run(tmp_path / "secret")
    config = yaml.safe_load((tmp_path / "secret/config.yaml").read_text())
    config["tracking"]["uri"] = "postgresql://bench:hunter2@db.example/mlflow"
    (tmp_path / "secret/config.yaml").write_text(yaml.safe_dump(config))
    folder = RunFolder.open(tmp_path / "secret")
    folder.record.command += " tracking.uri=postgresql://bench:hunter2@db.example/mlflow"
    folder.save()
    mlflow_run = log_run(tmp_path / "secret", uri, "object_detection")
    artifacts = home / "mlartifacts/object_detection" / mlflow_run / "artifacts"
    assert "bench:***@db.example" in (artifacts / "config.yaml").read_text()
    assert not [f for f in artifacts.rglob("*") if f.is_file() and b"hunter2" in f.read_bytes()]
    assert b"hunter2" not in (home / "mlflow.db").read_bytes()


@pytest.mark.parametrize("kind", ["closed", "silent", "postgresql", "unwritable", "no database"])
def test_a_store_that_cannot_be_used_says_so_in_one_line_and_the_run_is_kept(
    tmp_path: Path, closed_port: str, kind: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("reelbench.tracking.client.ANSWER_S", 0.5)
    make_run(tmp_path / "kept")
    (tmp_path / "text.db").write_text("this is no database " * 100, encoding="utf-8")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        uri = {
            "closed": closed_port,
            "silent": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "postgresql": closed_port.replace("http://", "postgresql://bench:hunter2@") + "/mlflow",
            "unwritable": "sqlite:////proc/none/mlflow.db",
            "no database": f"sqlite:///{tmp_path}/text.db",
        }[kind]
        with pytest.raises(TrackingError) as caught:
            log_run(tmp_path / "kept", uri, "object_detection")
    assert caught.value.exit_code == EXIT_UNAVAILABLE
    assert str(tmp_path / "kept") in caught.value.message and "\n" not in caught.value.message
    assert "reelbench track sync" in caught.value.hint
    assert "hunter2" not in str(caught.value)
    assert (tmp_path / "kept" / MARKER).is_file()
    assert read_record(tmp_path / "kept").mlflow_run_id is None


def test_two_processes_make_one_database_and_nothing_is_printed_and_nobody_is_called(tmp_path: Path):
    code = """
import sys
def hook(event, args):
    if event in ("socket.connect", "socket.getaddrinfo"):
        sys.stderr.write(f"{event} {args}")
sys.addaudithook(hook)
from pathlib import Path
from reelbench.tracking.mlflow_store import log_run
log_run(Path(sys.argv[1]), "sqlite:///mlflow.db", "object_detection")
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "DO_NOT", "PYTEST", "CI"))}
    names = ("left", "right")
    for name in names:
        make_run(tmp_path / name)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, name],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in names
    ]
    assert [(process.communicate(timeout=240)[0], process.returncode) for process in processes] == [("", 0)] * 2
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert [len(runs_of(uri, name)) for name in names] == [1, 1]


@pytest.fixture
def server(tmp_path: Path, closed_port: str) -> Iterator[str]:
    """A real tracking server over SQLite on a free loopback port."""
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        closed_port.rsplit(":", 1)[1],
        "--workers",
        "1",
    ]
    command += ["--backend-store-uri", "sqlite:///server.db", "--artifacts-destination", "artifacts"]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            for _ in range(600):
                if process.poll() is not None:
                    raise RuntimeError((tmp_path / "server.log").read_text())
                try:
                    urllib.request.urlopen(f"{closed_port}/health", timeout=2).close()
                    break
                except (urllib.error.URLError, TimeoutError):
                    time.sleep(0.2)
            yield closed_port
        finally:
            os.killpg(process.pid, 15)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()


def test_a_run_goes_to_a_real_server(tmp_path: Path, server: str):
    make_run(tmp_path / "served")
    mlflow_run = log_run(tmp_path / "served", server, "object_detection")
    check_whole(server, tmp_path / "served", mlflow_run)
    assert (tmp_path / "artifacts").is_dir()
    assert log_run(tmp_path / "served", server, "object_detection") == mlflow_run
