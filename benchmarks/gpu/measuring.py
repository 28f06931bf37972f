"""From a job to its figures: opens what the job's part needs, and frees it when another part's turn comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from arms import EQUAL, Arm
from jobs import NARRATION, Job, Settings, narration_jobs
from narration import Narration, Plan, free
from parts import PartArm, all_arms


class Measuring:
    """Measures jobs one after the other; neighbours of the same part share what is loaded."""

    def __init__(self, settings: Settings, narrator: list[Arm]) -> None:
        self._settings = settings
        self._narrator = {arm.name: arm for arm in narrator}
        full = "tiny" if settings.device == "cpu" else "full"
        folder = Path(settings.brought) if settings.brought else None
        store = Path(settings.store) if settings.store else None
        self._others: dict[tuple[str, str], PartArm] = {
            (arm.part, arm.name): arm for arm in all_arms(settings.device, full, brought=folder, store=store)
        }
        self._size = full
        self._open: tuple[str, Narration] | None = None

    def jobs(self) -> list[Job]:
        """All jobs of the chosen parts, the most valuable first: the narrator's sizes as given, then the other parts.

        Raises ValueError for a part that does not exist.
        """
        wanted = self._settings.parts
        known = {NARRATION, *(part for part, _ in self._others)}
        if unknown := sorted(set(wanted) - known):
            raise ValueError(f"no part {', '.join(unknown)}; there are {', '.join(sorted(known))}")
        found: list[Job] = []
        if NARRATION in wanted or not wanted:
            found += narration_jobs(self._settings.sizes, self._narrator, EQUAL)
        others = sorted(self._others.values(), key=lambda arm: arm.value)
        return found + [Job(a.part, a.name) for a in others if a.part in wanted or not wanted]

    def measure(self, job: Job) -> dict[str, Any]:
        """The figures of ``job``. Raises whatever measuring it raises."""
        if job.part != NARRATION:
            self._close()
            arm = self._others[job.part, job.arm]
            return arm.measure(self._settings.device, self._size, self._settings.rounds)
        narration = self._narration(job.size)
        arm_ = self._narrator[job.arm]
        return narration.speed(arm_) if job.kind == "speed" else narration.tokens(arm_)

    def tidy(self) -> None:
        """Free what the last arm left behind. The narrator's baseline stays."""
        free(self._settings.device)

    def _narration(self, size: str) -> Narration:
        if self._open is None or self._open[0] != size:
            self._close()
            settings = self._settings
            plan = Plan(size, settings.device, settings.windows, settings.tokens, settings.rounds)
            self._open = (size, Narration(plan, self._narrator["baseline"]))
        return self._open[1]

    def _close(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None
