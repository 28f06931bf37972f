"""How well `reelbench plan predict` and `plan whatif` predict: against real runs of the system, made for it.

    python benchmarks/plan_prediction.py --out reports/plan_prediction
    python benchmarks/plan_prediction.py --out reports/plan_prediction_system --plans alone auto --repeats 2 corpus=system

Without SETTINGs four made analyzers, and one that waits for two of them, run on made clips; each frame costs them processor time that
is known, so that one of them can really be made twice as fast, and the what-if prediction be held against that. What is known so cannot
be slowed down by another core: what tasks cost each other shows with SETTINGs (those of 'reelbench system'), when the system's own
analyzers run. Timings are fitted to the runs of one task at a time and to those of plan 'auto', but never to the run that they predict.
Writes OUT.md and OUT.json.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reelbench.bench.environment import environment
from reelbench.config import AnalyzerNode
from reelbench.paths import write_text
from reelbench.report.progress import Progress
from reelbench.system.config import Composed, compose_system
from reelbench.system.folder import SystemFolder
from reelbench.system.planning.compare import Comparison, compare
from reelbench.system.planning.fit import described, timings_of
from reelbench.system.planning.whatif import what_if
from reelbench.system.runner import run_system
from reelbench.system.setup import prepare
from reelbench.system.tasks import Timings

ROOT = Path(__file__).resolve().parents[1]
MADE = {"heavy": 6.0, "middle": 3.0, "other": 2.5, "light": 1.0}
"""Milliseconds of processor time for every second frame."""
LENGTHS_S = (4, 6, 6, 8, 10, 12)
FASTER = "heavy"
PLANS = {"alone": "sequential", "auto": "auto", "original": "original", "faster": "auto"}
BOTH = "alone and together"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("settings", nargs="*", metavar="SETTING", help="as for 'reelbench system': the real analyzers")
    parser.add_argument("--out", type=Path, required=True, help="OUT.md and OUT.json")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each plan, two or more")
    parser.add_argument(
        "--plans", nargs="+", choices=tuple(PLANS), default=list(PLANS), help="'alone' and 'auto' among them"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="of the made clips' lengths")
    asked = parser.parse_intermixed_args()
    if asked.repeats < 2 or not {"alone", "auto"} <= set(asked.plans):
        parser.error("two repeats, and the plans 'alone' and 'auto', are the least: no run is predicted from itself")
    command = shlex.join(["python", "benchmarks/plan_prediction.py", *sys.argv[1:]])
    sys.path.insert(0, str(ROOT / "tests"))
    with tempfile.TemporaryDirectory() as folder, Progress() as progress:
        runs = [f"runs_dir={folder}/runs", "resume=false"]
        if not asked.settings:
            runs += ["corpus=folder", f"corpus.path={made_clips(Path(folder) / 'clips', asked.scale)}"]
        settings = [*asked.settings, *runs]
        found = measure(settings, asked.repeats, asked.plans, made=not asked.settings, progress=progress)
    now = environment()
    whole = {"command": command, "machine": described(now["machine"]), "environment": now, **found}
    write_text(asked.out.with_suffix(".json"), json.dumps(whole, indent=1) + "\n")
    write_text(asked.out.with_suffix(".md"), markdown(whole))
    print(markdown(whole))


def measure(
    settings: Sequence[str], repeats: int, plans: Sequence[str], *, made: bool, progress: Progress
) -> dict[str, Any]:
    """All runs, in turn so that a drift of the machine meets all alike, and what was predicted of them."""

    def composed(kind: str) -> Composed:
        whole = [*settings, *(PARTS if made else ()), f"plan={PLANS[kind]}", "plan.decode=once"]
        base = compose_system(whole)
        return with_made(base, {**MADE, FASTER: MADE[FASTER] / 2} if kind == "faster" else MADE) if made else base

    kinds = [kind for kind in PLANS if kind in plans and (made or kind != "faster")]
    runs: dict[str, list[SystemFolder]] = {kind: [] for kind in kinds}
    for _ in range(repeats):
        for kind in kinds:
            runs[kind].append(run_system(composed(kind), "benchmarks/plan_prediction.py", progress))
    ready = {kind: prepare(composed(kind), progress) for kind in kinds}
    rows = [
        row(kind, source, compare(ready[kind], timings, folder))
        for kind in kinds
        if kind not in ("faster", "alone")
        for folder in runs[kind]
        for source, timings in sources(runs, folder).items()
    ]
    answers = []
    for before, after in zip(runs["auto"], runs.get("faster", []), strict=False):
        timings = sources(runs, before)[BOTH]
        found = what_if(ready["auto"], timings, {FASTER: 2.0})
        asked, was = compare(ready["faster"], timings, after), compare(ready["auto"], timings, before)
        answers.append(
            {
                "predicted_s": found.after_s, "real_s": asked.real_s, "quiet_s": asked.quiet_s,
                "predicted_gain": found.speedup, "real_gain": was.real_s / asked.real_s,
                "quiet_gain": was.quiet_s / asked.quiet_s, "waited_s": asked.waited_s,
                "limit_before": found.before_limit, "limit_after": found.after_limit,
            }
        )  # fmt: skip
    beside = timings_of([*runs["alone"], *runs["auto"]], "benchmark")[0].tasks
    return {"predictions": rows, "what_if": answers, "beside": {name: one.beside for name, one in beside.items()}}


def sources(runs: Mapping[str, Sequence[SystemFolder]], without: SystemFolder) -> dict[str, Timings]:
    """Timings of the runs of one task at a time, and of those with the runs in which all cores work, except the one to be predicted."""
    together = [run for run in runs["auto"] if run is not without]
    given = {"alone": runs["alone"]} | ({BOTH: [*runs["alone"], *together]} if together else {})
    return {name: timings_of(folders, "benchmark")[0] for name, folders in given.items()}


def row(kind: str, source: str, found: Comparison) -> dict[str, Any]:
    return {
        "plan": kind, "timings": source, "predicted_s": found.predicted_s, "replayed_s": found.replayed_s, "quiet_s": found.quiet_s,
        "real_s": found.real_s, "waited_s": found.waited_s, "limit": found.prediction.limit,
        "lower_s": found.prediction.lower_s, "notes": found.notes,
    }  # fmt: skip


# Made analyzers

PARTS = ("system.analyzers=[color_analysis]",)


def with_made(composed: Composed, costs: Mapping[str, float]) -> Composed:
    """The same system with analyzers of known cost in place of its own, and one that waits for the heaviest."""
    nodes: dict[str, dict[str, Any]] = {
        name: {"_target_": "support.analyzers.Brightness", "burn_ms": ms} for name, ms in costs.items()
    }
    nodes["echo"] = {"_target_": "support.analyzers.Echo", "needed": [FASTER], "welcome": ["light"]}
    configs = {
        name: composed.base.model_copy(
            update={
                "analyzer": AnalyzerNode(name=name, reference="plain", fallback="plain", **node),
                "variant": "plain",
            }
        )
        for name, node in nodes.items()
    }
    return replace(composed, base=configs[FASTER], analyzers=configs)


def made_clips(folder: Path, scale: float) -> Path:
    from support.clips import make_clip

    folder.mkdir()
    for number, length in enumerate(LENGTHS_S):
        make_clip(folder / f"{number}.mp4", frames=max(8, round(30 * length * scale)))
    return folder


# The report

HEAD = """Each clip is decoded once. Timings 'alone' are of the runs of one task at a time; those 'alone and together' also of the
runs under plan auto, without the run that is predicted: they know how much longer a task takes while other cores work. 'Replayed'
is the simulation with the seconds that the run's tasks really took: what is left of the difference is not the timings'. 'Quiet' is
the same without what they waited for cores that others used."""


def markdown(whole: Mapping[str, Any]) -> str:
    lines = ["# Predicted and real makespans", "", f"`{whole['command']}` on {whole['machine']}.", "", HEAD, ""]
    right = ["predicted s", "run s", "predicted / run", "replayed / run", "predicted / quiet", "waited s"]
    lines += headings(["plan", "timings"], right, ["limited by"])
    for one in whole["predictions"]:
        predicted, real = one["predicted_s"], one["real_s"]
        figures = [predicted, real, predicted / real, one["replayed_s"] / real]
        figures += [predicted / one["quiet_s"], one["waited_s"]]
        lines.append(line([one["plan"], one["timings"]], figures, [one["limit"]]))
    for source in dict.fromkeys(one["timings"] for one in whole["predictions"]):
        errors = [one["predicted_s"] / one["real_s"] - 1 for one in whole["predictions"] if one["timings"] == source]
        lines += ["", f"Timings {source}: {min(errors):+.1%} to {max(errors):+.1%} off."]
    if whole["what_if"]:
        lines += ["", f"`reelbench plan whatif {FASTER}=2x plan=auto`, and the run in which it really was so:", ""]
        right = ["predicted s", "run s", "predicted / run", "gain predicted", "gain real", "gain quiet"]
        lines += headings([], right, ["limited by, before, after"])
        for one in whole["what_if"]:
            predicted, real = one["predicted_s"], one["real_s"]
            figures = [predicted, real, predicted / real, one["predicted_gain"], one["real_gain"], one["quiet_gain"]]
            lines.append(line([], figures, [f"{one['limit_before']}, {one['limit_after']}"]))
    known = [f"{name} {ratio:.2f}" for name, ratio in whole["beside"].items() if ratio is not None]
    lines += ["", f"How many times as long a task takes while the other cores work: {', '.join(known)}.", ""]
    return "\n".join(lines)


def headings(left: Sequence[str], right: Sequence[str], last: Sequence[str]) -> list[str]:
    rule = ["---"] * len(left) + ["---:"] * len(right) + ["---"] * len(last)
    return [f"| {' | '.join([*left, *right, *last])} |", f"| {' | '.join(rule)} |"]


def line(left: Sequence[str], figures: Sequence[float], last: Sequence[str]) -> str:
    return f"| {' | '.join([*left, *(f'{figure:.2f}' for figure in figures), *last])} |"


if __name__ == "__main__":
    main()
