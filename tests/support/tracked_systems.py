"""Folders of the whole system whose figures are known, with ids of their own, so that tests may share one MLflow database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from reelbench.bench.manifest import unseal
from reelbench.bench.records import QualityRecord
from reelbench.comparison.records import Arm, ArmName, Pair, Quality
from reelbench.comparison.rule import Rule, judge_speed
from reelbench.load.figures import add_figures, judge_bound
from reelbench.load.folder import LoadFolder
from reelbench.load.records import LoadRecord, Memory, Query
from reelbench.system.ab.folder import SystemComparisonFolder
from reelbench.system.ab.records import CORPUS, ArmRun, Judged, SystemComparison
from reelbench.system.folder import SystemFolder
from reelbench.system.records import Outcome, Session, Totals
from support.system_runs import Found, event, make_system_run

CREATED = "2026-03-01T12:00:00+00:00"
CUTS = [event(0.0, 1.0, "cut")]


def tracked_system(runs: Path, name: str, uri: str = "off", asked: str = "", **changes: Any) -> Path:
    """A run ``runs``/system/``name`` of two analyzers on one clip of 2 s, with a third that cannot run here: 4 s of makespan.

    ``asked``: the experiment that was asked for. ``changes``: fields of the record.
    """
    unavailable: Found = Outcome(status="unavailable", reason="torch is not installed", mend="pip install it")
    made = make_system_run(runs, {"a": {"cuts": CUTS, "eye": [], "vlm": unavailable}})
    record = made.record.model_copy(update={"id": name, "created": CREATED, **changes})
    record.sessions = [Session(began=CREATED, first_task_s=1.0, ended_s=5.0)]
    record.totals = Totals(video_s=2.0, makespan_s=4.0, load_wall_s=1.0, x_realtime=0.5, cpu_s=6.0, decode_share=0.25)
    record.prediction = {"makespan_s": 3.5, "plan": "auto"}
    record.analyzers["vlm"].unavailable = "torch is not installed"
    record.analyzers["cuts"].cpu_per_video_s = 1.5
    record.analyzers["cuts"].quality = QualityRecord(
        primary="f1", overall={"f1": 0.9, "precision": 0.8}, per_clip={"a": {"f1": 0.7}}
    )
    record.analyzers["eye"].quality = QualityRecord(primary="eyes", absent={"quality": "no ground truth"})
    path = made.path.rename(runs / "system" / name)
    nodes = {one: {"tracking": {"uri": uri, "experiment": asked or one}} for one in record.analyzers}
    config = {"system": {"name": "default"}, "plan": {"name": "auto", "clips_at_once": 2}, "analyzers": nodes}
    (path / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (path / "environment.json").write_text('{"reelbench": "0.2.0", "fingerprint": "machine"}', encoding="utf-8")
    SystemFolder(path, record).save()
    unseal(path)  # its totals are made up
    return path


def tracked_load(runs: Path, name: str, uri: str = "off") -> Path:
    """A server run ``runs``/load/``name`` over two kinds, whose bound was broken."""
    latencies = {"a": ("talking", 0.0, 4.0), "b": ("music", 1.0, 9.0)}
    queries = [
        Query(name=clip, clip=clip, kind=kind, video_s=10.0, status="done", arrived_s=at, began_s=at, ended_s=end)
        for clip, (kind, at, end) in latencies.items()
    ]
    record = LoadRecord(
        id=name, created=CREATED, command="reelbench load", scenario="server", corpus="types", system="default",
        plan="first_come", cores=(0, 1), fingerprint="machine", system_key="k", status="finished", rate_per_min=6.0,
        settings={"queries": 2, "rate": 6.0}, queries=queries, system_run="system/run",
        analyzers={"cuts": "done", "vlm": "unavailable"}, rate_source="as it was asked for",
        memory=[Memory(at_s=1.0, pss_bytes=10**9, rss_bytes=2 * 10**9, processes=3)],
    )  # fmt: skip
    add_figures(record)
    record.bound = judge_bound(record.counted, 99, 7.0)
    folder = LoadFolder.create(runs, record)
    unseal(folder.path)  # as a folder that is older than manifests
    tracked_system(folder.path, "run", uri)
    return folder.path


def tracked_systems_ab(runs: Path, name: str, uri: str = "off", **changes: Any) -> Path:
    """A comparison ``runs``/system_comparisons/``name`` of seven pairs in which B takes half as long as A. Of each arm one run is
    really there; ``changes``: fields of the record."""
    pairs = [
        Pair(index=at, clip=CORPUS, order="AB", repetitions=(at, at + 1), a_s=8.0 + at / 100, b_s=4.0)
        for at in range(7)
    ]
    record = SystemComparison(
        id=name, created=CREATED, corpus="types", clips=1, cores=(0, 1), measure="system", command="reelbench ab system",
        fingerprint="machine", resume_key="k", status="finished", verdict="faster", quality="not worse",
        sentence="B is faster.", a=_arm("a"), b=_arm("b"), pairs=pairs, seconds=90.0, left_out={"vlm": "no torch"},
        runs=[_run(name, at, arm) for at in range(7) for arm in ("a", "b")],  # type: ignore[arg-type]
        speed=judge_speed(pairs, Rule(looks=(7,), delta=0.03), "median", "the configuration"),
    )  # fmt: skip
    quality = Quality(
        verdict="not worse", metric="f1", clips=1, overall_a=0.9, overall_b=0.91, difference=0.01, low=0.0
    )
    record.analyzers["cuts"] = Judged(
        name="cuts", variant_a="baseline", variant_b="optimized", quality=quality, verdict="underpowered",
        cpu_per_video_s_a=1.5, cpu_per_video_s_b=0.5,
    )  # fmt: skip
    folder = SystemComparisonFolder.create(runs, record.model_copy(update=changes))
    unseal(folder.path)
    for arm in ("a", "b"):
        tracked_system(folder.path / arm, f"{name}-{arm}", uri)
    return folder.path


def _arm(name: ArmName) -> Arm:
    return Arm(
        label=f"arm {name}", variant="plan=auto", effective="plan=auto", run_id="", folder=name, overrides=["x=1"]
    )


def _run(name: str, pair: int, arm: ArmName) -> ArmRun:
    """The first pair's runs are those that are there."""
    folder = f"{arm}/system/{name}-{arm}" if pair == 0 else f"{arm}/system/gone-{pair}"
    took = 8.0 + pair / 100 if arm == "a" else 4.0
    return ArmRun(pair=pair, arm=arm, folder=folder, makespan_s=took, video_s=2.0, load_wall_s=1.0, cpu_s=6.0)
