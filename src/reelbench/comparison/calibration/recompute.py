"""A decision of a calibration, computed again: its pairs from the arms' samples, its looks from the pairs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from reelbench.bench.integrity import Figure, differing
from reelbench.bench.run_folder import RunFolder
from reelbench.comparison.recompute import ARMS, pair_figures
from reelbench.comparison.rule import log_ratios, shared_processes

if TYPE_CHECKING:
    from reelbench.comparison.calibration.stretch import Decision
    from reelbench.comparison.rule import Rule


def decision_figures(folder: Path, name: str, decision: Decision, rule: Rule) -> Iterator[Figure]:
    """``folder`` holds the arms; ``name`` begins each figure's."""
    arms = {arm: RunFolder.open(folder / arm) for arm in ARMS if (folder / arm / "run.json").is_file()}
    if len(arms) == len(ARMS):
        for figure in pair_figures(decision.pairs, arms, statistic="median", apart=False):
            yield Figure(f"{name}, {figure.name}", figure.recorded, figure.computed, figure.lasting)
    d, clusters = log_ratios(decision.pairs), shared_processes(decision.pairs)
    for number, look in enumerate(decision.looks, 1):
        again = rule.look(d[: look.pairs], clusters and clusters[: look.pairs])
        yield from differing(f"{name}, look {number}", look, again)
