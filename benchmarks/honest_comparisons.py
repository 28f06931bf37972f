"""How often do the checks of `reelbench ab` make an honest comparison invalid, and what do they cost?

    python benchmarks/honest_comparisons.py --comparisons 100 --measure default --same --out reports/honest_same
    python benchmarks/honest_comparisons.py --comparisons 100 --out reports/honest_variants

Each comparison is a whole one, as the command makes it: two fresh workers, pairs until a look decides,
every audit, the re-encoded copy. The analyzers and variants that ship take turns (``--only`` names some);
``--same`` compares each variant with itself, so that every 'faster' or 'slower' is a false alarm. The clips
are the first two seconds of two of the shipped ones, made smaller, with a tone: on short clips the checks
weigh most. ``--busy`` keeps so many cores
busy with other processes. Writes OUT.json (a row a comparison) and OUT.md; ``--resume`` goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from itertools import islice, product
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks")]

import av  # noqa: E402
from audit_alarms import busy  # noqa: E402

from reelbench.bench.environment import environment  # noqa: E402
from reelbench.bench.progress import Silent  # noqa: E402
from reelbench.comparison.ab import compare  # noqa: E402
from reelbench.comparison.statistics import clopper_pearson  # noqa: E402
from reelbench.errors import ReelBenchError  # noqa: E402
from reelbench.models.store import ModelStore  # noqa: E402
from reelbench.paths import write_text  # noqa: E402
from support.clips import make_clip  # noqa: E402

ANALYZERS = (
    "color_analysis",
    "cut_analysis",
    "temporal_flow",
    "camera_analysis",
    "content_quality",
    "visual_effects",
    "object_detection",
    "scene_segmentation",
    "audio_analysis",
    "audio_environment",
    "sound_effects",
    "speech_rate",
)
VARIANTS = ("baseline", "optimized")
FOOTAGE = ("footage/bikes.mp4", "footage/bigbuckbunny.mp4")
FRAMES, SIZE = 60, (320, 180)
COMMAND = "benchmarks/honest_comparisons.py"
Row = dict[str, Any]


class Stages(Silent):
    """Sums the seconds of a comparison by stage: ``measuring``, ``audits`` (passes in the workers that measured, as MLPerf's) and
    ``copies`` (of a clip, encoded anew, in fresh workers)."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._stage, self._since = "measuring", perf_counter()

    def stage(self, text: str) -> None:
        self.end()
        kinds = {"audits": "audits", "audits: a copy of a clip": "copies"}
        self._stage = kinds.get(text.partition(",")[0], "measuring")

    def end(self) -> None:
        now = perf_counter()
        self.seconds[self._stage] += now - self._since
        self._since = now


def beginning(video: Path, clip: Path) -> None:
    """The first `FRAMES` frames of ``video``, in `SIZE`, with a tone."""
    with av.open(str(video)) as container:
        decoded = islice(container.decode(video=0), FRAMES)
        pictures = [frame.reformat(*SIZE, format="rgb24").to_ndarray() for frame in decoded]
    make_clip(clip, frames=FRAMES, size=SIZE, audio_s=FRAMES / 30, picture=pictures.__getitem__)


def row(analyzer: str, a: str, b: str, settings: list[str]) -> Row:
    """One comparison and what became of it."""
    stages = Stages()
    folder, _ = compare([f"analyzer={analyzer}", *settings], a, b, COMMAND, stages)
    stages.end()
    record = folder.record
    return {
        "analyzer": analyzer,
        "a": a,
        "b": b,
        "verdict": record.verdict,
        "ratio": [record.speed.effect.ratio, record.speed.effect.low, record.speed.effect.high] if record.speed else [],
        "invalid": record.invalid,
        "failed": [audit.text for audit in record.audits if audit.status == "failed"],
        "audits": len(record.audits),
        "pairs": len(record.pairs),
        "seconds": record.seconds,
        "audits_s": stages.seconds["audits"],
        "copies_s": stages.seconds["copies"],
        "load": os.getloadavg()[0],
    }


def measured(told: argparse.Namespace, work: Path, rows: list[Row]) -> None:
    """Fill ``rows`` up to the number that was asked for, and keep them after each."""
    pairs = [(one, one) if told.same else VARIANTS for one in (VARIANTS if told.same else VARIANTS[:1])]
    turns = list(product(told.only or ANALYZERS, pairs))
    settings = [
        "corpus=folder",
        f"corpus.path={work / 'clips'}",
        f"measure={told.measure}",
        f"runs_dir={work / 'runs'}",
        "tracking.uri=off",
    ]
    for number in range(len(rows), told.comparisons):
        analyzer, (a, b) = turns[number % len(turns)]
        try:
            rows.append(row(analyzer, a, b, settings))
        except ReelBenchError as error:
            rows.append({"analyzer": analyzer, "a": a, "b": b, "verdict": "unavailable", "why": str(error)})
        last = rows[-1]
        print(number + 1, analyzer, a, b, last["verdict"], *last.get("failed", []), flush=True)
        write_text(told.out.with_suffix(".json"), json.dumps(report(told, rows), indent=1) + "\n")


def report(told: argparse.Namespace, rows: list[Row]) -> dict[str, Any]:
    """The figures, and the rows that they follow from."""
    judged = [one for one in rows if one["verdict"] != "unavailable"]
    wrong = ("faster", "slower") if told.same else ()
    counts = {"invalid": sum(one["verdict"] == "invalid" for one in judged)}
    if told.same:
        counts["false alarm"] = sum(one["verdict"] in wrong for one in judged)
    shares = {kind: [one[f"{kind}_s"] / one["seconds"] for one in judged] for kind in ("audits", "copies") if judged}
    return {
        "command": "python benchmarks/honest_comparisons.py " + " ".join(sys.argv[1:]),
        "data": "the first two seconds of two shipped clips (real, without ground truth), 320 by 180 pixels",
        "comparisons": len(judged),
        "verdicts": dict(Counter(one["verdict"] for one in judged)),
        "counts": {
            name: {"of": count, "bounds": clopper_pearson(count, len(judged))} for name, count in counts.items()
        },
        "shares": {kind: {"median": median(own), "largest": max(own)} for kind, own in shares.items()},
        "load_average": median(one["load"] for one in judged) if judged else None,
        "environment": environment(),
        "rows": rows,
    }


def markdown(found: dict[str, Any]) -> str:
    """The report as a page."""
    machine = found["environment"]
    lines = [
        "# Honest comparisons",
        "",
        f"`{found['command']}`, on {found['data']}; nothing was tuned on them.",
        f"{found['comparisons']} comparisons, load average {found['load_average']:.1f} (median).",
        f"Environment: {machine['fingerprint']}.",
        "",
        "| | comparisons | 95 % interval |",
        "| --- | ---: | ---: |",
    ]
    for name, count in found["counts"].items():
        low, high = count["bounds"]
        lines.append(f"| {name} | {count['of']} | {low:.1%} – {high:.1%} |")
    lines.append("")
    what = {"audits": "Audits in the measuring workers", "copies": "Copies of a clip in fresh workers"}
    for kind, share in found["shares"].items():
        lines.append(
            f"{what[kind]} took {share['median']:.1%} of a comparison's time (median; at most {share['largest']:.1%})."
        )
    lines += [
        "",
        "| analyzer | comparisons | verdicts | pairs | seconds | audits | copies |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    names = dict.fromkeys(one["analyzer"] for one in found["rows"])
    for name in names:
        own = [one for one in found["rows"] if one["analyzer"] == name]
        done = [one for one in own if one["verdict"] != "unavailable"]
        verdicts = ", ".join(f"{n} {verdict}" for verdict, n in Counter(one["verdict"] for one in own).most_common())
        if not done:
            lines.append(f"| {name} | {len(own)} | {verdicts} | | | | |")
            continue
        pairs, seconds = median(one["pairs"] for one in done), median(one["seconds"] for one in done)
        audits, copies = (median(one[f"{kind}_s"] / one["seconds"] for one in done) for kind in ("audits", "copies"))
        lines.append(f"| {name} | {len(own)} | {verdicts} | {pairs:g} | {seconds:.1f} | {audits:.1%} | {copies:.1%} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--comparisons", type=int, default=100)
    asked.add_argument("--measure", default="quick", help="a group of conf/measure")
    asked.add_argument("--same", action="store_true", help="each variant against itself")
    asked.add_argument("--only", action="append", help="an analyzer; may be given again")
    asked.add_argument("--busy", type=int, default=0, help="so many cores are kept busy")
    asked.add_argument("--resume", action="store_true", help="go on with the rows of OUT.json")
    asked.add_argument("--out", type=Path, required=True, help="OUT.json and OUT.md are written")
    told = asked.parse_args()
    kept = told.out.with_suffix(".json")
    rows: list[Row] = json.loads(kept.read_text())["rows"] if told.resume and kept.is_file() else []
    store = ModelStore()
    with tempfile.TemporaryDirectory() as folder, busy(told.busy):
        work = Path(folder)
        (work / "clips").mkdir()
        for artifact in FOOTAGE:
            clip = work / "clips" / Path(artifact).name
            beginning(store.ensure([artifact])[artifact], clip)
            clip.with_suffix(".truth.json").write_text(json.dumps({"objects": []}))
        measured(told, work, rows)
    found = report(told, rows)
    write_text(told.out.with_suffix(".md"), markdown(found))
    print(markdown(found))


if __name__ == "__main__":
    main()
