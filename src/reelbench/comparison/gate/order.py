"""The order of a gate, what to compare and how, and the checks before it: the policy composes, the machine is calibrated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reelbench.bench.environment import environment
from reelbench.bench.progress import Progress
from reelbench.comparison.calibrated import MOST_FALSE_ALARMS, read_calibration
from reelbench.comparison.calibration.calibrate import calibrate
from reelbench.comparison.gate.arms import Sides
from reelbench.comparison.gate.policy import Check, Policy
from reelbench.comparison.records import Calibrated
from reelbench.config import RunConfig, compose, search_path, variants
from reelbench.errors import ConfigError, UnavailableError
from reelbench.machine import fingerprint


@dataclass(frozen=True, slots=True)
class Order:
    """What to gate: a policy, settings of the user for every check, and where the user's own configuration lies. ``policy_file``:
    the policy's file in the change's checkout, where it was named by its path. ``calibrate``: decisions to calibrate a machine with
    that nobody calibrated."""

    policy: Policy
    settings: tuple[str, ...] = ()
    config_dir: Path | None = None
    command: str = ""
    uncalibrated: bool = False
    policy_file: Path | None = None
    calibrate: int | None = None


def calibrate_first(order: Order, progress: Progress, config_dir: Path | None) -> None:
    """Calibrate this machine with a variant of the policy, where that was asked for and nobody did before. Raises what `calibrate`
    raises. ``config_dir``: the user's own configuration, as the side that judges has it."""
    if order.calibrate is None or read_calibration(fingerprint()) is not None:
        return
    known = [
        (check, variant)
        for check, variant in pairs_of(order.policy)
        if variant in variants(check.analyzer, search_path(config_dir))
    ]
    check, variant = (known or pairs_of(order.policy))[0]
    settings = [*search_path(config_dir), *check.overrides(variant), *order.settings]
    calibrate(settings, order.command, progress, decisions=order.calibrate)


def check_calibration(uncalibrated: bool) -> Calibrated | None:
    """What is known of this machine. UnavailableError where that is too little, or too bad, for a gate, unless told to go on."""
    found = read_calibration(environment()["fingerprint"])
    if uncalibrated:
        return found
    if found is None:
        raise UnavailableError(
            "this machine was never calibrated: nobody knows how often a gate raises a false alarm on it",
            "reelbench calibrate; or say --calibrate 20, or --uncalibrated",
        )
    if found.false_alarm_low > MOST_FALSE_ALARMS:
        raise UnavailableError(
            f"this machine raises a false alarm in at least {100 * found.false_alarm_low:.1f} % of decisions "
            f"({found.false_alarms} of {found.decisions}): a gate on it means nothing",
            "quieten the machine and calibrate again (reelbench calibrate); or say --uncalibrated",
        )
    return found


def check_floor(policy: Policy, calibration: Calibrated | None) -> None:
    """UnavailableError where this machine's floor would raise a limit of the policy beyond what the policy lets it."""
    floor = calibration.floor if calibration is not None else 0.0
    limits = [check.largest_slow_down for check in policy.checks if check.largest_slow_down is not None]
    raised = [limit for limit in limits if limit < floor]
    if raised and floor > policy.largest_floor:
        raise UnavailableError(
            f"this machine's floor is {100 * floor:.3g} %: it would raise the policy's limit of {100 * min(raised):.3g} % "
            f"to that, and the policy lets a floor raise it to {100 * policy.largest_floor:.3g} % at most",
            "quieten the machine and calibrate again (reelbench calibrate), gate on another one, or allow more in the policy "
            "(largest_slow_down, largest_floor)",
        )


def pairs_of(policy: Policy) -> list[tuple[Check, str]]:
    return [(check, variant) for check in policy.checks for variant in check.variants]


def first_config(order: Order, sides: Sides | None = None) -> RunConfig:
    """Every check composed once, so that a mistake is said before anything is measured; the first says where runs go.

    Of two ``sides`` it is the one that judges; what only the other has is composed without its variant.
    """
    config_dir = sides.here.config_dir if sides is not None else order.config_dir
    found = []
    for check, variant in pairs_of(order.policy):
        settings = [*search_path(config_dir), *check.overrides(variant), *order.settings]
        if (
            sides is not None
            and not sides.here.has(check.analyzer, variant)
            and sides.there.has(check.analyzer, variant)
        ):
            own = ("analyzer=", "variant=", "analyzer.", "+analyzer.", "~analyzer.")
            settings = [one for one in settings if not one.startswith(own)]
        found.append(compose(settings))
        if found[-1].on_unavailable != "fail":
            raise ConfigError(
                "on_unavailable=fallback: a gate compares what its policy names, and nothing in its place",
                "leave it out; on_unavailable: warn in the policy lets a check pass whose variant cannot run here",
            )
    return found[0]
