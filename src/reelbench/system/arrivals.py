"""When each clip of a run comes. A task is ready only when its clip is there."""

from __future__ import annotations


class Arrivals:
    """All clips are there from the beginning. Seconds count from the first task of the session (`Session.first_task_s`).

    ``at`` may answer infinity for a clip of which is not known yet when it comes; it is asked again. ``ended`` is told when all tasks
    of a clip are over.
    """

    def at(self, clip: str) -> float:
        return 0.0

    def ended(self, clip: str, at_s: float) -> None:
        pass
