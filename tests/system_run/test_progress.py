"""How far a run is, how long it still takes, and how that is shown."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import pytest

from reelbench.report.system_progress import SystemProgress
from reelbench.system.pace import Pace, Standing, standings_of
from reelbench.system.runner import run_system
from reelbench.system.tasks import Task, Timing, Timings

from .scenario import composed

ROWS = [Standing("eye", 2, 1, 4, True), Standing("ear", 4, 0, 4), Standing("judge", 0, 0, 4)]


@pytest.fixture(autouse=True)
def _ctrl_c_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this process inherited: no line says how to stop it otherwise."""
    monkeypatch.setattr("reelbench.report.progress.how_to_stop", str)


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_the_whole_with_the_time_left_and_a_line_for_each_analyzer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for lines in (40, 6):  # one column, and as many as it takes
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.setenv("LINES", str(lines))
        terminal = Terminal()
        with SystemProgress(terminal, redraw_s=0.0) as progress:
            progress.start(12)
            progress.standings(ROWS, 75.0)
            shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
        assert "7/12, about 1 min 15 s left" in shown
        assert re.search(r"> eye +2/4 \(1 not done\)", shown) and re.search(r"ear +4/4", shown)
        beneath = [line for line in shown.splitlines() if re.search(r"\d/4", line)]
        assert len(beneath) == (3 if lines == 40 else 2)


def test_a_log_gets_a_plain_line_with_every_analyzer_now_and_then() -> None:
    log = StringIO()
    with SystemProgress(log, tell_every_s=0.0) as progress:
        progress.start(12)
        progress.update("a", "eye", 7, 12, 75.0)
        progress.standings(ROWS, 75.0)
    assert log.getvalue().splitlines() == [
        "[8/12] a, about 1 min 15 s left",
        "7 of 12 tasks over, about 1 min 15 s left: eye 2/4 (1 not done), ear 4/4, judge 0/4",
    ]


def test_a_run_tells_of_every_analyzer_until_all_are_over(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reelbench.system.executor.SHOW_EVERY_S", 0.0)
    log = StringIO()
    actors = {"eye": {"faults": {"b.mp4": "raise"}}}
    run_system(composed(clips, tmp_path, actors=actors), "test", SystemProgress(log, tell_every_s=0.0))
    last = [line for line in log.getvalue().splitlines() if "tasks over" in line][-1]
    assert last.startswith("15 of 15 tasks over"), last
    assert all(words in last for words in ("decode 3/3", "eye 2/3 (1 not done)", "judge 2/3 (1 not done)", "ear 3/3"))


def test_clips_that_ended_otherwise_are_not_called_done() -> None:
    tasks = [Task(clip, name, 1.0) for clip in "ab" for name in ("x", "y")]
    rows = standings_of(tasks, {("a", "x"): "done", ("b", "x"): "timed_out"}, [tasks[1]])
    assert rows == [Standing("x", 1, 1, 2), Standing("y", 0, 0, 2, True)]


def test_the_time_left_begins_with_the_prediction_and_goes_over_to_what_is_seen() -> None:
    tasks = [Task(str(clip), name, 10.0) for clip in range(4) for name in ("slow", "fast")]
    timings = Timings(tasks={"slow": Timing(per_video_s=0.3), "fast": Timing(per_video_s=0.05, beside=2.0)})
    pace = Pace(tasks, timings, predicted_s=8.0)  # all weigh 16 s: two cores
    assert pace.left_s(tasks, {}, 0.0) == pytest.approx(8.0)
    pace.ended(tasks[0], 6.0)
    pace.ended(tasks[1], 2.0)
    # A quarter is done, in twice the predicted time: 12 s of weight are left at 0.5 s, and a little more than that.
    assert pace.left_s(tasks[2:], {}, 4.0) == pytest.approx(12 * (0.25 * 1.0 + 0.75 * 0.5))
    assert pace.left_s(tasks[2:], {tasks[2].key: 1.0}, 4.0) < pace.left_s(tasks[2:], {}, 4.0)
    assert pace.left_s([], {}, 4.0) == 0.0


def test_without_timings_the_time_left_is_not_guessed_before_something_is_done() -> None:
    tasks = [Task(str(clip), name, 10.0) for clip in range(4) for name in ("slow", "fast")]
    pace = Pace(tasks, Timings())
    assert pace.left_s(tasks, {}, 0.0) is None
    pace.ended(tasks[0], 6.0)
    pace.ended(tasks[1], 2.0)
    assert pace.left_s(tasks[2:], {}, 8.0) == pytest.approx(24.0)
