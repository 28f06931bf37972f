"""Real local servers, wheels and catalogs for the tests of the model store."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reelbench.models import download
from reelbench.models.catalog import Catalog
from support.hub_server import Hub, running_hub
from support.weights import PULL, MakeCatalog, MakeWheel, Server, Spawn, running


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as state:
        yield state


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub of this machine, which huggingface_hub and child processes use."""
    with running_hub() as state:
        monkeypatch.setenv("HF_ENDPOINT", state.address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield state


@pytest.fixture(autouse=True)
def _forget_hosts() -> None:
    download.silent.clear()


@pytest.fixture
def catalog_of(tmp_path: Path) -> MakeCatalog:
    """Write ``conf/weights/<family>.yaml`` below tmp_path/conf and load the catalog."""

    def make(family: str = "net", **entries: dict[str, Any]) -> Catalog:
        folder = tmp_path / "conf" / "weights"
        folder.mkdir(parents=True, exist_ok=True)
        artifacts = {f"{family}/{name}.bin": value for name, value in entries.items()}
        content = {"title": "A net", "licence": "MIT", "class": "refetchable", "artifacts": artifacts}
        (folder / f"{family}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        return Catalog.load(tmp_path / "conf")

    return make


@pytest.fixture
def wheel_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeWheel:
    """Build a wheel that pip, cut off from every index, finds in a local folder; gives the requirement."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))

    def make(name: str, members: dict[str, bytes]) -> str:
        info = f"{name}-1.0.dist-info"
        with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
            for member, content in members.items():
                wheel.writestr(member, content)
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
        return f"{name}==1.0"

    return make


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Spawn]:
    """Start a process of its own that pulls artifacts into tmp_path/store."""
    begun: list[subprocess.Popen[str]] = []

    def start(*ids: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PULL, str(tmp_path / "store"), str(tmp_path / "conf"), *ids]
        begun.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.communicate()
