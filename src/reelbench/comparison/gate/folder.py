"""Create, write and read the folder of a gate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from uuid import uuid4

from reelbench.bench.environment import environment
from reelbench.bench.record_folder import read_record_file, settle_killed, write_record
from reelbench.bench.run_folder import safe_name
from reelbench.comparison.calibrated import MOST_FALSE_ALARMS, proof
from reelbench.comparison.gate.order import Order
from reelbench.comparison.gate.records import GateRecord, Side
from reelbench.comparison.records import Calibrated
from reelbench.errors import EXIT_INTERRUPTED
from reelbench.owners import claim, new_folder
from reelbench.paths import describe_os_error

FILE = "gate.json"


def new_record(order: Order, design: str, a: Side, b: Side, calibration: Calibrated | None) -> GateRecord:
    machine = environment()
    warnings = []
    if order.uncalibrated and calibration is None:
        warnings.append("this machine was never calibrated: how often this gate raises a false alarm is not known")
    elif calibration is not None and calibration.false_alarm_low > MOST_FALSE_ALARMS:
        warnings.append("calibration found too many false alarms on this machine: a failure may mean nothing")
    elif calibration is not None and proof(calibration) == "unproven":
        warnings.append(
            f"unproven: the {calibration.decisions} decisions of the calibration allow a false-alarm rate of up to "
            f"{100 * calibration.false_alarm_high:.1f} % (at most {100 * MOST_FALSE_ALARMS:g} % is wanted); reelbench calibrate "
            "--decisions 72 can prove it"
        )
    return GateRecord.model_validate(
        {
            "id": f"{datetime.now():%Y%m%d-%H%M%S}-{safe_name(order.policy.name)}-{uuid4().hex[:6]}",
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "policy": order.policy.name,
            "design": design,
            "command": order.command,
            "fingerprint": machine["fingerprint"],
            "machine": {key: machine["machine"].get(key) for key in ("cpu", "usable_threads", "memory_gib", "gpus")},
            "a": a,
            "b": b,
            "calibration": calibration,
            "warnings": warnings,
        }
    )


@contextmanager
def kept(record: GateRecord, runs_dir: Path) -> Iterator[Path]:
    """The folder of a gate, whose record is concluded and written however its measuring ends."""
    folder, started = runs_dir / "gates" / record.id, perf_counter()
    settle_killed(folder.parent, FILE, GateRecord)
    record.interrupted = True
    record.status, record.exit_code = "running", EXIT_INTERRUPTED
    try:
        with new_folder(folder) as made:
            lock = claim(made)
            save(record, made)
    except OSError as error:
        raise describe_os_error(error, folder, "cannot create the gate's folder") from error
    try:
        yield folder
        record.interrupted = False
    finally:
        record.seconds = perf_counter() - started
        record.conclude()
        save(record, folder)
        if lock is not None:
            lock.release()


def read_gate(folder: Path) -> GateRecord:
    """The record of a gate; InputError where there is none, or it is damaged."""
    return read_record_file(folder / FILE, GateRecord, "the folder of a gate")


def save(record: GateRecord, folder: Path) -> None:
    write_record(folder, FILE, record)
