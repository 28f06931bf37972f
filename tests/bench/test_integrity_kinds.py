"""Forged folders of systems, of their comparisons, of load runs, gates and calibrations: no reader shows what does not follow.

One of each kind is made; each test forges a copy of it. (Runs and comparisons: `test_integrity`.)
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reelbench.bench.integrity import NO_MANIFEST
from reelbench.bench.progress import Silent
from reelbench.bench.record_folder import read_record_file, remarks_on, write_record
from reelbench.cli.export import command as export
from reelbench.comparison.calibration.calibrate import CalibrationState
from reelbench.comparison.calibration.figures import calibrated
from reelbench.comparison.calibration.stretch import Decision
from reelbench.comparison.folder import read_comparison
from reelbench.comparison.gate.checks import answer_check, new_result, tolerate
from reelbench.comparison.gate.folder import read_gate, save
from reelbench.comparison.gate.policy import Check, Policy
from reelbench.comparison.gate.records import GateRecord, Side
from reelbench.comparison.records import Pair
from reelbench.comparison.rule import Rule
from reelbench.errors import InputError
from reelbench.load.config import Loading, _load_config, read_types
from reelbench.load.folder import newest_offline, read_load
from reelbench.load.run import run_load
from reelbench.report.load_page import write_load_page
from reelbench.report.system_ab_page import write_system_ab_page
from reelbench.report.system_page import write_system_page
from reelbench.system.ab.folder import read_system_comparison
from reelbench.system.ab.run import carry_out_both
from reelbench.system.folder import SystemFolder
from reelbench.system.runner import run_system
from reelbench.tracking.sync import local_folders
from support.clips import make_clip
from support.comparisons import make_comparison
from support.forging import Forge, edit, edit_lines, reseal_all, unseal_all
from support.made_systems import Imagined, arm

QUALITY = {"_target_": "reelbench.quality.spans.SpanQuality", "part": "effects", "by": "start", "least": 0.01}
COSTS: dict[str, dict[str, Any]] = {"eye": {"cost_s": 0.3}, "ear": {"cost_s": 0.1}}
HALF: dict[str, dict[str, Any]] = {"eye": {"cost_s": 0.15}, "ear": {"cost_s": 0.05}}
SYSTEM, LOAD, SYSTEMS, GATE, CALIBRATION = (
    "system/one", "load/one", "system_comparisons/one", "gates/one", "calibrations/one",
)  # fmt: skip
DOES_NOT = r"does not follow from what was measured: "


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with one of each kind, ``one``."""
    home = tmp_path_factory.mktemp("made")
    clips, runs = home / "clips", home / "runs"
    clips.mkdir()
    for name in ("a.mp4", "b.mp4"):
        make_clip(clips / name, frames=12)
        right = [{"start_s": 0.0, "end_s": 0.4, "label": "found"}]
        (clips / name).with_suffix(".truth.json").write_text(json.dumps({"effects": right}))
    analyzers = {"eye": {"sees": True}, "unread": {"cheat": "unread"}}
    composed = arm("a", clips, runs, analyzers, quality=QUALITY).composed
    run_system(composed, "test", Silent()).path.rename(runs / SYSTEM)
    settings = _load_config(
        "offline", ["load.queries=3", "load.warmup=0", "load.memory_every_s=0.05", "load.bound_s=0.001"]
    )
    run_load(Loading(settings, composed, read_types(None)), "test", Silent()).path.rename(runs / LOAD)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("reelbench.system.runner.execute", Imagined())
        arms = arm("a", clips, runs, COSTS), arm("b", clips, runs, HALF)
        carry_out_both(arms, "test", Silent()).path.rename(runs / SYSTEMS)
    _gate(runs)
    _calibration(runs / CALIBRATION)
    return runs


def _gate(runs: Path) -> None:
    comparison = make_comparison(runs / "comparisons" / "c")
    check = Check(analyzer="object_detection", variants=("optimized",), memory=0.10)
    policy, result = Policy(name="p", checks=(check,)), new_result(check, "optimized")
    answer_check(result, read_comparison(comparison), check, (comparison / "a", comparison / "b"), ([], []))
    result.comparison = str(comparison)
    record = GateRecord(
        id="one", created="2026-03-01T12:00:00+00:00", policy="p", design="code", command="reelbench gate",
        fingerprint="f", a=Side(label="main"), b=Side(label="working tree"), checks=[tolerate(result, policy)],
    )  # fmt: skip
    record.conclude()
    (runs / GATE).mkdir(parents=True)
    save(record, runs / GATE)


