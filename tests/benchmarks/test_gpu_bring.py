"""benchmarks/gpu/bring.py, with small wheels made here: what fits is brought and checked, what does not is said."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu" / "bring.py"


def pinned(name: str) -> str:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return next(line.split("==")[1] for line in lines if line.startswith(f"{name}=="))


def wheel(folder: Path, name: str, size: int = 0, version: str = "") -> Path:
    """A wheel that pip takes: one module that says its name, and ``size`` bytes that cannot be compressed."""
    version = version or pinned(name)
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/__init__.py", f"NAME = {name!r}\n")
        archive.writestr(f"{name}/data.bin", os.urandom(size))
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return path


def bring(*arguments: str | Path, temporary: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    given = os.environ | more | ({"TMPDIR": str(temporary)} if temporary else {})
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=given)


def test_what_fits_is_brought_checked_and_can_be_imported_where_there_is_no_index(tmp_path: Path) -> None:
    made = {name: wheel(tmp_path / "index", name, 1000) for name in ("ultralytics", "platformdirs", "bitsandbytes")}
    done = bring("collect", tmp_path / "brought", "--wheels", tmp_path / "index")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "brought" / "brought.json").read_text())
    assert [w["name"] for w in found["wheels"]] == list(made) and found["left_out"] == {}
    for listed in found["wheels"]:
        sent = made[listed["name"]].read_bytes()
        assert listed["bytes"] == len(sent) and listed["sha256"] == hashlib.sha256(sent).hexdigest()
    assert found["total_bytes"] == sum(path.stat().st_size for path in (tmp_path / "brought").glob("*.whl"))

    here = tmp_path / "temporary"
    here.mkdir()
    installed = bring("install", tmp_path / "brought", temporary=here, PIP_NO_INDEX="1")
    assert installed.returncode == 0, installed.stderr
    asked = [sys.executable, "-S", "-c", "import ultralytics; print(ultralytics.NAME)"]
    site = installed.stdout.strip()
    answer = subprocess.run(asked, capture_output=True, text=True, check=True, env={"PYTHONPATH": site})
    assert answer.stdout == "ultralytics\n"
    # What is carried to the other machine does not grow, and a second time nothing is installed anew.
    assert {path.suffix for path in (tmp_path / "brought").iterdir()} == {".whl", ".json"}
    before = Path(site).stat().st_mtime_ns
    assert bring("install", tmp_path / "brought", temporary=here).stdout.strip() == site
    assert Path(site).stat().st_mtime_ns == before


def test_what_is_too_large_is_left_out_in_one_line_and_the_rest_is_brought(tmp_path: Path) -> None:
    for name, size in (("ultralytics", 1000), ("platformdirs", 1000), ("bitsandbytes", 2**20)):
        wheel(tmp_path / "index", name, size)
    done = bring("collect", tmp_path / "brought", "--wheels", tmp_path / "index", "--limit-mib", "1")
    assert done.returncode == 4 and done.stderr.count("\n") == 1
    assert "bitsandbytes" in done.stderr and "more than 1.0 MiB" in done.stderr
    found = json.loads((tmp_path / "brought" / "brought.json").read_text())
    assert [w["name"] for w in found["wheels"]] == ["ultralytics", "platformdirs"]
    assert not list((tmp_path / "brought").glob("bitsandbytes*"))
    assert sum(path.stat().st_size for path in (tmp_path / "brought").iterdir()) < 2**20


def test_an_index_that_cannot_be_reached_is_said_and_what_is_there_stays(tmp_path: Path) -> None:
    wheel(tmp_path / "index", "platformdirs")
    away = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1", "PIP_CONFIG_FILE": os.devnull}
    away |= {"PIP_FIND_LINKS": "", "PIP_NO_CACHE_DIR": "1", "PIP_EXTRA_INDEX_URL": ""}
    brought = tmp_path / "brought"
    assert bring("collect", brought, "--packages", "platformdirs", "--wheels", tmp_path / "index").returncode == 0
    done = bring("collect", brought, "--packages", "platformdirs", "ultralytics", **away)
    assert done.returncode == 4 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("left out: ultralytics: the package index cannot be reached")
    assert [path.stem.split("-")[0] for path in brought.glob("*.whl")] == ["platformdirs"]


@pytest.mark.parametrize("spoil", ["other content", "no list"])
def test_a_folder_that_is_not_as_it_was_collected_is_not_installed(tmp_path: Path, spoil: str) -> None:
    wheel(tmp_path / "index", "platformdirs", 1000)
    brought = tmp_path / "brought"
    bring("collect", brought, "--packages", "platformdirs", "--wheels", tmp_path / "index")
    if spoil == "no list":
        (brought / "brought.json").unlink()
    else:
        wheel(brought, "platformdirs", 1001)
    done = bring("install", brought, temporary=tmp_path)
    assert done.returncode == 5 and done.stderr.count("\n") == 1 and "collect" in done.stderr
    assert not list(tmp_path.glob("reelbench-gpu-*"))


def test_a_file_that_is_no_wheel_of_the_package_is_left_out(tmp_path: Path) -> None:
    broken = wheel(tmp_path / "index", "platformdirs", 5000)
    data = bytearray(broken.read_bytes())
    data[len(data) // 2] ^= 255
    broken.write_bytes(data)
    done = bring("collect", tmp_path / "brought", "--packages", "platformdirs", "--wheels", tmp_path / "index")
    assert done.returncode == 4 and "left out: platformdirs: platformdirs-" in done.stderr
    assert not list((tmp_path / "brought").glob("*.whl"))


def test_help_says_what_the_exit_codes_mean() -> None:
    done = bring("--help")
    assert done.returncode == 0 and "Exit: 0 everything is there" in done.stdout
