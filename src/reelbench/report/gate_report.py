"""What a gate tells: the terminal, Markdown for a pull request, JUnit XML for the CI system, JSON."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reelbench.comparison.gate.records import Answer, CheckResult, GateRecord, Judging, Question
from reelbench.report.ab_wording import calibration_line
from reelbench.report.terminal import console
from reelbench.report.wording import NONE, duration, plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

STYLES = {
    "passed": "bold green",
    "failed": "bold red",
    "invalid": "bold red",
    "inconclusive": "bold yellow",
    "unavailable": "bold yellow",
    "running": "bold yellow",
    "interrupted": "bold yellow",
}
EXIT_WORDS = {
    0: "passes", 1: "a limit is broken", 3: "not decided", 4: "something could not run here", 5: "figures must not be used",
    130: "interrupted: not everything was measured",
}  # fmt: skip
_LIMIT_WORDS = {
    "speed": "at most this much slower",
    "quality": "not worse",
    "memory": "peak memory",
    "cold start": "cold start",
}


def print_gate(record: GateRecord, page: Path | str = "", to: Console | None = None) -> None:
    """The verdict, then every check with its answers, then what the gate itself is worth."""
    from rich.text import Text

    target = to or console()
    words = EXIT_WORDS.get(record.exit_code, "")
    target.print(
        Text(record.status.upper(), style=STYLES[record.status]), _text(f" (exit {record.exit_code}: {words})"), sep=""
    )
    target.print(_text(record.sentence))
    for line in judging_lines(record):
        target.print(_text(f"  {line}", STYLES["failed" if record.judging_fails else "inconclusive"]))
    for check in record.checks:
        target.print()
        target.print(Text(f"{_status(check):<13}", style=STYLES[check.status]), _text(check.name, "bold"),
                     _text(f"  {check.corpus}, {check.measure}"), sep="")  # fmt: skip
        raised = {answer_line(answer) for answer in check.answers if answer.policy_limit is not None}
        for line in check_lines(check):
            target.print(_text(f"  {line}", "yellow" if line in raised else ""))
        if check.page:
            target.print(_text(f"  page: {check.page}"), soft_wrap=True)
    target.print()
    for line in foot_lines(record):
        target.print(_text(line))
    if page:
        target.print(_text(f"page: {page}"), soft_wrap=True)


def check_lines(check: CheckResult) -> list[str]:
    """What there is to say of a check, a line each."""
    lines = [answer_line(answer) for answer in check.answers]
    if check.text:
        lines.append(f"{check.status}: {check.text}")
    if check.hint:
        lines.append(f"hint: {check.hint}")
    return lines


def answer_line(answer: Answer) -> str:
    return f"{answer.question}: {answer.status}: {answer.text}"


def judging_lines(record: GateRecord) -> list[str]:
    """The files of the change that take part in judging, a line each."""
    files = record.judging.files if record.judging is not None else []
    return [f"{file.kind}: {file.path} ({file.change})" for file in files]


def raised_lines(record: GateRecord) -> list[str]:
    """The limits that the machine's floor raised, with both figures."""
    return [
        f"{check.name}: the policy's limit of {100 * answer.policy_limit:.3g} % was raised to this machine's floor, "
        f"{100 * answer.limit:.3g} %: a slow-down between the two is not seen"
        for check in record.checks
        for answer in check.answers
        if answer.policy_limit is not None and answer.limit is not None
    ]


def foot_lines(record: GateRecord) -> list[str]:
    """The machine's false alarms and power, what was compared, and every warning."""
    lines = [f"warning: {warning}" for warning in record.warnings]
    lines += [
        f"warning: {check.name} is {check.status}, which the policy allows" for check in record.checks if check.warn
    ]
    lines += [f"warning: {line}" for line in raised_lines(record)]
    lines.append(f"calibration: {calibration_line(record.calibration, record.fingerprint)}")
    lines.append(f"A: {side_words(record, 'a')}")
    lines.append(f"B: {side_words(record, 'b')}")
    cpu = record.machine.get("cpu", "")
    lines.append(f"machine: {record.fingerprint}{f' ({cpu})' if cpu else ''}, {duration(record.seconds)}")
    return lines


def side_words(record: GateRecord, letter: str) -> str:
    """'a1b2c3d (origin/main): Faster decoding; environment: …'."""
    side = record.a if letter == "a" else record.b
    words = side.label
    if side.ref and side.ref != side.label:
        words += f" ({side.ref})"
    if letter == "b" and side.commit:
        words += f", on {side.commit[:7]}"
    words += " with uncommitted changes" if side.dirty else ""
    words += f": {side.subject}" if side.subject else ""
    return f"{words}; environment: {side.environment}" if side.environment else words


