"""Run the whole examination (every engine in a process of its own, then the machine) and store its result."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from reelbench.doctor import engines
from reelbench.doctor.engine_check import EngineCheck, EngineResult
from reelbench.doctor.findings import Finding, findings
from reelbench.engines import proofs
from reelbench.errors import EXIT_INCONCLUSIVE, EXIT_OK, EXIT_UNAVAILABLE
from reelbench.machine import arithmetic, fingerprint, machine
from reelbench.owners import temporary_folder

SCHEMA_VERSION = 1
TIMEOUT_S = 600.0
Tell = Callable[[str], None]


@dataclass(slots=True)
class Examination:
    """The result of an examination. ``stored``: the file with the proofs; empty where no engine was looked at."""

    engines: list[EngineResult] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    stored: str = ""

    @property
    def exit_code(self) -> int:
        """4 where an engine computes wrongly or something needed is missing, 3 where something is to be looked at, else 0."""
        if any(one.status == "failed" for one in self.engines) or any(one.level == "wrong" for one in self.findings):
            return EXIT_UNAVAILABLE
        if any(one.status == "error" for one in self.engines) or any(one.level == "look" for one in self.findings):
            return EXIT_INCONCLUSIVE
        return EXIT_OK

    def document(self) -> dict[str, Any]:
        """Everything, as JSON."""
        return {
            "schema_version": SCHEMA_VERSION,
            "exit_code": self.exit_code,
            "fingerprint": fingerprint(),
            "arithmetic": arithmetic(),
            "machine": machine(),
            "engines": [asdict(one) for one in self.engines],
            "findings": [asdict(one) for one in self.findings],
            "stored": self.stored,
        }


def examine(tell: Tell, with_engines: bool = True) -> Examination:
    """Look at everything; ``tell`` is told what is looked at. Raises OutputError where the proofs cannot be stored."""
    found = Examination()
    if with_engines:
        names = [module.name for module in iter_modules(engines.__path__)]
        for at, name in enumerate(names, 1):
            tell(f"engine {name} ({at} of {len(names)})")
            found.engines += engine_results(f"{engines.__name__}.{name}")
        proved = [proof for one in found.engines if (proof := one.proof()) is not None]
        found.stored = str(proofs.keep(proved, fingerprint()))
    tell("machine, store and disks")
    found.findings = list(findings())
    return found


def engine_results(module: str, timeout_s: float = TIMEOUT_S) -> list[EngineResult]:
    """The results of one module's checks; a check that takes its process down has failed, and the next ones go on in another."""
    expected: list[EngineCheck] = list(import_module(module).checks())
    results: list[EngineResult] = []
    while len(results) < len(expected):
        got, died = _in_a_process(module, len(results), timeout_s)
        results += got
        if len(results) < len(expected):
            check = expected[len(results)]
            reason = died or "the process ended too early"
            results.append(
                EngineResult(check.engine, check.device, check.precision, "failed", _version(check), reason=reason)
            )
    return results


def _in_a_process(module: str, first: int, timeout_s: float) -> tuple[list[EngineResult], str]:
    with temporary_folder("reelbench-doctor-") as folder:
        target = folder / "results.json"
        command = [sys.executable, "-m", "reelbench.doctor.engine_check", module, str(target), str(first)]
        environment = {**_environment(), "PYTHONPATH": ":".join(str(Path(one).absolute()) for one in sys.path)}
        died = ""
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=timeout_s, env=environment
            )
            if done.returncode:
                died = _last_words(done.returncode, done.stderr)
        except subprocess.TimeoutExpired:
            died = f"no answer within {timeout_s:g} s"
        rows = json.loads(target.read_text(encoding="utf-8")) if target.is_file() else []
        return [EngineResult(**row) for row in rows], died


def _environment() -> dict[str, str]:
    import os

    return dict(os.environ)


def _last_words(code: int, errors: str) -> str:
    if code < 0:
        return f"the process died of {signal.Signals(-code).name}"
    last = errors.strip().splitlines()[-1:] or ["no message"]
    return f"the process ended with exit code {code}: {last[0][:200]}"


def _version(check: EngineCheck) -> str:
    try:
        return check.version()
    except (ImportError, OSError):
        return ""


def lines(found: Examination) -> Iterator[str]:
    """What was found, a line for each check, for a terminal."""
    if found.engines:
        yield "Engines, compared with ONNX Runtime on the CPU in FP32 (docs/doctor.md):"
    for one in found.engines:
        head = f"  {one.status:<11} {one.engine:<21} {one.device:<6} {one.precision:<4}"
        if one.status == "ok":
            networks = f"{len(one.networks)} network{'s' if len(one.networks) > 1 else ''}"
            figures = f"relative error {one.relative:.1e}, cosine {one.cosine:.5f}"
            yield f"{head}  {figures}, {networks}, {one.seconds:.1f} s ({one.version})"
        else:
            yield f"{head}  {one.reason}{f' ({one.mend})' if one.mend else ''}"
    yield "Machine, store and disks:"
    for item in found.findings:
        yield f"  {item.level:<11} {item.name}: {item.text}{f' ({item.mend})' if item.mend else ''}"
    if found.stored:
        yield f"Proofs are kept in {found.stored}."
