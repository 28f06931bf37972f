"""Collect what a GPU machine without a network lacks, as wheels in one folder, and install them there.

    python benchmarks/gpu/bring.py collect FOLDER     # here, with a package index in reach
    python benchmarks/gpu/bring.py install FOLDER     # there, from the wheels alone

`collect` takes the versions of constraints.txt for Python 3.12 on x86-64 Linux, without what they
depend on (PyTorch and the like are there), checks each wheel and the size of all, and writes
brought.json with sizes and sha256. Exit: 0 everything is there · 2 wrong arguments · 4 something could
not be brought (one line each says why; the rest is in the folder) · 5 the folder cannot be used.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ultralytics", "platformdirs", "bitsandbytes")
"""In the order in which they are taken while there is room.

Ultralytics declares more (polars, opencv-python, ultralytics-thop …), and imports none of it to build and
run YOLO11n where OpenCV (headless), matplotlib, Pillow, psutil, requests and PyYAML are there.
"""
LIST = "brought.json"
LIMIT_MIB = 60.0
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_24_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


class BringError(Exception):
    """One line on what could not be brought, and why."""


@dataclass(frozen=True)
class Wheel:
    """A file that is brought."""

    name: str
    version: str
    file: str
    bytes: int
    sha256: str


def collect(
    folder: Path, packages: tuple[str, ...], limit_mib: float, python: str, wheels: Path | None
) -> dict[str, Any]:
    """Fill ``folder`` with a wheel of each package, and return what `LIST` then says.

    ``wheels`` is a folder to take them from instead of the package index. What is there already in the
    right version stays as it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    limit = int(limit_mib * 2**20)
    before = {wheel.name: wheel for wheel in _read(folder)} if (folder / LIST).is_file() else {}
    kept: list[Wheel] = []
    left_out: dict[str, str] = {}
    for package in packages:
        version = pinned(package, ROOT / "constraints.txt")
        try:
            old = before.get(package)
            if old and old.version == version and _intact(folder, old):
                wheel = old
            else:
                wheel = _fetch(folder, package, version, python, wheels)
            total = sum(other.bytes for other in kept) + wheel.bytes
            if total > limit:
                raise BringError(
                    f"{wheel.file} is {_mib(wheel.bytes)}; with it there would be {_mib(total)}, more than {_mib(limit)}"
                )
        except BringError as error:
            left_out[package] = str(error)
            continue
        kept.append(wheel)
    for path in folder.glob("*.whl"):
        if path.name not in {wheel.file for wheel in kept}:
            path.unlink()
    found = {
        "python": python,
        "limit_bytes": limit,
        "total_bytes": sum(wheel.bytes for wheel in kept),
        "wheels": [asdict(wheel) for wheel in kept],
        "left_out": left_out,
    }
    part = folder / f"{LIST}.part"
    part.write_text(json.dumps(found, indent=1) + "\n")
    part.replace(folder / LIST)
    return found


def install(folder: Path) -> Path:
    """Install the wheels of the list, and nothing from elsewhere; returns the folder that holds the packages.

    It lies among the temporary files, so that ``folder`` does not grow: what can be carried to a machine
    is limited. What was installed before is used again.
    """
    wheels = _read(folder)
    for wheel in wheels:
        if not _intact(folder, wheel):
            raise BringError(f"{folder / wheel.file} is not the file that {LIST} lists: collect it again")
    mark = hashlib.sha256("".join(wheel.sha256 for wheel in wheels).encode()).hexdigest()[:16]
    site = Path(tempfile.gettempdir()) / f"reelbench-gpu-{os.getuid()}-{mark}"
    if site.is_dir() and not site.is_symlink() and site.stat().st_uid == os.getuid():
        return site
    with tempfile.TemporaryDirectory(prefix="reelbench-gpu-") as part:
        made = Path(part) / "site"
        made.mkdir(mode=0o700)
        if wheels:
            files = [str(folder / wheel.file) for wheel in wheels]
            _pip("install", "--no-index", "--no-deps", "--no-compile", "--target", str(made), *files)
        # Only what is whole gets the name; where another process was faster, its folder is as good.
        try:
            made.rename(site)
        except OSError as error:
            if not site.is_dir():
                raise BringError(f"{site} cannot be made: {error.strerror}") from error
    if site.is_symlink() or site.stat().st_uid != os.getuid():
        raise BringError(f"{site} belongs to someone else: remove it")
    return site