def gate_json(record: GateRecord, page: Path | str = "") -> dict[str, Any]:
    """What ``--json`` prints: the record, its sentence, and the path of its page."""
    return {**record.model_dump(mode="json"), "sentence": record.sentence, "report": str(page)}


def markdown(record: GateRecord) -> str:
    """For a pull-request comment or a step summary. Names from outside cannot add markup to it."""
    lines = [f"### ReelBench gate: {_cell(record.policy)}: {record.status}", "", _cell(record.sentence), ""]
    if judged := judging_lines(record):
        word = "fails for this" if record.judging_fails else "warning"
        lines += [f"**Files of the change that take part in judging** ({word}):", ""]
        lines += [*(f"- {_cell(line)}" for line in judged), ""]
    lines += ["| check | status | speed | quality | memory | cold start |", "| --- | --- | --- | --- | --- | --- |"]
    for check in record.checks:
        cells = [_answer_cell(check, question) for question in ("speed", "quality", "memory", "cold start")]
        lines.append(f"| {_cell(check.name)} | **{_status(check)}** | {' | '.join(cells)} |")
    notes = [
        f"- {_cell(check.name)}: {_cell(line)}" for check in record.checks for line in check_lines(check) if check.text
    ]
    lines += ["", *notes] if notes else []
    lines += ["", "<details><summary>What this rests on</summary>", ""]
    lines += [f"- {_cell(line)}" for line in foot_lines(record)]
    lines += ["", f"`{record.command.replace('`', chr(39))}`" if record.command else "", "", "</details>", ""]
    return "\n".join(lines)


def junit(record: GateRecord) -> str:
    """One test suite a check, one test case a question; what the policy tolerates is skipped, with its reason."""
    from junitparser import JUnitXml, TestSuite

    whole: Any = JUnitXml(name=plain(f"reelbench gate {record.policy}"))
    for check in record.checks:
        suite = TestSuite(plain(f"{check.name} on {check.corpus}"))
        suite.timestamp = record.created[:19]  # the schema knows no time zone
        suite.add_property("a", plain(side_words(record, "a")))
        suite.add_property("b", plain(side_words(record, "b")))
        suite.add_property("machine", record.fingerprint)
        for position, question in enumerate(check.questions):
            suite.add_testcase(_case(check, question, check.seconds if position == 0 else 0.0))
        whole.append(suite)  # not add_testsuite, which merges suites of one name
    if record.judging is not None and record.judging.matters:
        whole.append(_judging_suite(record, record.judging))
    whole.update_statistics()
    text: str = whole.tostring().decode("utf-8")
    return text if text.startswith("<?xml") else f'<?xml version="1.0" encoding="utf-8"?>\n{text}'


def _judging_suite(record: GateRecord, judging: Judging) -> Any:
    """One test case: a change that edits what judges fails, or is skipped with a warning, as the policy says."""
    from junitparser import Failure, Skipped, TestCase, TestSuite

    suite = TestSuite("judging")
    suite.timestamp = record.created[:19]
    suite.add_property("a", plain(side_words(record, "a")))
    case = TestCase("files that take part in judging", "reelbench.gate.judging", 0.0)
    kind, status = (Failure, "failed") if record.judging_fails else (Skipped, "warning")
    case.result = [kind(plain(judging.sentence), status)]
    case.system_out = plain("; ".join(judging_lines(record)))
    suite.add_testcase(case)
    return suite


def _case(check: CheckResult, question: Question, seconds: float) -> Any:
    from junitparser import Error, Failure, Skipped, TestCase

    case = TestCase(question, plain(f"reelbench.gate.{check.analyzer}.{check.variant}"), seconds)
    answer = check.answer(question)
    status, text = (answer.status, answer.text) if answer else (check.status, f"{check.text} {check.hint}".strip())
    text = plain(text)
    if status != "passed":
        kind = Skipped if _tolerated(check, status) else Error if status in ("unavailable", "invalid") else Failure
        case.result = [kind(text, status)]
    if answer is not None:
        case.system_out = f"{_LIMIT_WORDS[question]}: {text}"
    return case


def _tolerated(check: CheckResult, status: str) -> bool:
    return check.tolerated and status == check.status


def _status(check: CheckResult) -> str:
    return f"{check.status}, allowed" if check.tolerated and check.status != "passed" else check.status


def _answer_cell(check: CheckResult, question: str) -> str:
    answer = check.answer(question)
    if answer is None:
        return NONE
    return _cell(answer.text if answer.status == "passed" else f"{answer.status}: {answer.text}")


def _cell(words: str) -> str:
    """One line of a table that means itself: no markup, no mention of a person, no link."""
    safe = plain(words).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    safe = re.sub(r"([\\`*_\[\]|#~])", r"\\\1", safe)
    return safe.replace("@", "@&#8203;").replace("://", ":&#8203;//")


def _text(words: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(plain(words), style=style)
