"""Docker's own prune: what lies in its images is its own, so that nothing but Docker removes any of it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from reelbench.disk import audit
from reelbench.errors import UnavailableError

_TIMEOUT_S: Final = 600


def commands(grace_s: float) -> list[list[str]]:
    """Dangling images and the build cache that nobody used within the grace period. Containers and volumes are never
    touched."""
    until = f"until={max(1, round(grace_s))}s"
    return [
        ["docker", "image", "prune", "--force", "--filter", until],
        ["docker", "builder", "prune", "--force", "--filter", until],
    ]


def prune(store: Path, grace_s: float) -> list[str]:
    """Run them; what Docker said last of each. UnavailableError where it cannot be asked or refuses."""
    said = []
    for command in commands(grace_s):
        audit.note(store, "docker", None, "", " ".join(command[:3]), 0, "asked for with --docker")
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UnavailableError(
                f"docker cannot be asked: {error}", "start its daemon, or leave out --docker"
            ) from error
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise UnavailableError(f"{' '.join(command[:3])}: {last}", "start its daemon, or leave out --docker")
        said.append((done.stdout.strip().splitlines() or ["nothing"])[-1])
    return said
