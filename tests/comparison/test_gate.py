"""A gate's answers, from comparisons as they are on disk; its policy; what it tells."""

from __future__ import annotations

import io
import os
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from reelbench.bench.environment import environment
from reelbench.bench.run_folder import RunFolder
from reelbench.comparison.calibrated import write_calibration
from reelbench.comparison.folder import read_comparison
from reelbench.comparison.gate import judge as gate_judge
from reelbench.comparison.gate.checks import answer_check, new_result, tolerate
from reelbench.comparison.gate.folder import FILE, kept
from reelbench.comparison.gate.order import Order, check_calibration, check_floor, first_config, pairs_of
from reelbench.comparison.gate.policy import Check, Policy, read_policy
from reelbench.comparison.gate.records import CheckResult, GateRecord, Judging, Side
from reelbench.comparison.records import Effect, Look
from reelbench.comparison.rule import Rule
from reelbench.errors import ConfigError, UnavailableError
from reelbench.paths import conf_dir
from reelbench.report.gate_page import write_gate_page
from reelbench.report.gate_report import junit, markdown, print_gate
from support.comparisons import make_calibration, make_comparison

ORDERS = (
    [],
    ["system-out"],
    *([tag, *more] for tag in ("failure", "error", "skipped") for more in ([], ["system-out"])),
)
CHECK = Check(analyzer="object_detection", variants=("optimized",), memory=0.10, cold_start=0.25)


def judged(folder: Path, check: Check = CHECK, policy: Policy | None = None) -> CheckResult:
    result = new_result(check, "optimized")
    record = read_comparison(folder)
    starts = record.a.cold_starts_s, record.b.cold_starts_s
    answer_check(result, record, check, (folder / "a", folder / "b"), starts)
    return tolerate(result, policy or Policy(name="p", checks=(check,)))


def recorded(*results: CheckResult, interrupted: bool = False) -> GateRecord:
    record = GateRecord(
        id="g", created="2026-03-01T12:00:00+00:00", policy="p", design="code", command="reelbench gate --against main",
        fingerprint="f", a=Side(label="a1b2c3d", ref="main"), b=Side(label="working tree", dirty=True),
        checks=list(results), interrupted=interrupted,
    )  # fmt: skip
    record.conclude()
    return record


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.5, 0.6, "passed"), (0.99, 1.04, "passed"), (1.02, 1.06, "inconclusive"), (1.06, 1.2, "failed"), (1.05, 1.1, "inconclusive"),
     (0.0, float("inf"), "inconclusive")],
)  # fmt: skip
def test_speed_fails_only_where_the_whole_interval_lies_beyond_the_limit(
    low: float, high: float, expected: str
) -> None:
    effect = Effect(ratio=(low + min(high, 9)) / 2, low=low, high=high, pairs=12)
    assert gate_judge.speed(effect, 0.05).status == expected
    assert gate_judge.speed(None, 0.05).status == "inconclusive"


def test_a_limit_below_the_machines_floor_is_raised_to_it_and_said(tmp_path: Path) -> None:
    answer = gate_judge.speed(Effect(ratio=1.07, low=1.06, high=1.08, pairs=12), 0.05, floor=0.1)
    assert answer.status == "passed" and (answer.limit, answer.policy_limit) == (0.1, 0.05)
    assert "the policy's limit is 5 %, raised to this machine's floor of 10 %" in answer.text
    assert gate_judge.speed(None, 0.05, floor=0.01).policy_limit is None

    check = new_result(CHECK, "optimized").model_copy(update={"status": "passed", "answers": [answer]})
    said = "the policy's limit of 5 % was raised to this machine's floor, 10 %"
    page = write_gate_page(recorded(check), tmp_path / "gate.html").read_text()
    assert said.replace("'", "&#39;") in page and "Raised limit" in page
    assert said in markdown(recorded(check))
    terminal = Console(record=True, force_terminal=True, color_system="standard", width=200, file=io.StringIO())
    print_gate(recorded(check), to=terminal)
    assert "\x1b[33m  speed: passed" in terminal.export_text(styles=True)


