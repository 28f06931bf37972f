"""Arms against the first arm, side by side in one run: every arm has its own live worker, and each round takes every clip through all
arms back to back in shuffled order, so that a machine whose speed drifts slows all arms alike.

    python benchmarks/side_by_side.py --out reports/NAME \
        --arm 'baseline: variant=baseline' --arm 'optimized: variant=optimized'

Writes NAME.json (every sample, the environment) and NAME.md (ratios first/arm per clip: median, smallest and largest over the rounds;
how many times realtime; the primary metric and every ``--metric``). Ratios are descriptive: no interval, no verdict.
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from reelbench.bench.environment import environment
from reelbench.bench.process import WorkerProcess
from reelbench.bench.worker import Job
from reelbench.config import RunConfig, compose, instantiate
from reelbench.media.safe_probe import probe_safely
from reelbench.media.types import ClipInfo
from reelbench.models.store import ModelStore
from reelbench.paths import write_text
from reelbench.report.wording import metric as metric_name
from reelbench.results import AnalyzerResult

Sample = dict[str, Any]


class Arm:
    """One configuration with its live worker."""

    def __init__(self, spec: str, corpus: str, log: Path) -> None:
        self.name, _, overrides = spec.partition(":")
        self.overrides = shlex.split(overrides)
        self.config: RunConfig = compose([f"corpus={corpus}", *self.overrides])
        self.analyzer = instantiate(self.config.analyzer.constructor)
        if not (verdict := self.analyzer.available()).ok:
            sys.exit(f"{self.name}: unavailable here: {verdict.reason}")
        media = self.config.media
        self.job = Job(self.config.analyzer.constructor, media.decode, media.limits, self.config.seed, log)
        self.samples: dict[str, list[Sample]] = {}
        self.results: dict[str, AnalyzerResult] = {}

    def start(self, store: ModelStore) -> None:
        store.ensure(self.analyzer.weights)
        with WorkerProcess(self.job) as preparing:
            preparing.ask("prepare", timeout_s=1800)
        self.worker = WorkerProcess(self.job)
        self.worker.ask("load", timeout_s=300)

    def run(self, clip: str, info: Any, *, keep: bool) -> None:
        answer = self.worker.analyze(clip, info, 600, None)
        if keep:
            self.samples.setdefault(clip, []).append(answer["sample"])
            self.results[clip] = AnalyzerResult.model_validate_json(answer["result"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--arm", action="append", required=True, metavar="'NAME: OVERRIDES'")
    parser.add_argument("--corpus", default="demo")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--metric", action="append", default=[], metavar="NAME", help="another column, e.g. cer")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    store, shuffle = ModelStore(), random.Random(0)
    log = Path(tempfile.mkdtemp()) / "workers.log"
    arms = [Arm(spec, options.corpus, log) for spec in options.arm]
    corpus = instantiate(arms[0].config.corpus)
    store.ensure(corpus.artifacts())
    clips = corpus.clips(store)
    infos = probe_safely([clip.path for clip in clips], arms[0].config.media.limits)
    for arm in arms:
        arm.start(store)
    for round_ in range(-1, options.rounds):  # round -1 warms up
        for clip in shuffle.sample(clips, len(clips)):
            for arm in shuffle.sample(arms, len(arms)):
                arm.run(clip.name, infos[clip.path], keep=round_ >= 0)
        print(f"round {round_ + 1} of {options.rounds}", file=sys.stderr)

    metric = instantiate(arms[0].config.quality)
    truths = {clip.name: clip.truth for clip in clips if clip.truth is not None}
    opened = {clip.name: info for clip in clips if isinstance(info := infos[clip.path], ClipInfo)}
    first = arms[0]
    untold = {name: result for name, result in first.results.items() if name not in truths}
    report: dict[str, Any] = {
        "command": shlex.join(["python", *sys.argv]),
        "environment": environment(),
        "clip_s": {name: info.duration_s for name, info in opened.items()},
        "metrics": [metric.primary, *options.metric],
        "arms": {},
    }
    for arm in arms:
        meaningless = str(getattr(arm.analyzer, "quality_absent_reason", ""))
        quality = {} if meaningless else dict(metric.against_truth(arm.results, truths).overall)
        agreement = dict(metric.agreement(arm.results, untold).overall) if untold and not meaningless else {}
        ratios = {clip: _ratios(first.samples[clip], arm.samples[clip]) for clip in arm.samples}
        report["arms"][arm.name] = {
            "overrides": arm.overrides,
            "evidence": arm.worker.ask("evidence", timeout_s=60),
            "quality": quality,
            "quality_absent": meaningless,
            "agreement": agreement,
            "ratios": ratios,
            "samples": arm.samples,
        }
        arm.worker.stop()
    write_text(options.out.with_suffix(".json"), json.dumps(report, indent=1))
    write_text(options.out.with_suffix(".md"), _markdown(report, arms, options.rounds))
    print(options.out.with_suffix(".md").read_text())


def _ratios(first: list[Sample], arm: list[Sample]) -> list[float]:
    """How many times faster than the first arm, round by round."""
    return [a["total_s"] / b["total_s"] for a, b in zip(first, arm, strict=True)]


def _markdown(report: dict[str, Any], arms: list[Arm], rounds: int) -> str:
    clips = list(arms[0].samples)
    metrics = [name for name in report["metrics"] if any(name in found["quality"] for found in report["arms"].values())]
    agreements = sorted({name for found in report["arms"].values() for name in found["agreement"] if "f1" in name})
    heads = [
        *clips,
        "median",
        "min–max",
        "× realtime",
        *map(metric_name, metrics),
        *(f"agreement: {metric_name(n)}" for n in agreements),
    ]
    lines = [
        f"# Side by side against {arms[0].name}",
        "",
        f"    {report['command']}",
        "",
        _environment(report["environment"], rounds),
        "",
        "Times faster, decoding included: per clip the median over the rounds; then the median over clips, its smallest and "
        "largest round, and how many seconds of video it analyzes in a second (all clips, median over the rounds); then quality.",
        "",
        *sorted(
            {f"Quality: {found['quality_absent']}.\n" for found in report["arms"].values() if found["quality_absent"]}
        ),
        "| arm | " + " | ".join(heads) + " |",
        "| --- |" + " ---: |" * len(heads),
    ]
    for arm in arms:
        found = report["arms"][arm.name]
        per_clip = [median(found["ratios"][clip]) for clip in clips]
        by_round = [median(found["ratios"][clip][i] for clip in clips) for i in range(rounds)]
        cells = [f"{value:.2f}" for value in (*per_clip, median(per_clip))]
        cells += [f"{min(by_round):.2f}–{max(by_round):.2f}", f"{_realtime(report['clip_s'], arm, rounds):.3g}"]
        scores = [found["quality"].get(name) for name in metrics] + [
            found["agreement"].get(name) for name in agreements
        ]
        cells += ["–" if value is None else f"{value:.3f}" for value in scores]
        lines.append(f"| {arm.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _environment(found: dict[str, Any], rounds: int) -> str:
    machine, code = found["machine"], found["code"]
    dirty = " (dirty)" if code.get("dirty") else ""
    return (
        f"{machine['cpu']}, {machine['usable_threads']} threads, {machine['memory_gib']} GiB, {machine['distribution']}, "
        f"Python {found['python']}, commit {str(code.get('commit', 'none'))[:10]}{dirty}; {rounds} rounds after one to warm up. "
        "The JSON file beside this one has the versions of all packages."
    )


def _realtime(clip_s: dict[str, float], arm: Arm, rounds: int) -> float:
    """Seconds of video that the arm analyzes in a second."""
    whole = sum(clip_s[clip] for clip in arm.samples)
    spent = [sum(float(samples[i]["total_s"]) for samples in arm.samples.values()) for i in range(rounds)]
    return median(whole / seconds for seconds in spent)


if __name__ == "__main__":
    main()
