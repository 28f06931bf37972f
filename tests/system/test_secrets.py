"""Passwords of addresses reach MLflow's server and nothing else: no record, page, log, message or table of the server's database."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from system.conftest import PLUGIN, Run, environment

SECRET = "w0rd-hunter2"
"""The end of a password that holds '@' and '/'."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A real MLflow server: its host and port, and its folder."""
    home = tmp_path_factory.mktemp("server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    store = ["--backend-store-uri", f"sqlite:///{home}/mlflow.db", "--artifacts-destination", str(home / "artifacts")]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with (home / "log.txt").open("w") as log:
        process = subprocess.Popen([*command, *store], cwd=home, stdout=log, stderr=log, start_new_session=True)
    try:
        while True:
            assert process.poll() is None, (home / "log.txt").read_text()
            try:
                urlopen(f"http://127.0.0.1:{port}/health").close()
                break
            except OSError:
                time.sleep(0.2)
        yield f"127.0.0.1:{port}", home
    finally:
        os.killpg(process.pid, 15)
        process.wait()


def leaks(*folders: Path) -> list[str]:
    """The files that hold the secret."""
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    assert len(files) > 5
    return [str(file) for file in files if SECRET.encode() in file.read_bytes()]


def test_no_secret_is_written_shown_or_sent(run: Run, clips: Path, server: tuple[str, Path], tmp_path: Path) -> None:
    host, home = server
    address = f"http://bench:p@ss/{SECRET}@{host}"
    secrets = {"HF_TOKEN": f"token-{SECRET}", "REELBENCH_MIRROR_URL": f"http://me:{SECRET}@mirror.example/"}
    where = ("corpus=folder", f"corpus.path={clips}", "measure=quick", f"tracking.uri={address}")
    done = run(*PLUGIN, *where, **secrets)
    assert done.returncode == 0, done.stderr
    assert f"tracked in MLflow: http://bench:***@{host}" in done.stderr
    work = tmp_path / "work"
    (record,) = [json.loads(file.read_text()) for file in work.glob("runs/*/run.json")]
    assert record["mlflow_run_id"] and "tracking.uri=http://bench:***@" in record["command"]

    wrong = run("track", "sync", "--all", **secrets)
    assert wrong.returncode == 4 and "records do not keep the password" in wrong.stdout
    again = run("track", "sync", "--all", MLFLOW_TRACKING_URI=address)
    assert again.returncode == 0 and record["mlflow_run_id"] in again.stdout
    unknown = run(*PLUGIN, *where, f"corpus.path=/none/{address}", **secrets)
    closed = run(*PLUGIN, *where, f"tracking.uri=http://bench:p@ss/{SECRET}@127.0.0.1:9", **secrets)
    page = run("report", "--history", f"--uri={address}")
    shown = run(*PLUGIN, *where, "--cfg", "job")
    assert (unknown.returncode, closed.returncode, shown.returncode) == (2, 0, 0)
    assert "cannot be reached" in closed.stderr and "bench:***@" in shown.stdout

    for one in (done, wrong, again, unknown, closed, page, shown):
        assert SECRET not in one.stdout + one.stderr, one.args
    assert leaks(work, home) == []


def test_files_and_folders_respect_the_umask(clips: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    where = ("corpus=folder", f"corpus.path={clips}", "measure=quick", "tracking.uri=sqlite:///mlflow.db")
    command = [sys.executable, str(Path(__file__).parents[2] / "run.py"), *PLUGIN, *where]
    done = subprocess.run(command, cwd=work, env=environment(), umask=0o077, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = list(work.rglob("*"))
    assert any(path.name == "run.json" for path in found) and any(path.name == "mlflow.db" for path in found)
    assert [str(path) for path in found if path.stat().st_mode & 0o077] == []
