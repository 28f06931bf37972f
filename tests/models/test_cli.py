"""``reelbench models``: its output, its JSON and its exit codes, as a user gets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

FONT = "fonts/FredokaOne-Regular.ttf"


def reelbench(store: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = os.environ | {"REELBENCH_MODEL_STORE": str(store)} | environment
    command = [sys.executable, "-c", "from reelbench.cli import main; main()", "models", *arguments]
    return subprocess.run(command, env=settings, capture_output=True, text=True, timeout=240, check=False)


def test_pull_list_and_verify(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    pulled = reelbench(mirror, "pull", FONT, "--json")
    assert pulled.returncode == 0, pulled.stderr
    answer = json.loads(pulled.stdout)["artifacts"]
    assert [(one["id"], one["source"], one["bytes"]) for one in answer] == [
        (FONT, "pypi font_fredoka_one==0.0.4", 43500)
    ]
    assert f"fetching {FONT}" in pulled.stderr

    store = tmp_path / "store"
    again = reelbench(store, "pull", FONT, REELBENCH_MIRROR=str(mirror))
    assert f"from mirror {mirror}" in again.stdout
    assert "was there" in reelbench(store, "pull", FONT).stdout

    states = {one["id"]: one["state"] for one in json.loads(reelbench(store, "list", "--json").stdout)["artifacts"]}
    assert states.pop(FONT) == "verified"
    assert set(states.values()) == {"missing"}
    assert reelbench(store, "verify").returncode == 0

    (store / FONT).write_bytes(bytes(43500))
    damaged = reelbench(store, "verify", "--json")
    assert damaged.returncode == 4
    assert json.loads(damaged.stdout)["artifacts"][0]["state"] == "damaged"
    assert f"reelbench models pull {FONT}" in damaged.stderr
    assert "Traceback" not in damaged.stderr


def test_mistakes_are_one_line_and_exit_2(tmp_path: Path) -> None:
    for arguments, hint in (
        (("pull", "font"), "did you mean fonts"),
        (("pull",), "--all"),
        (("pull", "fonts", "--all"), "--all"),
    ):
        done = reelbench(tmp_path, *arguments)
        assert done.returncode == 2
        assert hint in done.stderr
        assert "Traceback" not in done.stderr
    assert reelbench(tmp_path, "verify", FONT).returncode == 4


def test_no_network_is_exit_4(tmp_path: Path) -> None:
    done = reelbench(
        tmp_path,
        "pull",
        "fonts",
        PIP_CONFIG_FILE=os.devnull,
        PIP_FIND_LINKS="",
        PIP_INDEX_URL="http://127.0.0.1:9/simple",
        PIP_EXTRA_INDEX_URL="",
    )
    assert done.returncode == 4
    assert "the package index cannot be reached" in done.stderr
    assert "then run 'reelbench models pull fonts'" in done.stderr
    assert "Traceback" not in done.stderr
