"""The table that a run ends with: true to the record, readable in any window, deaf to hostile names."""

from pathlib import Path

import pytest

from reelbench.bench.records import QualityRecord
from reelbench.errors import AnalyzerError, UnavailableError
from reelbench.report.rows import Row, as_json
from reelbench.report.terminal import run_text
from reelbench.report.wording import duration, evidence_line, number
from support.runs import make_run


def _line(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(start))


def test_a_row_holds_the_figures_of_the_record(tmp_path: Path) -> None:
    record = make_run(tmp_path / "run", variant="optimized")
    line = _line(run_text([record]), "optimized")
    for key in ("x_realtime", "frame_ms_p50", "frame_ms_p95", "cold_start_s"):
        assert number(record.summary[key]) in line
    assert f"{record.summary['rss_peak_bytes'] / 1e6:.0f}" in line
    assert "0.710" in line
    assert "opencv CPU fp32" in line


@pytest.mark.parametrize("width", [40, 63, 64, 80, 95, 96, 100, 160])
def test_no_figure_is_lost_in_any_window(tmp_path: Path, width: int) -> None:
    record = make_run(tmp_path / "run", variant="openvino_int8")
    text = run_text([record], width=width)
    assert max(len(line) for line in text.splitlines()) <= width
    for shown in (
        number(record.summary["x_realtime"]),
        number(record.summary["frame_ms_p95"]),
        "0.710",
        "openvino_int8",
    ):
        assert shown in text
    assert "opencv CPU fp32" in text


def test_what_went_wrong_stands_under_the_table(tmp_path: Path) -> None:
    refused = {"b.mp4": "not a video"}
    rows = [
        make_run(tmp_path / "a", invalid="int8 was requested, fp32 executed", refused_clips=refused),
        make_run(tmp_path / "b", variant="trt", effective="openvino_fp32"),
        Row.failed("trt_int8", UnavailableError("no NVIDIA GPU", "run it where there is one")),
        Row.failed("yolo", AnalyzerError("the worker died")),
    ]
    text = run_text(rows, "/runs/report.html")
    assert "invalid" in _line(text, "baseline")
    assert "openvino_fp32" in _line(text, "trt → ")
    assert "unavailable" in _line(text, "trt_int8")
    assert "failed" in _line(text, "yolo")
    for line in (
        "invalid: int8 was requested, fp32 executed",
        "clip: b.mp4 refused: not a video",
        "fallback: trt needs an NVIDIA GPU",
        "mend: run it where there is one",
        "failed: the worker died",
    ):
        assert f"  {line}" in text
    assert text.count("synthetic numbers") == 1, "a note of every variant is said once"
    assert text.rstrip().endswith("/runs/report.html")


def test_agreement_is_named_with_its_reference(tmp_path: Path) -> None:
    agreement = QualityRecord(reference="baseline", agreement={"agreement_f1": 0.913}, absent={"map50": "no truth"})
    mixed = [make_run(tmp_path / "a", quality=agreement), make_run(tmp_path / "b", variant="other")]
    text = run_text(mixed, width=130)
    assert "F1 at IoU 0.5 vs baseline 0.913" in text
    assert "mAP@0.5 0.710" in text, "two metrics in one column are both named"


def test_hostile_names_reach_the_terminal_as_text(tmp_path: Path) -> None:
    record = make_run(tmp_path / "a", refused_clips={"\x1b[2J[red]x\u202e.mp4": "bad\nline"})
    text = run_text([record])
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "?[2J[red]x?.mp4 refused: bad?line" in text


def test_json_has_null_for_what_was_not_measured() -> None:
    found = as_json([Row.failed("trt", UnavailableError("no GPU", "buy one"))], "page.html")
    assert found["report"] == "page.html"
    row = found["rows"][0]
    assert (row["variant"], row["status"], row["reason"], row["hint"]) == ("trt", "unavailable", "no GPU", "buy one")
    assert row["x_realtime"] is None
    assert row["quality"] is None


def test_evidence_says_how_much_ran_in_the_precision() -> None:
    evidence = {
        "engine": "openvino",
        "device": "CPU",
        "precision": "int8",
        "verified_on_hardware": False,
        "details": {"convolutions": {"int8": 47, "fp32": 3}, "threads": 2},
    }
    assert evidence_line(evidence) == "openvino CPU int8, 94 % of convolutions, not verified on this machine"
    proved = {"verified_on_hardware": True, "verified": "parity 3e-04 on this machine, 2026-03-01"}
    checks = {"library": "checked", "device": "checked", "precision": "self-reported"}
    assert evidence_line(evidence | proved | {"checks": checks}).endswith(
        "verified: parity 3e-04 on this machine, 2026-03-01, self-reported: precision"
    )


def test_numbers_read_as_people_write_them() -> None:
    values = (None, float("nan"), 0, 0.01234, 0.5, 9.996, 12.34, 123.4, 12345.6)
    assert [number(value) for value in values] == ["–", "–", "0", "0.0123", "0.500", "10.00", "12.3", "123", "12346"]
    assert [duration(value) for value in (7.6, 125, 3725)] == ["8 s", "2 min 05 s", "1 h 02 min"]
