"""Damaged clips through the whole of ``reelbench system``: no crash, no hang, and no neighbour is lost.

A small sample always; 3,000 with REELBENCH_SLOW=1. ``python -m system_run.test_mutated FOLDER COUNT`` (in ``tests``) tells how
many came to which end.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from time import monotonic

from reelbench.system.folder import SystemFolder
from support.mutations import make_mutated, make_whole, mutated

from .conftest import slow

ANALYZERS = ("cut_analysis", "color_analysis", "audio_analysis")
TIMEOUT_S = 1800.0
"""Of a whole batch: nothing that is looked at here takes a hundredth of it."""


def run_batch(folder: Path, first: int, count: int) -> Counter[str]:
    """Run the system on so many damaged clips with a good one of each kind between them; how the damaged ones ended.

    Raises AssertionError where the command crashes or hangs, a good clip is lost, or a clip has no end that is told.
    """
    clips, runs = folder / "clips", folder / "runs"
    clips.mkdir(parents=True)
    good = [path.name for path in make_whole(clips).values()]
    bad = [
        path.name for path in make_mutated(clips, {e: clips / f"whole.{e}" for e in suffixes(good)}, count, first=first)
    ]
    command = [
        *(sys.executable, "-m", "reelbench", "system", "corpus=folder", f"corpus.path={clips}", f"runs_dir={runs}"),
        *(f"system.analyzers=[{','.join(ANALYZERS)}]", "tracking.uri=off", "system.timeout.base_s=120"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S, check=False)
    said = done.stdout + done.stderr
    assert done.returncode in (0, 2, 5) and "Traceback" not in said, said[-3000:]
    (path,) = (runs / "system").glob("*/system.json")
    record = SystemFolder.open(path.parent).record
    clip = {one.name: one for one in record.clips}
    assert set(clip) == {*good, *bad} and record.status in ("finished", "failed")
    outcomes = {name: {n: a.outcomes[name] for n, a in record.analyzers.items() if name in a.outcomes} for name in clip}
    for name in good:
        assert {n: o.status for n, o in outcomes[name].items()} == dict.fromkeys(ANALYZERS, "done"), (
            name,
            outcomes[name],
        )
    for name in bad:
        assert clip[name].status in ("measured", "refused") and (clip[name].error or outcomes[name])
        assert all(o.status == "done" or o.reason for o in outcomes[name].values()), outcomes[name]
        assert "pending" not in {o.status for o in outcomes[name].values()}
    assert not (path.parent / "scratch").exists()
    return Counter(ending(clip[name].error, [o.status for o in outcomes[name].values()]) for name in bad)


def suffixes(names: list[str]) -> list[str]:
    return [name.partition(".")[2] for name in names]


def ending(error: str, statuses: list[str]) -> str:
    """How a damaged clip ended, in a word or two."""
    if not statuses:
        return "the probe crashed or hung" if "crashed" in error or "longer than" in error else "refused by the probe"
    for status in ("timed_out", "failed"):
        if status in statuses:
            return f"an analyzer {status.replace('_', ' ')}"
    if "skipped" in statuses:
        return "decoded in part" if "done" in statuses else "refused while decoding"
    return "done"


def test_a_sample_of_damaged_clips(tmp_path: Path) -> None:
    assert sum(run_batch(tmp_path / "batch", 0, 30).values()) == 30


@slow
def test_three_thousand_damaged_clips(tmp_path: Path) -> None:
    assert sum(many(tmp_path, 3000).values()) == 3000


def test_a_number_of_a_seed_is_always_the_same_clip_and_damaged() -> None:
    whole = random.Random(1).randbytes(5000)
    made = [mutated(whole, random.Random(f"0 {number}")) for number in range(200)]
    assert made == [mutated(whole, random.Random(f"0 {number}")) for number in range(200)]
    assert sum(one != whole for one in made) > 190


def many(folder: Path, count: int, batch: int = 300) -> Counter[str]:
    """`run_batch` until so many clips are through; what is good is thrown away at once."""
    total: Counter[str] = Counter()
    for first in range(0, count, batch):
        began, place = monotonic(), folder / f"{first:05}"
        total += run_batch(place, first, min(batch, count - first))
        shutil.rmtree(place)
        print(f"{min(first + batch, count)} clips, {monotonic() - began:.0f} s: {json.dumps(total)}", flush=True)
    return total


if __name__ == "__main__":
    many(Path(sys.argv[1]), int(sys.argv[2]))
