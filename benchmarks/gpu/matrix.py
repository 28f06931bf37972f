"""Runs the rehearsal and the engine's tests with the oldest and the newest versions of torch and transformers that are supported.

    python benchmarks/gpu/matrix.py --environments DIR      # about 12 GB and half an hour the first time

Each row is one environment: torch is installed once for all that share it, transformers in a folder of its own. The answers
of an environment are digested, so that the last column shows whether all environments wrote equal tokens. Exit: 0 all passed ·
1 something failed or tokens differ · 2 an environment cannot be made.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GPU = ROOT / "benchmarks" / "gpu"


@dataclass(frozen=True)
class Versions:
    """What one environment holds."""

    torch: str
    torchvision: str
    transformers: str

    @property
    def name(self) -> str:
        return f"torch {self.torch}, transformers {self.transformers}"


SUPPORTED = (
    Versions("2.11.0", "0.26.0", "5.10.1"),
    Versions("2.11.0", "0.26.0", "5.17.0"),
    Versions("2.14.1", "0.29.1", "5.23.0"),
)


class Environment:
    """The Python and the search path for one row."""

    def __init__(self, versions: Versions, folder: Path) -> None:
        self._versions = versions
        self._venv = folder / f"torch-{versions.torch}"
        self._extra = folder / f"transformers-{versions.transformers}"
        self.python = str(self._venv / "bin" / "python")

    def make(self) -> None:
        """Install what is missing. Raises CalledProcessError."""
        mark = self._venv / ".complete"
        if not mark.is_file():
            subprocess.run([sys.executable, "-m", "venv", str(self._venv)], check=True)
            wanted = [f"torch=={self._versions.torch}", f"torchvision=={self._versions.torchvision}"]
            self._pip(*wanted)
            held = self._venv / "constraints.txt"
            held.write_text("\n".join([*wanted, *_base_constraints()]) + "\n")
            self._pip("-c", str(held), "-e", f"{ROOT}[test]", "accelerate>=1.10", "bitsandbytes>=0.48")
            mark.touch()
        if not (self._extra / ".complete").is_file():
            self._pip("--target", str(self._extra), f"transformers=={self._versions.transformers}")
            (self._extra / ".complete").touch()

    def run(self, *command: str, log: Path) -> int:
        path = os.pathsep.join([str(self._extra), str(ROOT / "src")])
        settings = os.environ | {"PYTHONPATH": path}
        with log.open("w") as output:
            return subprocess.run(
                [self.python, *command], stdout=output, stderr=output, cwd=ROOT, env=settings, check=False
            ).returncode

    def _pip(self, *arguments: str) -> None:
        subprocess.run([self.python, "-m", "pip", "install", "-q", *arguments], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", type=Path, required=True, help="a folder for the environments, kept")
    parser.add_argument("--out", type=Path, default=Path("runs") / "gpu_matrix", help="reports and logs")
    options = parser.parse_args()
    failed, tokens = False, set()
    print("| environment | engine tests | rehearsal | measured, unavailable, failed | FP32 tokens |")
    print("| --- | --- | --- | --- | --- |")
    for versions in SUPPORTED:
        out = options.out / f"{versions.torch}-{versions.transformers}"
        out.mkdir(parents=True, exist_ok=True)
        environment = Environment(versions, options.environments.resolve())
        try:
            environment.make()
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"{versions.name}: the environment cannot be made: {error}", file=sys.stderr)
            return 2
        print(f"{versions.name}: testing", file=sys.stderr)
        tests = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/engines/test_transformers_vlm.py")
        tested = environment.run(*tests, log=out / "tests.log")
        once = (str(ROOT / "scripts" / "gpu_once"), "--device", "cpu", "--size", "tiny", "--limit", "3600")
        rehearsed = environment.run(*once, "--out", str(out), "--wheels", str(out / "none"), log=out / "once.log")
        counts, written = _read(out / "not-a-gpu.json")
        tokens.add(written)
        failed |= tested != 0 or rehearsed != 0
        print(
            f"| {versions.name} | {_said(tested, out / 'tests.log')} | exit {rehearsed} | {counts} | {written} |",
            flush=True,
        )
    if len(tokens) > 1:
        print("the environments wrote different tokens", file=sys.stderr)
    return 1 if failed or len(tokens) > 1 else 0


def _base_constraints() -> list[str]:
    """The tested versions of what the base install and the tests need, without those of the extras, which bring torch."""
    text = (ROOT / "constraints.txt").read_text()
    return [line for line in text.partition("# The extra torch.")[0].splitlines() if "==" in line]


def _read(report: Path) -> tuple[str, str]:
    """How the rows ended, and a digest of the tokens that the baseline wrote in FP32."""
    rows = json.loads(report.read_text())["rows"] if report.is_file() else {}
    ended = [row["status"] for row in rows.values()]
    others = len(ended) - ended.count("measured") - ended.count("unavailable")
    digests = {row["tokens"] for row in rows.values() if "tokens" in row}
    return f"{ended.count('measured')}, {ended.count('unavailable')}, {others}", " ".join(sorted(digests)) or "none"


def _said(status: int, log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if " passed" in line or " failed" in line]
    return lines[-1].strip("= ") if lines else f"exit {status}"


if __name__ == "__main__":
    sys.exit(main())