def put_on_path(folder: Path) -> None:
    """Make the brought packages importable, behind what the machine has itself.

    To be called before transformers is imported, which looks only once.
    """
    site = str(install(folder))
    if site not in sys.path:
        sys.path.append(site)


def pinned(package: str, constraints: Path) -> str:
    """The version that constraints.txt names."""
    for line in constraints.read_text().splitlines():
        name, _, version = line.split("#")[0].strip().partition("==")
        if name == package and version:
            return version
    raise BringError(f"{constraints.name} names no version of {package}")


def _fetch(folder: Path, package: str, version: str, python: str, wheels: Path | None) -> Wheel:
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    source = ["--no-index", "--find-links", str(wheels)] if wheels else []
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as part:
        _pip(
            *("download", "--no-deps", "--only-binary=:all:", "--implementation", "cp", "--python-version", python),
            *platforms,
            *source,
            *("--dest", part, f"{package}=={version}"),
        )
        made = sorted(Path(part).glob("*.whl"))
        if len(made) != 1:
            raise BringError(f"{package} {version}: pip wrote {len(made)} wheels, not one")
        _check(made[0], package, version)
        target = folder / made[0].name
        made[0].replace(target)
    return Wheel(package, version, target.name, target.stat().st_size, _sha256(target))


def _check(path: Path, package: str, version: str) -> None:
    """A whole archive that says it is this package; BringError else."""
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
            named = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
            about = archive.read(named).decode()
    except (zipfile.BadZipFile, StopIteration, UnicodeDecodeError) as error:
        raise BringError(f"{path.name} is no wheel: {error}") from error
    fields = dict(line.split(": ", 1) for line in about.split("\n\n")[0].splitlines() if ": " in line)
    said = fields.get("Name", "").replace("_", "-").lower(), fields.get("Version", "")
    if broken or said != (package, version):
        raise BringError(f"{path.name}: {broken or ' '.join(said)} where {package} {version} was asked for")


def _pip(*arguments: str) -> None:
    """BringError with pip's own last line on what went wrong."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR: ")]
    why = (errors or said or [f"pip ended with {done.returncode}"])[-1]
    away = any(word in done.stderr for word in ("connection broken", "NewConnectionError", "ConnectTimeout", "resolve"))
    raise BringError(f"{'the package index cannot be reached: ' if away else ''}{why}")


def _read(folder: Path) -> list[Wheel]:
    path = folder / LIST
    try:
        return [Wheel(**wheel) for wheel in json.loads(path.read_text())["wheels"]]
    except FileNotFoundError as error:
        raise BringError(f"{folder} holds no {LIST}: fill it with 'bring.py collect'") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BringError(f"{path} cannot be read: {error}") from error


def _intact(folder: Path, wheel: Wheel) -> bool:
    path = folder / wheel.file
    return path.parent == folder and path.is_file() and _sha256(path) == wheel.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _mib(number: int) -> str:
    return f"{number / 2**20:.1f} MiB"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("collect", help="download the wheels")
    one.add_argument("folder", type=Path)
    one.add_argument("--packages", nargs="+", default=list(PACKAGES), metavar="NAME")
    one.add_argument("--limit-mib", type=float, default=LIMIT_MIB, help="of all wheels (default %(default)g)")
    one.add_argument("--python", default="3.12", help="of the machine (default %(default)s)")
    one.add_argument("--wheels", type=Path, help="take them from this folder instead of the package index")
    verbs.add_parser("install", help="install them, without a network").add_argument("folder", type=Path)
    options = parser.parse_args()
    try:
        if options.verb == "install":
            print(install(options.folder))
            return 0
        found = collect(options.folder, tuple(options.packages), options.limit_mib, options.python, options.wheels)
    except BringError as error:
        print(error, file=sys.stderr)
        return 5
    for wheel in found["wheels"]:
        print(f"{wheel['name']} {wheel['version']}  {_mib(wheel['bytes'])}  {wheel['sha256']}")
    print(f"{_mib(found['total_bytes'])} of {_mib(found['limit_bytes'])} in {options.folder}")
    for name, why in found["left_out"].items():
        print(f"left out: {name}: {why}", file=sys.stderr)
    return 4 if found["left_out"] else 0


if __name__ == "__main__":
    sys.exit(main())
