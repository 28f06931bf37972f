"""What the rules of a verdict say where the truth is known: simulated decisions, judged by the code that judges real ones.

    python benchmarks/decisions_simulated.py --out reports/decisions_simulated

Speed: each process has luck of its own, and the pairs between two restarts share it. Every decision is looked at after 10, 15, 20, 25
and 30 pairs by `Rule.look` and ends at the look that decides. Three ways: every pair counted as independent (as it was before pairs
knew their processes), a machine that was never calibrated, and one that was: then 20 simulated decisions on identical code go through
`components` first, and the restarts and the deviation that follow from that calibration are used.

Quality: B loses 0.30 on a tenth of all clips; `judge_quality` judges 5, 10, 20 and 60 of them. Writes OUT.md and OUT.json.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from reelbench.bench.environment import environment
from reelbench.bench.records import QualityRecord
from reelbench.comparison.clusters import ASSUMED, components, restart_every
from reelbench.comparison.non_inferiority import judge_quality
from reelbench.comparison.rule import Rule
from reelbench.comparison.statistics import clopper_pearson
from reelbench.paths import write_text

LOOKS = (10, 15, 20, 25, 30)
MOST = 5
"""`measure.pairs.restart_every` as it is shipped."""
PAIR_DEVIATION = 0.05
"""Of d within the same two processes: the median that reports/decisions.md measured."""
CALIBRATIONS, CALIBRATION_DECISIONS, CALIBRATION_PAIRS = 40, 20, 20
LOSS, LOSING = 0.30, 0.10
WAYS = ("pairs as independent", "never calibrated", "calibrated")
NOISES = {"normal noise and luck": False, "heavy tails (t, 3 degrees of freedom), one process in five slow": True}


@dataclass(frozen=True, slots=True)
class World:
    """``luck``: the standard deviation of a process; ``wild``: heavy-tailed noise, and luck that few processes have."""

    luck: float
    wild: bool

    def decision(self, draw: np.random.Generator, pairs: int, every: int, effect: float) -> tuple[Any, list[int]]:
        """d of so many pairs, and which processes measured each."""
        processes = [index // every for index in range(pairs)]
        both = self._lucks(draw, (2, processes[-1] + 1))
        noise = draw.standard_t(3, pairs) / sqrt(3) if self.wild else draw.standard_normal(pairs)
        return effect + (both[1] - both[0])[processes] + PAIR_DEVIATION * noise, processes

    def _lucks(self, draw: np.random.Generator, shape: tuple[int, int]) -> Any:
        if self.wild:  # a share p of the processes is slower by luck / sqrt(p (1 - p)): the same standard deviation
            return self.luck / 0.4 * (draw.random(shape) < 0.2)
        return self.luck * draw.standard_normal(shape)

    def calibrations(self, draw: np.random.Generator) -> list[tuple[int, float]]:
        """What calibrations of this machine may have found: restarts, and the upper bound of the deviation."""
        found = []
        for _ in range(CALIBRATIONS):
            made = [self.decision(draw, CALIBRATION_PAIRS, MOST, 0.0) for _ in range(CALIBRATION_DECISIONS)]
            clusters = [(index, one) for index, (_, processes) in enumerate(made) for one in processes]
            luck = components(np.concatenate([d for d, _ in made]), clusters)
            assert luck is not None, "every decision has several processes"
            found.append((restart_every(MOST, luck.high, luck.pair), luck.high))
        return found


def speed(world: World, way: str, delta: float, effect: float, decisions: int, seed: Sequence[int]) -> dict[str, Any]:
    """How many of so many decisions say 'faster', 'slower' …, and how many pairs they took."""
    draw = np.random.default_rng(seed)
    settings = world.calibrations(draw) if way == "calibrated" else [(MOST, ASSUMED)]
    said: dict[str, int] = {"faster": 0, "slower": 0, "equivalent": 0, "inconclusive": 0}
    used = restarts = 0
    for index in range(decisions):
        every, deviation = settings[index % len(settings)]
        rule = Rule(looks=LOOKS, delta=delta, process_deviation=deviation)
        d, processes = world.decision(draw, LOOKS[-1], every, effect)
        for pairs in LOOKS:
            look = rule.look(d[:pairs], None if way == WAYS[0] else processes[:pairs])
            if rule.decides(look):
                break
        said[look.verdict] += 1
        used += pairs
        restarts += every
    return {
        "noise": next(name for name, wild in NOISES.items() if wild == world.wild),
        "luck": world.luck, "way": way, "delta": delta, "effect": round(effect, 4), "decisions": decisions,
        "said": said, "mean_pairs": round(used / decisions, 1), "mean_restart_every": round(restarts / decisions, 2),
    }  # fmt: skip


def quality(clips: int, scatter: float, decisions: int, seed: Sequence[int]) -> dict[str, Any]:
    """How often 'not worse' is said, and how often beside a share that is too small: the sentence is then wrong."""
    draw = np.random.default_rng(seed)
    names = [f"clip{index}" for index in range(clips)]
    not_worse = wrong = 0
    shares: list[float] = []
    for _ in range(decisions):
        a = draw.uniform(0.7, 0.9, clips)
        b = a - LOSS * (draw.random(clips) < LOSING) + scatter * draw.standard_normal(clips)
        of_a, of_b = (
            QualityRecord(primary="map50", per_clip={name: {"map50": float(one)} for name, one in zip(names, scores, strict=True)})
            for scores in (a, b)
        )  # fmt: skip
        found = judge_quality(of_a, of_b, clips=names)
        if found.verdict == "not worse":
            assert found.hidden_share is not None
            not_worse += 1
            wrong += found.hidden_share < LOSING
            shares.append(found.hidden_share)
    return {
        "clips": clips, "scatter": scatter, "decisions": decisions, "not_worse": not_worse, "wrong": wrong,
        "smallest_share_said": round(min(shares), 3) if shares else None,
    }  # fmt: skip


def simulate(options: argparse.Namespace) -> dict[str, Any]:
    began = perf_counter()
    of_speed, seed = [], 0
    for wild in NOISES.values():
        for delta in (0.0, 0.03):
            for luck in (0.0, 0.02, 0.05):
                for way in WAYS:
                    for effect, count in ((0.0, options.decisions), (log(1.10), options.decisions // 2)):
                        seed += 1
                        found = speed(World(luck, wild), way, delta, effect, count, (options.seed, seed))
                        of_speed.append({**found, "seed": [options.seed, seed]})
                        print(f"{len(of_speed)} of 72: {perf_counter() - began:.0f} s", file=sys.stderr)
    of_quality = []
    for scatter in (0.0, 0.002, 0.02):
        for clips in (5, 10, 20, 60):
            seed += 1
            found = quality(clips, scatter, options.decisions, (options.seed, seed))
            of_quality.append({**found, "seed": [options.seed, seed]})
    return {
        "command": shlex.join(["python", *sys.argv]), "seconds": round(perf_counter() - began), "environment": environment(),
        "speed": of_speed, "quality": of_quality,
    }  # fmt: skip


def markdown(report: dict[str, Any]) -> str:
    machine, code = report["environment"]["machine"], report["environment"]["code"]
    lines = [
        "# Simulated decisions: false alarms where processes differ, and losses that few clips hide",
        "",
        f"    {report['command']}",
        "",
        f"{machine['cpu']}, {machine['usable_threads']} threads, Python {report['environment']['python']}, commit "
        f"{str(code.get('commit', 'none'))[:10]}{' (dirty)' if code.get('dirty') else ''}; {report['seconds']} s. The seed of each "
        "row is in the JSON. In brackets: 95 % bounds (Clopper-Pearson).",
        "",
        "## Speed",
        f"d = ln(B / A) scatters by {100 * PAIR_DEVIATION:g} % within the same two processes. False alarm: 'faster' or 'slower' on "
        "identical code. Found: 'slower' where B takes 10 % longer. Looks after 10, 15, 20, 25 and 30 pairs.",
    ]
    for noise in NOISES:
        lines += ["", f"### {noise.capitalize()}", ""]
        lines += [
            "| deviation between processes | δ | pairs | restart every | false alarms | +10 % found | pairs used (+10 %) |"
        ]
        lines += ["| ---: | ---: | --- | ---: | ---: | ---: | ---: |"]
        rows = [row for row in report["speed"] if row["noise"] == noise]
        for same, slow in zip(rows[::2], rows[1::2], strict=True):
            alarms = _share(same["said"]["faster"] + same["said"]["slower"], same["decisions"])
            lines.append(
                f"| {100 * same['luck']:g} % | {100 * same['delta']:g} % | {same['way']} | {same['mean_restart_every']:g} | "
                f"{alarms} | {_share(slow['said']['slower'], slow['decisions'])} | {slow['mean_pairs']:g} |"
            )
    lines += [
        "",
        "## Quality",
        f"B loses {LOSS:.2f} on {100 * LOSING:g} % of all clips; elsewhere it differs from A by the scatter (standard deviation). "
        "The sentence is wrong where it says 'not worse' and names a share of clips that may lose of less than that.",
        "",
        "| clips | scatter elsewhere | 'not worse' said | 'not worse' and the share named is too small | smallest share named |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in report["quality"]:
        smallest = "–" if row["smallest_share_said"] is None else f"{100 * row['smallest_share_said']:.0f} %"
        lines.append(
            f"| {row['clips']} | {row['scatter']:g} | {_share(row['not_worse'], row['decisions'])} | "
            f"{_share(row['wrong'], row['decisions'])} | {smallest} |"
        )
    return "\n".join(lines) + "\n"


def _share(count: int, of: int) -> str:
    low, high = clopper_pearson(count, of)
    return f"{100 * count / of:.1f} % ({100 * low:.1f}–{100 * high:.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--decisions", type=int, default=2000, help="per row; half as many with +10 %% (%(default)s)")
    parser.add_argument("--seed", type=int, default=15)
    parser.add_argument("--out", type=Path, required=True, help="where OUT.md and OUT.json go")
    options = parser.parse_args()
    report = simulate(options)
    write_text(options.out.with_suffix(".json"), json.dumps(report, indent=1) + "\n")
    write_text(options.out.with_suffix(".md"), markdown(report))
    print(options.out.with_suffix(".md").read_text())


if __name__ == "__main__":
    main()
