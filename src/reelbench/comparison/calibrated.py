"""The stored result of `reelbench calibrate`: one file for each machine in the user's data folder, which every verdict reads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from reelbench.comparison.clusters import ASSUMED, restart_every
from reelbench.comparison.records import Calibrated
from reelbench.errors import InputError
from reelbench.paths import write_text

MOST_FALSE_ALARMS = 0.05
"""A machine whose false-alarm rate certainly lies above it is too noisy to gate on; one that may lie above it is unproven."""


def calibration_file(fingerprint: str) -> Path:
    """``$REELBENCH_CALIBRATION``/<fingerprint>.json, else in the user's data folder: it belongs to the machine, not to a project."""
    if moved := os.environ.get("REELBENCH_CALIBRATION"):
        return Path(moved).expanduser() / f"{fingerprint}.json"
    import platformdirs

    return Path(platformdirs.user_data_dir("reelbench")) / "calibration" / f"{fingerprint}.json"


def read_calibration(fingerprint: str) -> Calibrated | None:
    """None where this machine was never calibrated; InputError where the file is damaged."""
    file = calibration_file(fingerprint)
    if not file.is_file():
        return None
    try:
        return Calibrated.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise InputError(
            f"{file} is damaged: {error.errors()[0]['msg']}", "reelbench calibrate makes it again"
        ) from error


def write_calibration(found: Calibrated) -> Path:
    file = calibration_file(found.fingerprint)
    write_text(file, found.model_dump_json(indent=1))
    return file


def process_deviation(found: Calibrated | None) -> float:
    """How far processes of the same code may differ here: the upper bound of what was measured, else what is assumed."""
    if found is None or found.process_high is None:
        return ASSUMED
    return found.process_high


def restarts(most: int, found: Calibrated | None) -> tuple[int, str]:
    """After how many pairs both arms start afresh, ``most`` at most, and a sentence where the calibration asks for fewer."""
    if found is None or found.process_high is None or found.pair_deviation is None:
        return most, ""
    chosen = restart_every(most, found.process_high, found.pair_deviation)
    if chosen == most:
        return most, ""
    return chosen, (
        f"both arms start afresh every {chosen} pairs instead of {most}: processes of the same code differ by up to "
        f"{100 * found.process_high:.1f} % here (calibrated {found.created[:10]})"
    )


def proof(found: Calibrated) -> Literal["proven", "unproven", "too noisy"]:
    """Whether the decisions prove a false-alarm rate of at most `MOST_FALSE_ALARMS`, by its 95 % bounds. Without a single false alarm
    72 decisions do; 20 prove no more than 16.8 %."""
    if found.false_alarm_low > MOST_FALSE_ALARMS:
        return "too noisy"
    return "proven" if found.false_alarm_high <= MOST_FALSE_ALARMS else "unproven"


def delta(smallest_change: float, found: Calibrated | None) -> tuple[float, str]:
    """The smallest change that counts, and where it comes from."""
    if found is None:
        return smallest_change, "the configured smallest change; this machine was never calibrated"
    if found.floor > smallest_change:
        return found.floor, f"this machine's own floor, calibrated {found.created[:10]}"
    return smallest_change, "the configured smallest change; this machine's floor lies below it"
