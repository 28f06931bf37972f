"""Progress: plain lines in a log, a bar on a terminal, and no work of its own in either."""

import io
import threading

import pytest

from reelbench.report.progress import Progress


@pytest.fixture(autouse=True)
def _ctrl_c_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this process inherited: no line says how to stop it otherwise."""
    monkeypatch.setattr("reelbench.report.progress.how_to_stop", str)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_log_gets_one_line_a_clip_and_file() -> None:
    log = io.StringIO()
    with Progress(log) as progress:
        progress.stage("weights and clips")
        for done in range(0, 1_000_001, 1000):
            progress.bytes("ssd.pb", done, 1_000_000)
        progress.stage("measuring baseline")
        progress.start(20)
        for done in range(20):
            progress.update("bikes" if done < 10 else "cup\x1b", "timed", done, 20, 30.0 - done)
        progress.message("cup: refused")
    assert log.getvalue().splitlines() == [
        "weights and clips",
        "ssd.pb (1.0 MB)",
        "measuring baseline",
        "[1/20] bikes, about 30 s left",
        "[11/20] cup?, about 20 s left",
        "cup: refused",
    ]


def test_a_terminal_shows_clip_phase_and_time_left_and_is_left_clean(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    terminal = Terminal()
    before = threading.active_count()
    with Progress(terminal, redraw_s=0.0) as progress:
        progress.start(20)
        progress.update("bikes", "timed", 5, 20, 75.0)
        assert threading.active_count() == before, "no thread may redraw while a worker is measured"
        shown = terminal.getvalue()
        progress.message("one [red]line[/red]")
    assert "bikes" in shown
    assert "timed" in shown
    assert "5/20, about 1 min 15 s left" in shown
    assert "one [red]line[/red]" in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[2K") or "\x1b[?25h" in terminal.getvalue()


def test_a_terminal_is_redrawn_no_more_often_than_asked(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    with Progress(terminal, redraw_s=3600.0) as progress:
        progress.start(1000)
        progress.update("bikes", "timed", 0, 1000, None)
        size = len(terminal.getvalue())
        for done in range(1, 1000):
            progress.update("bikes", "timed", done, 1000, None)
        assert len(terminal.getvalue()) == size
