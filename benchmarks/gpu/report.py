"""The report of one machine: <name>.json with every row and sample, <name>.md to read; both are replaced as a whole, atomically.

Needs the standard library only: the process that supervises writes it after every row, without torch.
"""

from __future__ import annotations

import json
import os
import platform
import re
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import tables

SCHEMA = 2
PACKAGES = (
    "torch",
    "transformers",
    "accelerate",
    "triton",
    "onnxruntime",
    "numpy",
    "torchvision",
    "flash-attn",
    "bitsandbytes",
    "ultralytics",
)
SAME = ("gpu", "cpu", "cuda", "python", "packages")
"""What must be equal for rows of two runs to stand in one report."""


@dataclass
class Report:
    """``settings`` are those that change a figure (windows, tokens, rounds), ``rows`` are by the job's key, in order."""

    environment: dict[str, Any]
    settings: dict[str, Any]
    commands: list[str]
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    stopped: str = ""
    """Why rows are missing, '' where none is."""
    failed: frozenset[str] = frozenset()
    """Keys of the rows of the continued report that are to be measured again."""

    @property
    def name(self) -> str:
        """``gpu-nvidia-h200``, or ``not-a-gpu`` for a rehearsal on a CPU."""
        gpu = self.environment.get("gpu")
        if not gpu:
            return "not-a-gpu"
        return "gpu-" + re.sub(r"[^a-z0-9]+", "-", gpu.lower()).strip("-")

    def write(self, folder: Path) -> Path:
        """Replace the report in ``folder``; the path of the page."""
        folder.mkdir(parents=True, exist_ok=True)
        data = {
            "schema_version": SCHEMA,
            "environment": self.environment,
            "settings": self.settings,
            "commands": self.commands,
            "stopped": self.stopped,
            "rows": self.rows,
        }
        _replace(folder / f"{self.name}.json", json.dumps(data, indent=1) + "\n")
        page = folder / f"{self.name}.md"
        _replace(page, tables.page(data))
        return page

    def continued(self, folder: Path) -> str:
        """Take over the rows of the report in ``folder`` that need not be measured again; why that cannot be done, else ''.

        Rows that failed, ran out of memory or took too long are measured again; those that are unavailable here are not.
        """
        file = folder / f"{self.name}.json"
        if not file.is_file():
            return ""
        try:
            data = json.loads(file.read_text())
            before, settings = data["environment"], data["settings"]
            rows, commands = data["rows"], data["commands"]
        except (ValueError, KeyError, TypeError) as error:
            return f"{file} is no report that can be continued ({type(error).__name__}: {error})"
        other = [key for key in SAME if before.get(key) != self.environment.get(key)]
        other += [key for key in self.settings if settings.get(key) != self.settings[key]]
        if other:
            return f"{file} was measured with another {', '.join(other)}; give another folder with --out"
        self.rows = {k: r for k, r in rows.items() if r["status"] in ("measured", "unavailable")}
        self.failed = frozenset(rows) - frozenset(self.rows)
        self.commands = [*commands, *self.commands]
        return ""

    def keep_previous(self, folder: Path) -> None:
        """Rename a report that stands in the way of this one, so that nothing measured is lost."""
        for suffix in (".json", ".md"):
            file = folder / f"{self.name}{suffix}"
            if file.is_file():
                file.replace(folder / f"{self.name}.previous{suffix}")


def environment(device: str) -> dict[str, Any]:
    """What the figures depend on. Imports torch where there is a GPU to ask for its name."""
    found: dict[str, Any] = {"python": platform.python_version(), "system": platform.platform()}
    found |= {"cpu": _cpu(), "cores": os.cpu_count(), "packages": {}}
    for name in PACKAGES:
        try:
            found["packages"][name] = version(name)
        except PackageNotFoundError:
            found["packages"][name] = None
    if device.startswith("cuda"):
        import torch

        about = torch.cuda.get_device_properties(device)
        found |= {"gpu": about.name, "gpu_gib": round(about.total_memory / 2**30, 1)}
        found |= {"cuda": torch.version.cuda, "capability": f"{about.major}.{about.minor}"}
    return found


def _replace(file: Path, text: str) -> None:
    """Write ``text`` beside ``file`` and rename it into place: a reader finds the old report or the new one."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", info.read_text()) if info.is_file() else []
    return names[0] if names else platform.processor()
