"""Figures, table and page of a run, from a timeline written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from reelbench.bench.records import ClipRecord
from reelbench.report.system_data import gantt, held_up
from reelbench.report.system_page import write_system_page
from reelbench.report.system_terminal import reasons, system_table
from reelbench.system.costs import add_costs, critical_path
from reelbench.system.folder import SystemFolder
from reelbench.system.plans import LongestFirst, OneByOne, Resources, Stages, longest_ways
from reelbench.system.records import AnalyzerRecord, Outcome, Session, Span, SystemRecord
from reelbench.system.tasks import Machine, Task, Timing, Timings


def span(name: str, start_s: float, end_s: float, core: int, clip: str = "a", **more: object) -> Span:
    fields = {"session": 0, "kind": "task", "status": "done", "cpu_s": end_s - start_s, "clip": clip, "name": name}
    return Span.model_validate({**fields, "start_s": start_s, "end_s": end_s, "cores": (core,), **more})


SPANS = [
    span("decode", 0.0, 2.0, 0),
    span("ear", 0.0, 1.0, 1),
    span("eye", 2.0, 5.0, 0),
    span("gate", 2.0, 3.0, 1),
    span("judge", 5.0, 6.0, 1, status="failed", reason="<script>alert(1)</script>"),
]


@pytest.fixture
def folder(tmp_path: Path) -> SystemFolder:
    done = {"a": Outcome(status="done")}
    failed = {"a": Outcome(status="failed", reason="<script>alert(1)</script>")}
    record = SystemRecord(
        id="one", created="2026-01-01T00:00:00+00:00", command="reelbench system", corpus="folder", system="default",
        plan="auto", decode="once", cores=(0, 1), memory_bytes=4 * 10**9, key="k", status="failed",
        clips=[ClipRecord(name="a", status="measured", duration_s=10.0)],
        analyzers={
            "eye": AnalyzerRecord(name="eye", variant="plain", waits_for=("decode",), outcomes=done),
            "ear": AnalyzerRecord(name="ear", variant="plain", outcomes=done),
            "gate": AnalyzerRecord(name="gate", variant="plain", waits_for=("decode",), outcomes=done),
            "judge": AnalyzerRecord(name="judge", variant="plain", waits_for=("eye",), outcomes=failed),
            "absent": AnalyzerRecord(name="absent", variant="plain", unavailable="no weights", mend="pull them"),
        },
        sessions=[Session(began="2026-01-01T00:00:00+00:00", first_task_s=0.0, ended_s=6.0)],
    )  # fmt: skip
    made = SystemFolder.create(tmp_path, record, None)
    for one in SPANS:
        made.add(one)
    add_costs(record, made.spans)
    made.save()
    return made


def test_the_figures_add_up(folder: SystemFolder) -> None:
    totals, eye = folder.record.totals, folder.record.analyzers["eye"]
    assert totals.makespan_s == 6.0 and totals.x_realtime == pytest.approx(10 / 6)
    assert totals.utilisation == pytest.approx(8 / 12) and totals.decode_share == pytest.approx(2 / 8)
    assert eye.cpu_per_video_s == pytest.approx(0.3) and eye.share == pytest.approx(3 / 8)
    assert folder.record.analyzers["judge"].cpu_per_video_s is None


def test_a_decoder_that_waits_for_a_core_does_not_work(folder: SystemFolder) -> None:
    """Four seconds of wall time, three of them waiting: half of it decoding is half of the one second of processor time."""
    waited = {"decode_busy_s": 2.0, "run_queue_s": 3.0}
    add_costs(folder.record, [span("eye", 0.0, 4.0, 0, cpu_s=1.0, sample=waited)])
    assert folder.record.totals.decode_share == pytest.approx(0.5)
    assert folder.record.exit_code == 5


def test_the_critical_path_is_what_held_the_run_up(folder: SystemFolder) -> None:
    held, waited_s = held_up(folder.record, folder.spans)
    assert [(item.name, item.seconds) for item in held] == [("eye", 3.0), ("decode", 2.0), ("judge", 1.0)]
    assert waited_s == 0.0
    same = [span("x", 1.0, 1.0, 0), span("y", 1.0, 1.0, 0)]  # no time between them must not send it round in circles
    assert len(critical_path(same, [])) == 1


def test_the_page_shows_every_span_and_every_reason_and_runs_nothing_foreign(folder: SystemFolder) -> None:
    html = write_system_page(folder.path).read_text()
    chart = gantt(folder.record, folder.spans)
    assert chart is not None and len(chart.blocks) == 5 and [b.failed for b in chart.blocks].count(True) == 1
    assert all(f"{name}, a: " in html for name in ("eye", "ear", "gate", "judge", "decode"))
    assert "<script>alert" not in html and "&lt;script&gt;alert" in html
    assert "absent: unavailable: no weights (pull them)" in html


def test_the_table_has_each_analyzer_and_says_why(folder: SystemFolder) -> None:
    assert system_table(folder.record).row_count == 5
    assert [line.split(":")[0] for line in reasons(folder.record)] == ["judge", "absent"]


def test_the_longest_way_counts_what_waits_and_the_clips_to_come() -> None:
    tasks = [
        Task(clip, name, 10.0, rank, after)
        for rank, clip in enumerate("ab")
        for name, after in (("decode", ()), ("slow", ("decode",)), ("quick", ("decode",)), ("last", ("quick",)))
    ]
    seconds = {"decode": 0.1, "slow": 0.5, "quick": 0.1, "last": 0.2}
    timings = Timings(tasks={name: Timing(per_video_s=value) for name, value in seconds.items()})
    ways = longest_ways(tasks, timings)
    assert ways["a", "slow"] == pytest.approx(10) and ways["b", "quick"] == pytest.approx(3)
    plan = LongestFirst()
    plan.begin(tasks, timings, Machine((0, 1), 0))
    ready = [task for task in tasks if task.clip == "a" and task.name in ("slow", "quick")]
    assert plan.next(ready[::-1], [], Resources((0,))) == ready[0]


def test_one_by_one_and_stages_hold_back_what_must_wait() -> None:
    a, b, c = (Task("x", name, 1.0) for name in ("first", "second", "third"))
    assert OneByOne().next([b], [a], Resources((1,))) is None
    stages = Stages(
        [
            {"name": "heavy", "at_once": 2, "analyzers": ["first", "second"]},
            {"name": "rest", "at_once": 1, "analyzers": []},
        ]
    )
    assert stages.next([b, c], [a], Resources((1,))) == b
    assert stages.next([c], [a], Resources((1,))) is None
    assert stages.next([c, b], [], Resources((0, 1))) == b
