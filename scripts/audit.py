"""Hold the locked packages against published vulnerabilities, with pip-audit.

    python scripts/audit.py

Exits with 1 where one is found that `scripts/vulnerabilities.txt` does not list with a reason. Where pip-audit is not installed, or
where the advisories cannot be reached, it says in one line that nothing was audited, and exits with 0.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from lock import LOCKS, ROOT, locked_versions

ACCEPTED = ROOT / "scripts" / "vulnerabilities.txt"
PROBE = "packaging"
"""This one is asked about first: where even it is unknown, there are no advisories to be had."""
SOCKET_S, PROBE_S, AUDIT_S = 5, 20, 300


class NotAuditedError(Exception):
    """Nothing can be said about vulnerabilities; the text says why."""


def accepted(file: Path = ACCEPTED) -> dict[str, str]:
    """The reason for each id that is listed; ValueError for an id without one."""
    lines = [line.split(maxsplit=1) for line in file.read_text(encoding="utf-8").splitlines()]
    listed = [words for words in lines if words and not words[0].startswith("#")]
    if bare := [words[0] for words in listed if len(words) < 2]:
        raise ValueError(f"{file.name}: no reason is given for {', '.join(bare)}")
    return {words[0]: words[1] for words in listed}


def ask(pins: dict[str, str], timeout_s: float) -> list[dict[str, Any]]:
    """What pip-audit says of each package. Raises NotAuditedError where it cannot say anything."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"{name}=={version}\n" for name, version in sorted(pins.items()))
        file.flush()
        command = [
            "pip-audit",
            "-r",
            file.name,
            "--no-deps",
            "--disable-pip",
            "--progress-spinner",
            "off",
            "-f",
            "json",
        ]
        command += ["--timeout", str(SOCKET_S)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
        except FileNotFoundError:
            raise NotAuditedError("pip-audit is not installed (pip install pip-audit)") from None
        except subprocess.TimeoutExpired:
            raise NotAuditedError(f"no answer within {timeout_s:g} s") from None
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        said = (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
        raise NotAuditedError(said) from None
    if all("skip_reason" in package for package in packages):
        raise NotAuditedError("the index that pip-audit asks has no advisories, or cannot be reached")
    return packages


def main() -> None:
    listed = accepted()
    pins = {name: version for lock in LOCKS for name, version in locked_versions(ROOT / lock).items()}
    try:
        ask({PROBE: pins[PROBE]}, PROBE_S)
        packages = ask(pins, AUDIT_S)
    except NotAuditedError as error:
        print(f"pip-audit: nothing was audited: {error}")
        return
    found = [
        f"{package['name']} {package['version']}: {one['id']}: fixed in {', '.join(one['fix_versions']) or 'no version yet'}"
        for package in packages
        for one in package.get("vulns", [])
        if not {one["id"], *one.get("aliases", [])} & set(listed)
    ]
    if found:
        sys.exit("\n".join([*found, f"update constraints.txt, or give a reason in {ACCEPTED.relative_to(ROOT)}"]))
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    print(f"pip-audit: {len(packages) - len(skipped)} packages, {len(listed)} accepted vulnerabilities", end="")
    print(f"; not audited: {', '.join(skipped)}" if skipped else "")


if __name__ == "__main__":
    main()