def test_a_floor_beyond_the_policys_bound_refuses_where_it_would_raise_a_limit() -> None:
    known = make_calibration().model_copy(update={"floor": 0.2})
    policy = Policy(name="p", checks=(CHECK,))
    with pytest.raises(UnavailableError, match=r"floor is 20 %.* limit of 5 % .* 10 % at most") as refused:
        check_floor(policy, known)
    assert "reelbench calibrate" in refused.value.hint and "largest_floor" in refused.value.hint
    check_floor(policy.model_copy(update={"largest_floor": 0.2}), known)
    check_floor(Policy(name="p", checks=(CHECK.model_copy(update={"largest_slow_down": 0.3}),)), known)
    check_floor(policy, known.model_copy(update={"floor": 0.1}))
    check_floor(policy, None)


@pytest.mark.parametrize(("action", "code"), [("warn", 0), ("fail", 1)])
@pytest.mark.parametrize("by", ["commit", "change"])
def test_a_change_of_the_judge_is_said_everywhere_and_fails_where_the_policy_says_so(
    action: str, code: int, by: str, tmp_path: Path
) -> None:
    file = {"path": "conf/gate/<p>.yaml", "kind": "gate policy", "change": "changed"}
    files = [] if by == "change" else [file]
    passed = new_result(CHECK, "optimized").model_copy(update={"status": "passed"})
    record = recorded(passed)
    record.judging = Judging.model_validate({"by": by, "why": "too old", "action": action, "files": files})
    record.conclude()
    assert record.exit_code == code
    said = "what judged was the commit's" if files else "The change judged itself: too old"
    page = write_gate_page(record, tmp_path / "gate.html").read_text()
    assert said.replace("'", "&#39;") in page and said in markdown(record)
    root = ElementTree.fromstring(junit(record).encode())
    result = root.find(f"testsuite[@name='judging']/testcase/{'failure' if code else 'skipped'}")
    assert result is not None and said in result.attrib["message"]
    record.judging = Judging(by="commit", action="fail")
    record.conclude()
    assert record.exit_code == 0 and "judg" not in record.sentence and "judging" not in junit(record)


def test_measuring_ends_when_the_limit_is_answered_not_when_a_verdict_is_there() -> None:
    rule = Rule(delta=0.03, limit=0.05)

    def look(low: float, high: float, verdict: str) -> Look:
        effect = Effect(ratio=(low + high) / 2, low=low, high=high, pairs=10)
        return Look.model_validate({"pairs": 10, "threshold": 0.0158, "effect": effect, "verdict": verdict})

    assert rule.decides(look(0.93, 1.04, "inconclusive"))  # slower by 5 % it is not: enough
    assert not rule.decides(look(1.035, 1.08, "slower"))  # slower, but by as much as the gate allows?
    assert rule.decides(look(1.06, 1.10, "slower"))
    assert not Rule(delta=0.03).decides(look(0.93, 1.04, "inconclusive"))


def test_quality_memory_and_cold_start_each_break_a_check(tmp_path: Path) -> None:
    good = judged(make_comparison(tmp_path, name="good"))
    assert [answer.status for answer in good.answers] == ["passed"] * 4 and good.status == "passed"

    worse = judged(make_comparison(tmp_path, name="worse", quality="worse"))
    assert worse.status == "failed" and worse.answer("quality").status == "failed"  # type: ignore[union-attr]
    assert worse.answer("speed").status == "passed"  # type: ignore[union-attr]

    heavy = make_comparison(tmp_path, name="heavy")
    run = RunFolder.open(heavy / "b")
    for row in run.samples:
        row["rss_peak_bytes"] *= 1.2
    run.record.summary["rss_peak_bytes"] *= 1.2
    run.save()
    result = judged(heavy)
    assert result.status == "failed" and result.answer("memory").status == "failed"  # type: ignore[union-attr]
    assert "RSS peak" in result.answer("memory").text  # type: ignore[union-attr]

    open_ = judged(make_comparison(tmp_path, name="open", quality="underpowered"))
    assert open_.status == "inconclusive"


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [([1.0] * 5, [1.1] * 5, "passed"), ([1.0] * 5, [1.4] * 5, "failed"), ([1.0] * 5, [1.4, 1.4, 1.4, 1.4, 1.0], "inconclusive"),
     ([1.0], [2.0], "inconclusive"), ([1.0], [1.0], "inconclusive"), ([], [], "inconclusive")],
)  # fmt: skip
def test_cold_start_fails_only_where_every_start_agrees(a: list[float], b: list[float], expected: str) -> None:
    assert gate_judge.cold_start(a, b, 0.25).status == expected


