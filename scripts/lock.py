"""Write or check the locks with hashes, for those who install strictly.

    python scripts/lock.py            write both locks anew, from constraints.txt (needs uv: pip install uv)
    python scripts/lock.py --check    check, without a network, that they agree with constraints.txt and pyproject.toml

`pylock.toml` is what the README's command installs (with the extra test), `pylock.all.toml` has the other extras, too. Both are
for Python 3.11 on Linux x86-64, as constraints.txt is, and name the files of the public PyPI only.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
UNLOCKED = frozenset({"gpu", "ray"})
"""Extras that are not locked: constraints.txt does not pin them, and cuda-python asks for another cuda-bindings than torch does."""
LOCKS = ("pylock.toml", "pylock.all.toml")
PUBLIC_HOST = "files.pythonhosted.org"


def extras_of(lock: str, project: dict[str, dict[str, list[str]]]) -> list[str]:
    """The extras whose packages are in a lock."""
    return ["test"] if lock == "pylock.toml" else sorted(set(project["optional-dependencies"]) - UNLOCKED)


def read_project(root: Path) -> dict[str, dict[str, list[str]]]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]  # type: ignore[no-any-return]


def read_constraints(root: Path) -> dict[str, str]:
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if line.strip() and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


def locked_versions(lock: Path) -> dict[str, str]:
    packages = tomllib.loads(lock.read_text(encoding="utf-8"))["packages"]
    return {canonicalize_name(package["name"]): package["version"] for package in packages}


def problems(root: Path = ROOT) -> list[str]:
    """What is wrong with the locks: one line each, empty where all is well."""
    project, pins = read_project(root), read_constraints(root)
    found: list[str] = []
    for name in LOCKS:
        if not (root / name).is_file():
            found.append(f"{name} is missing")
            continue
        packages = tomllib.loads((root / name).read_text(encoding="utf-8"))["packages"]
        locked = locked_versions(root / name)
        for package, version in locked.items():
            if pins.get(package) != version:
                found.append(f"{name}: {package} is {version}, in constraints.txt {pins.get(package, 'absent')}")
        for package in packages:
            found += [f"{name}: {package['name']}: {problem}" for problem in _files(package)]
        for wanted in _wanted(project, extras_of(name, project)):
            version = locked.get(canonicalize_name(wanted.name))
            if version is None or not wanted.specifier.contains(version, prereleases=True):
                found.append(f"{name}: pyproject.toml wants {wanted}, locked is {version or 'nothing'}")
    return found


def _wanted(project: dict[str, dict[str, list[str]]], extras: list[str]) -> list[Requirement]:
    listed: list[str] = [*project["dependencies"]]  # type: ignore[list-item]
    for extra in extras:
        listed += project["optional-dependencies"][extra]
    return [one for one in map(Requirement, listed) if one.marker is None or one.marker.evaluate()]


def _files(package: dict[str, object]) -> list[str]:
    files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]  # type: ignore[misc]
    if not files:
        return ["no file is locked"]
    elsewhere = [file["url"] for file in files if urlsplit(file["url"]).hostname != PUBLIC_HOST]
    unhashed = [file["url"] for file in files if len(file.get("hashes", {}).get("sha256", "")) != 64]
    return [f"{url} is not on {PUBLIC_HOST}" for url in elsewhere] + [f"{url} has no sha256" for url in unhashed]


def write(root: Path = ROOT) -> None:
    """Resolve both locks anew with uv; versions are those of constraints.txt."""
    project = read_project(root)
    for name in LOCKS:
        extras = [word for extra in extras_of(name, project) for word in ("--extra", extra)]
        command = [
            "uv", "--no-config", "pip", "compile", "pyproject.toml", *extras, "--constraints", "constraints.txt", "--quiet",
            "--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28", "--default-index", "https://pypi.org/simple",
            "--format", "pylock.toml", "--custom-compile-command", "python scripts/lock.py", "--output-file", name,
        ]  # fmt: skip
        (root / name).unlink(missing_ok=True)
        try:
            subprocess.run(command, cwd=root, check=True)
        except FileNotFoundError:
            sys.exit("uv is not installed: pip install uv")
        except subprocess.CalledProcessError as error:
            sys.exit(error.returncode)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--check", action="store_true")
    if not asked.parse_args().check:
        write()
    if found := problems():
        sys.exit("\n".join([*found, "constraints.txt and the locks disagree: python scripts/lock.py"]))
    print(f"{' and '.join(LOCKS)} agree with constraints.txt")


if __name__ == "__main__":
    main()