def _calibration(folder: Path) -> None:
    """Four decisions on identical code, one of which raised a false alarm, and one on code that is 10 % slower."""
    ratios = [(1.0, 0.0), (1.002, 0.0), (0.999, 0.0), (1.05, 0.0), (1.1, 0.1)]
    rule, decisions = Rule(looks=(30,), delta=0.0), []
    for index, (ratio, slow_down) in enumerate(ratios):
        wobble = [1 + 0.004 * ((i * 7) % 5 - 2) for i in range(30)]
        pairs = [
            Pair(index=i, clip="c", order="AB", repetitions=(i, i + 1), a_s=1.0, b_s=ratio * w)
            for i, w in enumerate(wobble)
        ]
        look = rule.look([pair.log_ratio for pair in pairs])
        one = Decision(slow_down=slow_down, started=10.0 * index, seconds=9, delays_s={}, pairs=pairs, looks=[look])
        (folder / f"{index:04}").mkdir(parents=True)
        (folder / f"{index:04}" / "decision.json").write_text(one.model_dump_json())
        decisions.append(one)
    created = "2026-03-01T12:00:00+00:00"
    state = CalibrationState(
        id="one", created=created, command="reelbench calibrate", key="k", status="finished", clips=["c"],
        slow_downs=[slow for _, slow in ratios], looks=(30,), smallest_change=0.0,
        found=calibrated(decisions, created=created, fingerprint="f", smallest_change=0.0, what="test"),
    )  # fmt: skip
    write_record(folder, "calibration.json", state)


def read_calibration_state(folder: Path) -> object:
    return read_record_file(folder / "calibration.json", CalibrationState, "the folder of a calibration")


def exported(folder: Path) -> object:
    return export.main([str(folder)], standalone_mode=False)


READERS: dict[str, tuple[Callable[[Path], object], ...]] = {
    SYSTEM: (SystemFolder.open, write_system_page, exported),
    LOAD: (read_load, write_load_page),
    SYSTEMS: (read_system_comparison, write_system_ab_page),
    GATE: (read_gate,),
    CALIBRATION: (read_calibration_state,),
}

TIMELINE = "timeline.jsonl"
FORGED: dict[str, tuple[str, Forge, str]] = {
    # a run of the whole system
    "timeline halved": (
        SYSTEM,
        edit_lines(TIMELINE, lambda line: line.update(end_s=line["start_s"] + (line["end_s"] - line["start_s"]) / 2)),
        r"totals.\w+ is recorded as",
    ),
    "makespan": (
        SYSTEM,
        edit("system.json", lambda r: r["totals"].update(makespan_s=r["totals"]["makespan_s"] / 10)),
        r"totals.makespan_s is",
    ),
    "first task": (
        SYSTEM,
        edit("system.json", lambda r: r["sessions"][0].update(first_task_s=99.0)),
        r"session 1: first_task_s is rec|totals.load_wall_s",
    ),
    "cost of an analyzer": (
        SYSTEM,
        edit("system.json", lambda r: r["analyzers"]["eye"].update(cpu_s=1e-3)),
        r"eye: cpu_s is rec",
    ),
    "quality": (
        SYSTEM,
        edit("system.json", lambda r: r["analyzers"]["eye"]["quality"]["overall"].update(event_f1=0.01)),
        r"eye: quality.event_f1",
    ),
    "events": (
        SYSTEM,
        edit("results/a.mp4/eye.json", lambda r: r.update(events=[])),
        r"eye: quality\S* is recorded as|eye: quality of a",
    ),
    "what contradicts itself": (
        SYSTEM,
        edit("system.json", lambda r: r["analyzers"]["unread"].update(invalid="")),
        r"unread: invalid is",
    ),
    "an outcome": (
        SYSTEM,
        edit("system.json", lambda r: r["analyzers"]["eye"]["outcomes"]["a.mp4"].update(status="failed")),
        r"status is recorded as",
    ),
    # a load run
    "arrivals": (
        LOAD,
        edit("load.json", lambda r: r["queries"][1].update(arrived_s=0.05)),
        r"a line of queries.csv|arrived_s is",
    ),
    "queries": (
        LOAD,
        edit("load.json", lambda r: r["queries"][2].update(ended_s=0.1)),
        r"a line of queries.csv is recorded as",
    ),
    "table": (
        LOAD,
        lambda folder: (folder / "queries.csv").write_text("name\n") and None,
        r"a line of queries.csv is recorded as 'name'",
    ),
    "throughput": (LOAD, edit("load.json", lambda r: r.update(per_min=10 * r["per_min"])), r"per_min is recorded as"),
    "latency": (
        LOAD,
        edit("load.json", lambda r: r["figures"].update(mean_s=0.001)),
        r"figures.mean_s is recorded as 0.001",
    ),
    "the bound": (LOAD, edit("load.json", lambda r: r["bound"].update(kept=True)), r"bound.kept is recorded as 'True'"),
    "what is invalid": (LOAD, edit("load.json", lambda r: r.update(invalid={})), r"unread: invalid is recorded as ''"),
    "its system": (
        LOAD,
        edit_lines(f"system/*/{TIMELINE}", lambda line: line.update(cpu_s=0.001)),
        r"\w+.* is recorded as",
    ),
    # a comparison of systems
    "a pair": (
        SYSTEMS,
        edit("system_comparison.json", lambda r: r["pairs"][2].update(b_s=0.01)),
        r"pair 2, arm b: seconds is recorded as 0.01",
    ),
    "a run of an arm": (
        SYSTEMS,
        edit("a/system/*/system.json", lambda r: r["totals"].update(makespan_s=99.0)),
        r"makespan_s is",
    ),
    "effect": (
        SYSTEMS,
        edit("system_comparison.json", lambda r: r["speed"]["effect"].update(ratio=0.1)),
        r"(effect|sentence) is recorded as",
    ),
    "verdict": (SYSTEMS, edit("system_comparison.json", lambda r: r.update(verdict="equivalent")), r"is recorded as"),
    "sentence": (
        SYSTEMS,
        edit("system_comparison.json", lambda r: r.update(sentence="B is 9× faster.")),
        r"sentence is recorded as 'B is 9×",
    ),
    "exit code": (
        SYSTEMS,
        edit("system_comparison.json", lambda r: r.update(exit_code=1)),
        r"exit_code is recorded as 1",
    ),
    "quality of a pair of systems": (
        SYSTEMS,
        edit("system_comparison.json", lambda r: r.update(quality="worse")),
        r"is recorded as",
    ),
    "a score": (
        SYSTEMS,
        edit("system_comparison.json", lambda r: r["analyzers"]["eye"]["quality"]["per_clip"]["a.mp4"].update(b=0.99)),
        r"eye on a.mp4, arm b: goodness is recorded as 0.99",
    ),
    "an audit": (
        SYSTEMS,
        edit("system_comparison.json", lambda r: r["audits"][0].update(status="failed")),
        r"is recorded as",
    ),
    # a gate
    "a check that failed": (
        GATE,
        edit("gate.json", lambda r: r["checks"][0]["answers"][0].update(status="failed")),
        r"status is recorded as",
    ),
    "a check": (
        GATE,
        edit("gate.json", lambda r: r["checks"][0].update(status="invalid")),
        r"optimized: status is recorded as 'invalid'",
    ),
    "an answer's figure": (
        GATE,
        edit("gate.json", lambda r: r["checks"][0]["answers"][0].update(value=0.1)),
        r"speed: value is recorded as 0.1",
    ),
    "the gate's status": (
        GATE,
        edit("gate.json", lambda r: r.update(status="failed", exit_code=1)),
        r"status is recorded as 'failed'",
    ),
    "the gate's exit code": (GATE, edit("gate.json", lambda r: r.update(exit_code=3)), r"exit_code is recorded as 3"),
    # a calibration
    "false alarms": (
        CALIBRATION,
        edit("calibration.json", lambda r: r["found"].update(false_alarms=0)),
        r"calibration.false_alarms is rec",
    ),
    "the floor": (
        CALIBRATION,
        edit("calibration.json", lambda r: r["found"].update(floor=0.001)),
        r"calibration.floor is recorded as 0.001",
    ),
    "pairs of a decision": (
        CALIBRATION,
        edit("0003/decision.json", lambda r: [pair.update(b_s=pair["b_s"] / 1.05) for pair in r["pairs"]]),
        r"decision 3, look 1.\S+ is recorded as",
    ),
    "verdict of a decision": (
        CALIBRATION,
        edit("0003/decision.json", lambda r: r["looks"][0].update(verdict="equivalent")),
        r"decision 3, look 1.verdict is rec",
    ),
    "a decision's kind": (
        CALIBRATION,
        edit("0004/decision.json", lambda r: r.update(slow_down=0.0)),
        r"decision 4: slow_down is rec",
    ),
}


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "runs"))