def test_an_invalid_comparison_beats_every_answer(tmp_path: Path) -> None:
    check = judged(make_comparison(tmp_path, invalid="arm b: what executed: asked for int8, ran fp32"))
    assert check.status == "invalid" and not check.answers and "asked for int8" in check.text
    lenient = Policy(name="p", checks=(CHECK,), on_inconclusive="pass", on_unavailable="pass")
    assert not tolerate(check, lenient).tolerated
    slower = judged(make_comparison(tmp_path, name="slower", ratio=1.5))
    assert recorded(slower, check).exit_code == 5


def test_the_worst_that_is_not_allowed_decides_the_exit_code(tmp_path: Path) -> None:
    passed, failed = judged(make_comparison(tmp_path, name="x")), judged(make_comparison(tmp_path, name="y", ratio=1.5))
    open_ = judged(make_comparison(tmp_path, name="z", quality="underpowered"))
    absent = tolerate(new_result(CHECK, "trt").model_copy(update={"status": "unavailable", "text": "no GPU"}),
                           Policy(name="p", checks=(CHECK,)))  # fmt: skip
    assert recorded(passed).exit_code == 0
    assert recorded(passed, open_).exit_code == 3
    assert recorded(open_, absent).exit_code == 4
    assert recorded(absent, failed, open_).exit_code == 1
    assert recorded(passed, interrupted=True).exit_code == 130
    lenient = Policy(name="p", checks=(CHECK,), on_inconclusive="warn", on_unavailable="pass")
    allowed = recorded(tolerate(open_, lenient), tolerate(absent, lenient), passed)
    assert allowed.exit_code == 0 and "2 of them allowed" in allowed.sentence


def test_junit_counts_add_up_and_say_why(tmp_path: Path) -> None:
    lenient = Policy(name="p", checks=(CHECK,), on_inconclusive="warn")
    results = [
        judged(make_comparison(tmp_path, name="x")),
        judged(make_comparison(tmp_path, name="y", ratio=1.5)),
        judged(make_comparison(tmp_path, name="z", quality="underpowered"), policy=lenient),
        judged(make_comparison(tmp_path, name="w", invalid="clip \x1b[31m\x00.mp4 & <b> failed")),
    ]
    root = ElementTree.fromstring(junit(recorded(*results)).encode())
    assert root.tag == "testsuites"
    counts = {
        "tests": "testcase",
        "failures": "testcase/failure",
        "errors": "testcase/error",
        "skipped": "testcase/skipped",
    }
    for suite in root.findall("testsuite"):
        for attribute, path in counts.items():
            assert int(suite.attrib[attribute]) == len(suite.findall(path)), (suite.attrib, attribute)
        assert suite.attrib["name"] == "object_detection optimized on demo"
        assert float(suite.attrib["time"]) >= 0
        assert datetime.fromisoformat(suite.attrib["timestamp"]).tzinfo is None
        assert [child.tag for child in suite] == ["properties", *["testcase"] * 4]
        for case in suite.findall("testcase"):
            assert [child.tag for child in case] in ORDERS
            assert case.attrib["classname"] == "reelbench.gate.object_detection.optimized"
            assert case.attrib["name"] in ("speed", "quality", "memory", "cold start")
    for attribute, path in counts.items():
        assert int(root.attrib[attribute]) == len(root.findall(f"testsuite/{path}"))
    kinds = [[child.tag for case in suite.findall("testcase") for child in case if child.tag != "system-out"]
             for suite in root.findall("testsuite")]  # fmt: skip
    assert kinds == [[], ["failure"], ["skipped"], ["error"] * 4]
    failure = root.find("testsuite/testcase/failure")
    assert failure is not None and "at most +5 % allowed" in failure.attrib["message"]


