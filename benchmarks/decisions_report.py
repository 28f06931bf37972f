"""The table of `decisions.py`: what each rule said of the same samples, in two designs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log
from statistics import fmean, median, stdev
from typing import Any

from peers import RULES, Said

from reelbench.comparison.clusters import ASSUMED, Components, components
from reelbench.comparison.rule import Rule
from reelbench.comparison.statistics import clopper_pearson, hodges_lehmann
from reelbench.report.wording import duration

REELBENCH = "ReelBench"
LONGEST_GAP_S = 120.0
"""Stretches further apart were not measured one after the other: an interruption lies between."""
DELTA = 0.03
LOOKS = (10, 15, 20, 25, 30)


@dataclass(frozen=True, slots=True)
class Question:
    """Samples of A and B, in the order of measuring (seconds), how much slower B really was, and which processes measured each pair
    (None: not recorded)."""

    slow_down: float
    a: Sequence[float]
    b: Sequence[float]
    processes: Sequence[int] | None = None


def interleaved(decisions: Sequence[dict[str, Any]]) -> list[Question]:
    """As they were measured: A and B alternate within the same stretch of time."""
    return [
        Question(one["slow_down"], _seconds(one["a_us"]), _seconds(one["b_us"]), one.get("processes"))
        for one in decisions
    ]


def blocked(decisions: Sequence[dict[str, Any]]) -> list[Question]:
    """As these tools are used: A of one stretch of time (never delayed) against B of the next. Every sample serves once."""
    return [
        Question(later["slow_down"], _seconds(earlier["a_us"]), _seconds(later["b_us"]))
        for earlier, later in pairwise(decisions)
        if later["started"] - earlier["started"] - earlier["seconds"] <= LONGEST_GAP_S
    ]


def reelbench(
    a: Sequence[float], b: Sequence[float], processes: Sequence[int] | None = None, deviation: float = ASSUMED
) -> tuple[Said, int]:
    """The shipped rule on the pairs in their order: what it says, and after how many pairs."""
    d = [log(after) - log(before) for before, after in zip(a, b, strict=True)]
    rule = Rule(looks=LOOKS, delta=DELTA, process_deviation=deviation)
    for pairs in LOOKS:
        verdict = rule.look(d[:pairs], processes and processes[:pairs]).verdict
        if verdict != "inconclusive":
            break
    return (verdict if verdict in ("faster", "slower") else "same"), pairs  # type: ignore[return-value]


def markdown(report: dict[str, Any]) -> str:
    decisions = report["decisions"]
    designs = {"interleaved": interleaved(decisions), "blocked": blocked(decisions)}
    used = [reelbench(one.a, one.b, one.processes)[1] for one in designs["interleaved"]]
    cut = [Question(one.slow_down, one.a[:n], one.b[:n]) for one, n in zip(designs["interleaved"], used, strict=True)]
    machine, code = report["environment"]["machine"], report["environment"]["code"]
    count = {size: sum(one["slow_down"] == size for one in decisions) for size in (0.0, 0.10, 0.05)}
    noise = f"{report['noise']} processes computing and resting by turns at random" if report["noise"] else "none added"
    note = f" {report['note']}" if report.get("note") else ""
    return "\n".join(
        [
            "# Decision rules, side by side on the same samples",
            "",
            f"    {report['command']}",
            "",
            f"{machine['cpu']}, {machine['usable_threads']} threads, {machine['distribution']}, Python "
            f"{report['environment']['python']}, commit {str(code.get('commit', 'none'))[:10]}"
            f"{' (dirty)' if code.get('dirty') else ''}. Settings: `{' '.join(report['settings'])}`; clip "
            f"{decisions[0]['clip']}. Busy neighbours: {noise}.{note}",
            "",
            f"{count[0.0]} decisions on identical code, {count[0.10]} with B slowed down by 10 %, {count[0.05]} by 5 %: a "
            "delay that the worker really suffers at each frame. Up to 30 pairs each; all rules see the same samples. Took "
            f"{duration(sum(one['seconds'] for one in decisions))}.",
            "",
            *_conditions(decisions),
            "",
            "A false alarm is 'faster' or 'slower' on identical code. Found is 'slower' where B was slowed down. In brackets: "
            "95 % bounds (Clopper-Pearson).",
            "",
            "## Interleaved: A and B alternate in balanced shuffled order",
            "ReelBench stops at the look that decides; the others see all 30 pairs.",
            "",
            *_table(designs["interleaved"]),
            "",
            f"ReelBench used {median(used):g} pairs in the median, {fmean(used):.1f} on average. On as many pairs as it used:",
            "",
            *_table(cut, peers_only=True),
            "",
            *_clusters(report),
            "## Blocked: A of one stretch of time against B of the next",
            "As these tools are used: one run after the other. ReelBench's rule is shown there for comparison; `reelbench ab` never "
            "measures so.",
            "",
            *_table(designs["blocked"]),
            "",
            "asv asks for a ratio above 1.1, so a slow-down of 10 % lies on its threshold by its own choice, as for mean ± 10 %.",
            "",
        ]
    )


def _table(questions: Sequence[Question], *, peers_only: bool = False) -> list[str]:
    rules: dict[str, Callable[[Question], Said]] = {name: _of(rule) for name, rule in RULES.items()}
    if not peers_only:
        rules = {REELBENCH: lambda one: reelbench(one.a, one.b, one.processes)[0], **rules}
    lines = ["| rule | false alarms | rate | +10 % found | power | +5 % found | power |", "| --- |" + " ---: |" * 6]
    for name, rule in rules.items():
        cells: list[str] = []
        for size in (0.0, 0.10, 0.05):
            asked = [one for one in questions if one.slow_down == size]
            hits = sum(rule(one) in (("slower",) if size else ("faster", "slower")) for one in asked)
            cells += [f"{hits} of {len(asked)}", _share(hits, len(asked))]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _of(rule: Callable[[Sequence[float], Sequence[float]], Said]) -> Callable[[Question], Said]:
    return lambda one: rule(one.a, one.b)


def _clusters(report: dict[str, Any]) -> list[str]:
    """The rule with processes as clusters, and how far they differ; empty where nobody knows which processes measured what."""
    asked = [Question(one.slow_down, one.a, one.b, _processes(one, report)) for one in interleaved(report["decisions"])]
    identical = [one for one in asked if not one.slow_down]
    found = _luck(identical)
    if found is None:
        return []
    lines = [
        "## Processes as clusters",
        f"Processes of the same code differ by {100 * found.between:.1f} % (standard deviation; 95 % interval {100 * found.low:.1f} "
        f"to {100 * found.high:.1f}; {found.processes} pairs of processes), pairs of the same two processes by "
        f"{100 * found.pair:.1f} %. The rule where pairs say which processes measured them ({len(set(asked[0].processes or ()))} pairs "
        "of processes a decision, so sharing costs what it costs in this design); 'calibrated' takes the upper end of that interval:",
        "",
        "| deviation taken | false alarms | rate | +10 % found | power | +5 % found | power |",
        "| --- |" + " ---: |" * 6,
    ]
    for name, deviation in ((f"assumed, {100 * ASSUMED:g} %", ASSUMED), ("calibrated", found.high)):
        cells: list[str] = []
        for size in (0.0, 0.10, 0.05):
            of_size = [one for one in asked if one.slow_down == size]
            right = ("slower",) if size else ("faster", "slower")
            hits = sum(reelbench(one.a, one.b, one.processes, deviation)[0] in right for one in of_size)
            cells += [f"{hits} of {len(of_size)}", _share(hits, len(of_size))]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _processes(one: Question, report: dict[str, Any]) -> Sequence[int] | None:
    """As recorded; before that was, by the restarts, which came after every so many pairs."""
    if one.processes:
        return one.processes
    every = [item.partition("=")[2] for item in report["settings"] if item.startswith("measure.pairs.restart_every=")]
    return [index // int(every[-1]) for index in range(len(one.a))] if every else None


def _luck(identical: Sequence[Question]) -> Components | None:
    known = [(index, one) for index, one in enumerate(identical) if one.processes]
    return components(
        [d for _, one in known for d in _logs(one)],
        [(index, process) for index, one in known for process in one.processes or ()],
    )


def _conditions(decisions: Sequence[dict[str, Any]]) -> list[str]:
    """How noisy the machine was, and what the injected delays came to."""
    questions = interleaved(decisions)
    identical = [one for one in questions if not one.slow_down]
    spread = [stdev(_logs(one)) for one in identical]
    passes = [value for one in questions for value in one.a]
    queue = [share / 1e3 for one in decisions for share in one["a_queue"] if share is not None]
    lines = [
        f"- a pass of A: median {1e3 * median(passes):.0f} ms; coefficient of variation over all of A "
        f"{100 * stdev(passes) / fmean(passes):.1f} %",
        f"- SD of d = ln(B / A) within a decision on identical code: median {median(spread):.3f}, largest {max(spread):.3f}"
        if spread
        else "- no decision on identical code",
        f"- run-queue delay, over all threads of a worker: {fmean(queue):.3f} s a second on average, at most {max(queue):.2f}"
        if queue
        else "- the kernel does not report run-queue delay",
    ]
    for size in (0.10, 0.05):
        estimates = [hodges_lehmann(_logs(one)) for one in questions if one.slow_down == size]
        if estimates:
            found = f"{100 * (exp(median(estimates)) - 1):+.1f} %"
            lines.append(f"- injected +{100 * size:g} %: estimated at {found} (median over decisions)")
    return lines


def _logs(one: Question) -> list[float]:
    return [log(b) - log(a) for a, b in zip(one.a, one.b, strict=True)]


def _share(count: int, total: int) -> str:
    if not total:
        return "–"
    low, high = clopper_pearson(count, total)
    return f"{100 * count / total:.1f} % ({100 * low:.1f}–{100 * high:.1f})"


def _seconds(microseconds: Sequence[int]) -> list[float]:
    return [value / 1e6 for value in microseconds]
