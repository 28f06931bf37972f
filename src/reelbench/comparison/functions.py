"""Compare two functions of the caller, inside the caller's process, by the rule that compares variants.

Both live in one process: they share its caches, its memory and its garbage collector, and what one leaves behind the other may find.
`reelbench.comparison.ab` gives each arm a process of its own; this is for functions that are too small for that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from statistics import median
from time import perf_counter
from typing import Literal

from reelbench.comparison.records import Look, Pair, Speed
from reelbench.comparison.rule import Rule, judge_speed, log_ratios
from reelbench.comparison.schedule import schedule, slice_order

Outcome = Literal["slower", "not slower", "inconclusive"]
LOOKS = (10, 15, 20, 25, 30)
SLICE_S = 0.02
"""A slice lasts at least so long: thousands of times what reading the clock costs, and longer than a turn of the scheduler."""
WARMUP_CALLS = 3
_PASSES = 2
_MOST_CALLS = 1_000_000


@dataclass(frozen=True, slots=True)
class FunctionsCompared:
    """``outcome`` is about ``by``: 'slower' where the whole interval of B/A lies above 1 + ``by``, 'not slower' where it lies below.
    ``calls``: how many calls of each arm one slice had. Times in ``speed`` and ``pairs`` are seconds a call."""

    outcome: Outcome
    by: float
    speed: Speed
    pairs: tuple[Pair, ...]
    calls: tuple[int, int]
    seconds: float


def compare_functions(
    a: Callable[[], object],
    b: Callable[[], object],
    *,
    by: float = 0.05,
    looks: tuple[int, ...] = LOOKS,
    slice_s: float = SLICE_S,
    most_s: float = 120.0,
) -> FunctionsCompared:
    """Is ``b`` slower than ``a`` by more than the share ``by``?

    Each pair is a slice 'ABBA' or 'BAAB', balanced and shuffled; in it each arm is called often enough to last ``slice_s`` seconds.
    After each number of pairs in ``looks`` the interval is looked at, by the rule of `reelbench ab`, and measuring ends as soon as
    it lies on one side of 1 + ``by``, after the last look, or after about ``most_s`` seconds. Exceptions of the functions go through.
    """
    rule = Rule(looks=looks, delta=by)
    began = perf_counter()
    functions = {"A": a, "B": b}
    calls = {letter: _calls(function, slice_s) for letter, function in functions.items()}
    order = schedule(["calls"], "functions")
    pairs: list[Pair] = []
    made: list[Look] = []
    outcome: Outcome = "inconclusive"
    while outcome == "inconclusive" and rule.next_look(len(pairs)) is not None:
        if perf_counter() - began > most_s:
            break
        pairs.append(_pair(len(pairs), next(order)[1], functions, calls))
        if len(pairs) in looks:
            made.append(rule.look(log_ratios(pairs)))
            outcome = _outcome(made[-1], by)
    speed = judge_speed(pairs, rule, "median", f"the test allows {100 * by:g} %", made)
    return FunctionsCompared(outcome, by, speed, tuple(pairs), (calls["A"], calls["B"]), perf_counter() - began)


def _outcome(look: Look, by: float) -> Outcome:
    if look.effect.low > 1 + by:
        return "slower"
    return "not slower" if look.effect.high < 1 + by else "inconclusive"


def _calls(function: Callable[[], object], slice_s: float) -> int:
    """Warm up, and find how many calls last ``slice_s``, by doubling: a first call says little of a warm one."""
    for _ in range(WARMUP_CALLS):
        function()
    calls = 1
    while (spent := _seconds(function, calls)) < slice_s and calls < _MOST_CALLS:
        calls = max(2 * calls, ceil(calls * slice_s / spent)) if spent > slice_s / 10 else 2 * calls
    return min(calls, _MOST_CALLS)


def _pair(index: int, first: str, functions: dict[str, Callable[[], object]], calls: dict[str, int]) -> Pair:
    order = slice_order(first, _PASSES)
    seconds: dict[str, list[float]] = {"A": [], "B": []}
    for letter in order:
        seconds[letter].append(_seconds(functions[letter], calls[letter]) / calls[letter])
    repetitions = (index * _PASSES, (index + 1) * _PASSES)
    return Pair(
        index=index,
        clip="calls",
        order=order,
        repetitions=repetitions,
        a_s=median(seconds["A"]),
        b_s=median(seconds["B"]),
    )


def _seconds(function: Callable[[], object], calls: int) -> float:
    began = perf_counter()
    for _ in range(calls):
        function()
    return perf_counter() - began
