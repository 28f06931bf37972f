"""How well `reelbench plan predict` and `plan whatif` predict: against real runs of the system, made for it.

    python benchmarks/plan_prediction.py --out reports/plan_prediction
    python benchmarks/plan_prediction.py --out reports/plan_prediction corpus=system

Without SETTINGs four made analyzers, and one that waits for two of them, run on made clips; each frame costs them processor time that
is known, so that one of them can really be made twice as fast, and the what-if prediction be held against that. With SETTINGs (those
of 'reelbench system') the system's own analyzers run. Timings are taken from runs of one task at a time. Writes OUT.md and OUT.json.
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
from reelbench.system.planning.fit import described, timings_of, wall_s
from reelbench.system.planning.whatif import what_if
from reelbench.system.runner import run_system
from reelbench.system.setup import prepare

ROOT = Path(__file__).resolve().parents[1]
MADE = {"heavy": 6.0, "middle": 3.0, "other": 2.5, "light": 1.0}
"""Milliseconds of processor time for every second frame."""
LENGTHS_S = (4, 6, 6, 8, 10, 12)
FASTER = "heavy"
PLANS = {"alone": "sequential", "auto": "auto", "original": "original", "faster": "auto"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("settings", nargs="*", metavar="SETTING", help="as for 'reelbench system': the real analyzers")
    parser.add_argument("--out", type=Path, required=True, help="OUT.md and OUT.json")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each plan")
    parser.add_argument("--scale", type=float, default=1.0, help="of the made clips' lengths")
    asked = parser.parse_args()
    command = shlex.join(["python", "benchmarks/plan_prediction.py", *sys.argv[1:]])
    with tempfile.TemporaryDirectory() as folder, Progress() as progress:
        runs = [f"runs_dir={folder}/runs", "resume=false"]
        if not asked.settings:
            runs += ["corpus=folder", f"corpus.path={made_clips(Path(folder) / 'clips', asked.scale)}"]
        found = measure([*asked.settings, *runs], asked.repeats, made=not asked.settings, progress=progress)
    now = environment()
    whole = {"command": command, "machine": described(now["machine"]), "environment": now, **found}
    write_text(asked.out.with_suffix(".json"), json.dumps(whole, indent=1) + "\n")
    write_text(asked.out.with_suffix(".md"), markdown(whole))
    print(markdown(whole))


def measure(settings: Sequence[str], repeats: int, *, made: bool, progress: Progress) -> dict[str, Any]:
    """All runs, in turn so that a drift of the machine meets all alike, and what was predicted of them."""

    def composed(kind: str) -> Composed:
        whole = [*settings, *(PARTS if made else ()), f"plan={PLANS[kind]}", "plan.decode=once"]
        base = compose_system(whole)
        return with_made(base, {**MADE, FASTER: MADE[FASTER] / 2} if kind == "faster" else MADE) if made else base

    kinds = [kind for kind in PLANS if made or kind != "faster"]
    runs: dict[str, list[SystemFolder]] = {kind: [] for kind in kinds}
    for _ in range(repeats):
        for kind in kinds:
            runs[kind].append(run_system(composed(kind), "benchmarks/plan_prediction.py", progress))
    sources = {
        "busy": timings_of(runs["alone"], "benchmark")[0],
        "with waiting": timings_of(runs["alone"], "benchmark", wall_s)[0],
    }
    ready = {kind: prepare(composed(kind), progress) for kind in kinds}
    rows = [
        row(kind, source, compare(ready[kind], timings, folder))
        for kind in kinds
        if kind != "faster"
        for folder in runs[kind]
        for source, timings in sources.items()
    ]
    answers = []
    for before, after in zip(runs["auto"], runs.get("faster", []), strict=False):
        for source, timings in sources.items():
            found = what_if(ready["auto"], timings, {FASTER: 2.0})
            asked, was = compare(ready["faster"], timings, after), compare(ready["auto"], timings, before)
            answers.append(
                {
                    "timings": source, "predicted_s": found.after_s, "real_s": asked.real_s, "quiet_s": asked.quiet_s,
                    "predicted_gain": found.speedup, "real_gain": was.real_s / asked.real_s,
                    "quiet_gain": was.quiet_s / asked.quiet_s, "waited_s": asked.waited_s,
                    "limit_before": found.before_limit, "limit_after": found.after_limit,
                }
            )  # fmt: skip
    together, alone = timings_of(runs["auto"], "benchmark")[0], sources["busy"]
    slower = {name: together.tasks[name].seconds(10) / timing.seconds(10) for name, timing in alone.tasks.items()}
    return {"predictions": rows, "what_if": answers, "together_over_alone": slower}


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

HEAD = """Each clip is decoded once. Timings are of the runs 'alone' (one task at a time): 'busy' leaves out what tasks waited for cores
that others used, 'with waiting' has it in (`reelbench plan measure --waiting`). 'Replayed' is the simulation with the seconds that
the run's tasks really took: what is left of the difference is not the timings'. 'Quiet' is the same without the waiting: what the
run is reckoned to have taken on a machine of its own. Rows of 'alone' are about the runs that the timings come from."""


def markdown(whole: Mapping[str, Any]) -> str:
    lines = ["# Predicted and real makespans", "", f"`{whole['command']}` on {whole['machine']}.", "", HEAD, ""]
    right = ["predicted s", "run s", "predicted / run", "replayed / run", "predicted / quiet", "waited s"]
    lines += headings(["plan", "timings"], right, ["limited by"])
    for one in whole["predictions"]:
        predicted, real = one["predicted_s"], one["real_s"]
        figures = [
            predicted,
            real,
            predicted / real,
            one["replayed_s"] / real,
            predicted / one["quiet_s"],
            one["waited_s"],
        ]
        lines.append(line([one["plan"], one["timings"]], figures, [one["limit"]]))
    if whole["what_if"]:
        lines += ["", f"`reelbench plan whatif {FASTER}=2x plan=auto`, and the run in which it really was so:", ""]
        right = [
            "predicted s",
            "run s",
            "predicted / run",
            "predicted / quiet",
            "gain predicted",
            "gain real",
            "gain quiet",
        ]
        lines += headings(["timings"], right, ["limited by, before, after"])
        for one in whole["what_if"]:
            predicted, real = one["predicted_s"], one["real_s"]
            figures = [predicted, real, predicted / real, predicted / one["quiet_s"]]
            figures += [one["predicted_gain"], one["real_gain"], one["quiet_gain"]]
            lines.append(line([one["timings"]], figures, [f"{one['limit_before']}, {one['limit_after']}"]))
    ratios = ", ".join(f"{name} {ratio:.2f}" for name, ratio in whole["together_over_alone"].items())
    lines += ["", f"How much longer 10 s of video take under plan auto than alone, waiting left out: {ratios}.", ""]
    return "\n".join(lines)


def headings(left: Sequence[str], right: Sequence[str], last: Sequence[str]) -> list[str]:
    rule = ["---"] * len(left) + ["---:"] * len(right) + ["---"] * len(last)
    return [f"| {' | '.join([*left, *right, *last])} |", f"| {' | '.join(rule)} |"]


def line(left: Sequence[str], figures: Sequence[float], last: Sequence[str]) -> str:
    return f"| {' | '.join([*left, *(f'{figure:.2f}' for figure in figures), *last])} |"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    main()
