"""The two arms: from what the user wrote to systems that can be run again and again over the same clips."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from reelbench.bench.progress import Progress
from reelbench.comparison.records import Arm, ArmName
from reelbench.errors import ConfigError, UnavailableError
from reelbench.paths import conf_dir
from reelbench.settings import did_you_mean
from reelbench.system.config import Composed, compose_system
from reelbench.system.setup import Prepared, prepare

MEASURE = "measure=system"


class _Named(BaseModel):
    """conf/arm/<name>.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    settings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SystemArm:
    """One side. ``settings`` are all that it was composed from."""

    name: ArmName
    label: str
    settings: tuple[str, ...]
    composed: Composed

    def record(self) -> Arm:
        variant = f"system={self.composed.system.name} plan={self.composed.plan.name}"
        return Arm(
            label=self.label,
            variant=variant,
            effective=variant,
            run_id="",
            folder=self.name,
            overrides=list(self.settings),
        )


def read_arm(name: ArmName, spec: str, common: Sequence[str], config_dir: Path | None = None) -> SystemArm:
    """An arm as the user wrote it: the name of a file in conf/arm, settings behind it ('original system.retries=0'); or settings alone.

    What holds for both (``common``) comes first, so that the arm's own settings win. Raises ConfigError for what does not exist.
    """
    words = shlex.split(spec)
    if not words:
        raise ConfigError(f"{name}= is empty", "reelbench ab system a=original b=optimized")
    named = () if "=" in words[0] else _named(words[0], config_dir)
    own = words if "=" in words[0] else words[1:]
    shared = [] if any(item.startswith("measure=") for item in common) else [MEASURE]
    settings = (*shared, *common, *named, *own)
    return SystemArm(name, " ".join(words), settings, compose_system(settings))


def _named(name: str, config_dir: Path | None) -> tuple[str, ...]:
    import yaml

    folders = [folder / "arm" for folder in (config_dir, conf_dir()) if folder is not None]
    found = next((file for folder in folders if (file := folder / f"{name}.yaml").is_file()), None)
    if found is None:
        known = sorted({file.stem for folder in folders for file in folder.glob("*.yaml")})
        raise ConfigError(
            f"there is no arm '{name}'", f"{did_you_mean(name, known)}; or settings: a='system=baseline plan=auto'"
        )
    try:
        return _Named.model_validate(yaml.safe_load(found.read_text(encoding="utf-8"))).settings
    except (OSError, ValidationError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{found}: no file of an arm: {str(error).splitlines()[0]}", "conf/arm/original.yaml shows its form"
        ) from error


def check_alike(a: Composed, b: Composed) -> None:
    """ConfigError where the arms would not do the same work, or would be judged by different rules."""
    for key in ("corpus", "measure", "comparison", "seed"):
        if getattr(a.base, key) != getattr(b.base, key):
            raise ConfigError(f"the arms differ in {key}", f"say {key} once, for both")
    if a.system.check_copy != b.system.check_copy:
        raise ConfigError("the arms differ in system.check_copy", "say it once, for both")
    if sorted(a.analyzers) != sorted(b.analyzers):
        different = sorted(set(a.analyzers) ^ set(b.analyzers))
        raise ConfigError(
            f"only one arm runs {', '.join(different)}", "say system.analyzers or system.leave_out once, for both"
        )
    for name, config in a.analyzers.items():
        if config.quality != b.analyzers[name].quality:
            raise ConfigError(f"the arms judge {name} by different metrics", "say its quality once, for both")


def prepare_both(a: SystemArm, b: SystemArm, progress: Progress) -> tuple[Prepared, Prepared]:
    """Packages, weights and clips of both. UnavailableError where one of them cannot run what the other can."""
    ready = prepare(a.composed, progress), prepare(b.composed, progress)
    for mine, other, arm in ((ready[0], ready[1], a), (ready[1], ready[0], b)):
        for name, part in mine.parts.items():
            if part.unavailable and not other.parts[name].unavailable:
                hint = f"{part.mend + '; or ' if part.mend else ''}leave it out of both: system.leave_out=[{name}]"
                raise UnavailableError(f"arm {arm.name} ({arm.label}) cannot run {name} here: {part.unavailable}", hint)
    return ready