def test_markdown_and_page_show_every_check_and_no_foreign_markup(tmp_path: Path) -> None:
    folder = make_comparison(tmp_path / "comparisons", name="x", ratio=1.5)
    result = judged(folder)
    result.page = str(folder / "report.html")
    evil = new_result(CHECK, "optimized").model_copy(
        update={"status": "invalid", "text": "clip a|b`<img src=x>`@admin ![x](http://e.vil) failed"}
    )
    record = recorded(result, evil)
    text = markdown(record)
    assert "| object\\_detection optimized | **failed** | failed: time +" in text
    assert "<img" not in text and "@admin" not in text and "http://e" not in text
    rows = [line for line in text.splitlines() if line.startswith("| object")]
    assert all(line.replace("\\|", "").count("|") == 7 for line in rows)

    page = write_gate_page(record, tmp_path / "elsewhere" / "gate.html")
    html = page.read_text()
    assert "<img" not in html and "a limit is broken" not in html and "figures must not be used" in html
    assert f'href="{os.path.relpath(folder / "report.html", page.parent)}"' in html
    assert "http" not in html.replace("http-equiv", "").replace("http://e.vil", "")


def test_a_gate_that_was_interrupted_says_so_and_keeps_what_it_has(tmp_path: Path) -> None:
    record = recorded(judged(make_comparison(tmp_path, name="x")))
    with pytest.raises(KeyboardInterrupt), kept(record, tmp_path / "runs") as folder:
        raise KeyboardInterrupt
    found = GateRecord.model_validate_json((folder / FILE).read_bytes())
    assert found.exit_code == 130 and found.status != "passed" and len(found.checks) == 1


def test_a_gate_wants_a_calibrated_and_quiet_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELBENCH_CALIBRATION", str(tmp_path))
    with pytest.raises(UnavailableError, match="never calibrated") as refused:
        check_calibration(False)
    assert "reelbench calibrate" in refused.value.hint
    assert check_calibration(True) is None

    here = environment()["fingerprint"]
    write_calibration(make_calibration(40, 200).model_copy(update={"fingerprint": here, "false_alarm_low": 0.15}))
    with pytest.raises(UnavailableError, match=r"at least 15\.0 % of decisions"):
        check_calibration(False)
    write_calibration(make_calibration(7, 200).model_copy(update={"fingerprint": here}))
    found = check_calibration(False)
    assert found is not None and found.false_alarms == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("checks: [", "no YAML"),
        ("- a", "a policy has a name and checks"),
        ("checks: []", "checks: Tuple should have at least 1 item"),
        ("checks: [{analyzer: x, variants: []}]", "checks.0.variants"),
        ("checks: [{analyzer: x, variants: [y], speed: 0.1}]", "checks.0.speed: Extra inputs"),
        ("checks: [{analyzer: x, variants: [y], largest_slow_down: -1}]", "checks.0.largest_slow_down"),
        ("checks: [{analyzer: x, variants: [y], largest_slow_down: .nan}]", "checks.0.largest_slow_down"),
        ("checks: [{analyzer: x, variants: [y, y]}]", "names a variant twice"),
        ("checks: [{analyzer: x, variants: [y], largest_slow_down: null, quality_margin: null}]", "asks for nothing"),
        ("checks: [{analyzer: x, variants: [y]}]\non_inconclusive: maybe", "on_inconclusive"),
        ("checks: [{analyzer: x, variants: [y]}]\non_changed_judge: pass", "on_changed_judge"),
        ("checks: [{analyzer: x, variants: [y]}]\nlargest_floor: 0", "largest_floor"),
    ],
)
def test_a_bad_policy_is_one_line_that_says_where(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_policy(str(file), [])
    assert str(file) in refused.value.message and said in refused.value.message


def test_policies_are_found_by_name_and_every_shipped_one_composes() -> None:
    from reelbench.config import compose

    with pytest.raises(ConfigError, match="there is no gate policy 'nosuch'") as refused:
        read_policy("nosuch", [conf_dir()])
    assert "default, thorough" in refused.value.hint
    for file in (conf_dir() / "gate").glob("*.yaml"):
        policy = read_policy(file.stem, [conf_dir()])
        assert policy.name == file.stem
        for check, variant in pairs_of(policy):
            config = compose(check.overrides(variant))
            assert config.comparison.quality_margin == check.quality_margin


def test_a_gate_judges_no_fallback() -> None:
    order = Order(Policy(name="p", checks=(CHECK,)), settings=("on_unavailable=fallback",))
    with pytest.raises(ConfigError, match="nothing in its place"):
        first_config(order)
