"""What reading sound and pictures costs in this checkout and in another one, in pairs; and what probing many clips costs.

    git worktree add ../before COMMIT
    python benchmarks/media_paths.py --against ../before --out reports/media_paths

Each checkout has one process. Each round takes every clip of the corpus through both, back to back in random order: the sound at
16 kHz, every frame decoded and five a second converted to 300x300, and the probe. Processor time is compared (wall time is beside it),
by the median ratio of the pairs. Then the probe takes ``--probes`` links to the clips as a run does. Writes OUT.md and OUT.json.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

KINDS = ("sound", "pictures", "probe")
MOST_PROBE_MS = 20.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--against", type=Path, required=True, help="another checkout")
    parser.add_argument("--corpus", default="system")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--probes", type=int, default=1000)
    parser.add_argument("--out", type=Path, required=True, help="OUT.md and OUT.json")
    asked = parser.parse_args()
    from reelbench.bench.environment import environment
    from reelbench.paths import write_text
    from reelbench.system.planning.fit import described

    clips = clips_of(asked.corpus)
    here = Path(__file__).resolve().parents[1]
    pairs = paired({"before": asked.against.resolve(), "now": here}, clips, asked.rounds)
    now = environment()
    whole = {
        "command": shlex.join(["python", "benchmarks/media_paths.py", *sys.argv[1:]]),
        "machine": described(now["machine"]),
        "environment": now,
        "before": commit_of(asked.against),
        "now": commit_of(here),
        "corpus": asked.corpus,
        "rounds": asked.rounds,
        "pairs": pairs,
        "probing": probing(clips, asked.probes),
    }
    write_text(asked.out.with_suffix(".json"), json.dumps(whole, indent=1) + "\n")
    write_text(asked.out.with_suffix(".md"), markdown(whole))
    print(markdown(whole))


def clips_of(corpus: str) -> dict[str, Path]:
    from reelbench.config import compose, instantiate
    from reelbench.models.store import ModelStore

    store, built = ModelStore(), instantiate(compose([f"corpus={corpus}"]).corpus)
    store.ensure(built.artifacts())
    return {clip.name: clip.path for clip in built.clips(store)}


def commit_of(checkout: Path) -> str:
    asked = ["git", "-C", str(checkout), "describe", "--always", "--dirty"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def paired(checkouts: dict[str, Path], clips: dict[str, Path], rounds: int) -> list[dict[str, Any]]:
    """One row a round, clip and kind: seconds of processor and wall time, before and now."""
    workers = {name: start(path) for name, path in checkouts.items()}
    for name, path in clips.items():  # files into the page cache, code into memory
        print(f"warming up on {name}", file=sys.stderr)
        for worker in workers.values():
            for kind in KINDS:
                ask(worker, kind, path)
    shuffle, rows = random.Random(0), []
    for number in range(rounds):
        jobs = [(clip, kind) for clip in clips for kind in KINDS]
        shuffle.shuffle(jobs)
        for clip, kind in jobs:
            order = list(workers)
            shuffle.shuffle(order)
            rows.append(
                {"round": number, "clip": clip, "kind": kind, **{a: ask(workers[a], kind, clips[clip]) for a in order}}
            )
    for worker in workers.values():
        worker.stdin.close()  # type: ignore[union-attr]
        worker.wait()
    return rows


def start(checkout: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(Path(__file__).resolve()), "--serve"]
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src")}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def ask(worker: subprocess.Popen[str], kind: str, path: Path) -> dict[str, float]:
    assert worker.stdin is not None and worker.stdout is not None
    worker.stdin.write(json.dumps([kind, str(path)]) + "\n")
    worker.stdin.flush()
    answer: dict[str, float] = json.loads(worker.stdout.readline())
    return answer


def serve() -> None:
    """The process of a checkout: it uses only what both have."""
    from reelbench.media import FrameStream, probe, read_audio
    from reelbench.media.types import AudioRequest, FrameRequest, Limits, Sampling

    known: dict[str, Any] = {}
    for line in sys.stdin:
        kind, name = json.loads(line)
        path, limits = Path(name), Limits()
        if name not in known:
            info = probe(path, limits)
            known[name] = {"origins_s": info.origins_s} if hasattr(info, "origins_s") else {}
        wall, spent = time.perf_counter(), time.process_time()
        if kind == "sound":
            read_audio(path, AudioRequest(16000), limits, **known[name])
        elif kind == "pictures":
            with FrameStream(path, FrameRequest(Sampling(rate=5.0), (300, 300)), None, limits, **known[name]) as frames:
                for _ in frames:
                    pass
        else:
            probe(path, limits)
        print(json.dumps({"cpu_s": time.process_time() - spent, "wall_s": time.perf_counter() - wall}), flush=True)


def probing(clips: dict[str, Path], count: int) -> dict[str, float]:
    """Processor time of this process and its children for each of ``count`` clips, and how many processes were started."""
    from reelbench.media import probe_safely, safe_probe

    started = 0
    popen = subprocess.Popen

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal started
        started += 1
        return popen(*arguments, **options)

    with tempfile.TemporaryDirectory() as folder:
        sources, paths = list(clips.values()), []
        for number in range(count):
            paths.append(Path(folder) / f"{number}{sources[number % len(sources)].suffix}")
            paths[-1].symlink_to(sources[number % len(sources)].resolve())
        before, wall = cpu_s(), time.perf_counter()
        safe_probe.subprocess.Popen = counted  # type: ignore[assignment,misc]
        try:
            found = probe_safely(paths)
        finally:
            safe_probe.subprocess.Popen = popen  # type: ignore[misc]
        spent, took = cpu_s() - before, time.perf_counter() - wall
    refused = [str(answer) for answer in found.values() if isinstance(answer, Exception)]
    if refused:
        sys.exit(refused[0])
    return {
        "clips": count,
        "cpu_ms_each": 1000 * spent / count,
        "wall_ms_each": 1000 * took / count,
        "processes": started,
    }


def cpu_s() -> float:
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)


def ratios(rows: list[dict[str, Any]], kind: str, what: str) -> list[float]:
    return sorted(row["now"][what] / row["before"][what] for row in rows if row["kind"] == kind)


def markdown(whole: dict[str, Any]) -> str:
    rows, probed = whole["pairs"], whole["probing"]
    lines = [
        "# Sound and picture paths",
        "",
        f"`{whole['command']}` on {whole['machine']}.",
        "",
        f"Commit {whole['now']} against {whole['before']}: every clip of corpus {whole['corpus']} {whole['rounds']} times "
        "through both, back to back. Ratios now / before, below 1 is faster; milliseconds a clip are medians of processor time.",
        "",
        "| path | before, ms | now, ms | ratio, processor time | middle half | ratio, wall time |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for kind in KINDS:
        spent = {
            arm: 1000 * median(row[arm]["cpu_s"] for row in rows if row["kind"] == kind) for arm in ("before", "now")
        }
        cpu, wall = ratios(rows, kind, "cpu_s"), ratios(rows, kind, "wall_s")
        half = f"{cpu[len(cpu) // 4]:.3f}–{cpu[3 * len(cpu) // 4]:.3f}"
        lines.append(
            f"| {kind} | {spent['before']:.1f} | {spent['now']:.1f} | {median(cpu):.3f} | {half} | {median(wall):.3f} |"
        )
    verdict = "Reached." if probed["cpu_ms_each"] <= MOST_PROBE_MS and probed["processes"] == 1 else "Not reached."
    lines += [
        "",
        f"Probing {probed['clips']} clips as a run does: {probed['cpu_ms_each']:.1f} ms of processor time each (parent and child, the "
        f"child's start included), {probed['wall_ms_each']:.1f} ms of wall time, {probed['processes']} process(es) started. "
        f"Asked for: at most {MOST_PROBE_MS:.0f} ms each and no process for each clip. {verdict}",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["--serve"] else main()
