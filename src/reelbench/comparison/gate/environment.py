"""Find the Python environment for another commit's code: the present one where it asks for the same packages, else a new one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from reelbench.config import digest
from reelbench.errors import UnavailableError
from reelbench.paths import describe_os_error, write_text
from reelbench.processes import run_tied

INSTALL_TIMEOUT_S = 3600.0
_READY = "ready.txt"
_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Environment:
    """``python``: the interpreter; ``text`` says how it came about."""

    python: str
    text: str


def requirements(tree: Path, extras: Sequence[str] = ()) -> dict[str, Any]:
    """What a checkout asks to be installed: its dependencies with those of ``extras``, and its pins. UnavailableError where it cannot
    be read."""
    import tomllib

    try:
        project = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        optional = project.get("optional-dependencies", {})
        wanted = [*project.get("dependencies", []), *(name for extra in extras for name in optional.get(extra, []))]
        pins = tree / "constraints.txt"
        lines = pins.read_text(encoding="utf-8").splitlines() if pins.is_file() else []
    except (OSError, ValueError, KeyError) as error:
        raise UnavailableError(f"{tree / 'pyproject.toml'} does not say what that code needs: {error}") from error
    constraints = sorted(line.split("#")[0].strip() for line in lines)
    return {"dependencies": sorted(wanted), "constraints": [line for line in constraints if line]}


def environment_of(tree: Path, present: Path, parent: Path, extras: Sequence[str] = ()) -> Environment:
    """The environment for the code in ``tree``; ``present`` is the running checkout, ``parent`` the folder of cached environments.

    Raises UnavailableError where what that commit needs cannot be installed, with pip's last line.
    """
    wanted = requirements(tree, extras)
    here = requirements(present, extras)
    text = environment_text(wanted, here)
    if wanted == here:
        return Environment(sys.executable, text)
    folder = parent / digest([wanted, sys.version, sys.prefix])[:16]
    python = folder / "bin" / "python"
    if not (folder / _READY).is_file():
        _install(folder, wanted)
    return Environment(str(python), text)


def environment_text(wanted: dict[str, Any], here: dict[str, Any]) -> str:
    """How the commit's environment, which has ``wanted``, relates to the working tree's (`requirements` of both)."""
    if wanted == here:
        return "the present one: the commit asks for the same packages"
    return f"its own: the commit asks for other packages than the working tree ({_changes(wanted, here)})"


def installed(python: str) -> dict[str, str] | None:
    """Name -> version of the packages in another environment; None for the present one, and where it does not say."""
    if python == sys.executable:
        return None
    code = "import json; from importlib.metadata import distributions as d; print(json.dumps({x.name: x.version for x in d()}))"
    try:
        done = run_tied([python, "-I", "-c", code], capture_output=True, text=True, timeout=120, check=True)
        return dict(sorted(json.loads(done.stdout).items()))
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _changes(wanted: dict[str, Any], here: dict[str, Any]) -> str:
    """'+numpy==2.0, -numpy==2.1': what the commit asks for and the working tree does not, and the reverse."""
    both = [
        (sign, set(a[key]) - set(b[key])) for key in wanted for sign, a, b in (("+", wanted, here), ("-", here, wanted))
    ]
    found = [f"{sign}{name}" for sign, names in both for name in sorted(names)]
    return ", ".join(found[:_SHOWN]) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")


def _install(folder: Path, wanted: dict[str, Any]) -> None:
    from filelock import FileLock

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise describe_os_error(error, folder, "cannot make an environment in") from error
    with FileLock(folder.with_suffix(".lock")):
        if (folder / _READY).is_file():  # somebody else made it meanwhile
            return
        python, own_pip = str(folder / "bin" / "python"), find_spec("pip") is None
        bare = [] if own_pip else ["--without-pip"]  # the present pip can install there, which is quicker
        _run([sys.executable, "-m", "venv", "--clear", *bare, str(folder)], "cannot make a virtual environment")
        write_text(folder / "constraints.txt", "\n".join(wanted["constraints"]) + "\n", exact=True)
        if wanted["dependencies"]:
            pip = [python, "-m", "pip"] if own_pip else [sys.executable, "-m", "pip", "--python", python]
            options = ["--disable-pip-version-check", "--no-input", "-c", str(folder / "constraints.txt")]
            command = [*pip, "install", *options, *wanted["dependencies"]]
            _run(command, "cannot install what that commit needs")
        write_text(folder / _READY, "\n".join(wanted["dependencies"]) + "\n", exact=True)


def _run(command: Sequence[str], what: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        done = run_tied(
            command, capture_output=True, text=True, errors="replace", timeout=INSTALL_TIMEOUT_S, check=False,
            env=environment, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{what}: {error}") from error
    if done.returncode != 0:
        lines = [line for line in (done.stderr + "\n" + done.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if line.lower().startswith("error")]
        raise UnavailableError(f"{what}: {(errors or lines or ['no reason given'])[-1]}", " ".join(command))