@pytest.mark.parametrize("name", FORGED)
def test_what_does_not_follow_is_refused_by_every_reader_and_shown_as_damaged(runs: Path, name: str) -> None:
    """Also where the forger writes the manifests again. Where they were removed it is refused or marked."""
    kind, forge, sentence = FORGED[name]
    folder = runs / kind
    forge(folder)
    for reader in READERS[kind]:
        with pytest.raises(InputError):
            reader(folder)
    reseal_all(folder)
    for reader in READERS[kind]:
        with pytest.raises(InputError, match=DOES_NOT + f"(.*)({sentence})"):
            reader(folder)
    if name in ("makespan", "throughput", "sentence"):
        assert str(folder) in local_folders(runs)[1]
    unseal_all(folder)
    try:
        record: Any = READERS[kind][0](folder)
    except InputError as error:
        assert re.search(sentence, str(error))
    else:
        said = remarks_on(folder, getattr(record, "record", record))
        assert NO_MANIFEST in said
        assert any(
            re.search(f"cannot be confirmed by this version of the code: .*({sentence})", one) for one in said
        ), said


def test_honest_folders_of_every_kind_are_read_and_say_nothing(runs: Path) -> None:
    for kind, readers in READERS.items():
        for reader in (*readers, readers[0]):  # what the others write beside is no change
            found: Any = reader(runs / kind)
            if reader is readers[0]:
                assert remarks_on(runs / kind, getattr(found, "record", found)) == ()
    assert not local_folders(runs)[1]
    assert SystemFolder.open(runs / SYSTEM).record.invalid.keys() == {"unread"}


def test_the_rate_of_a_server_is_not_taken_from_a_forged_offline_run(runs: Path) -> None:
    record = read_load(runs / LOAD)
    assert newest_offline(runs, record.system_key) is not None
    edit("load.json", lambda r: r.update(per_min=10 * r["per_min"]))(runs / LOAD)
    assert newest_offline(runs, record.system_key) is None
