"""The configuration of a system run: conf/system, conf/plan, and one ordinary configuration for each analyzer that takes part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reelbench.config import Node, RunConfig, compose, invalid, variants
from reelbench.errors import ConfigError
from reelbench.media.types import DecodeOptions
from reelbench.overrides import group_options, initialized, one_line_errors
from reelbench.settings import check_node, did_you_mean

CHOICES = ("system", "plan")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Timeouts(_Strict):
    base_s: float = Field(gt=0)
    per_video_s: float = Field(ge=0)
    load_s: float = Field(gt=0)
    prepare_s: float = Field(gt=0)


class SystemConfig(_Strict):
    """conf/system/<name>.yaml; the comments there say what each means."""

    name: str
    analyzers: Literal["auto"] | tuple[str, ...]
    leave_out: tuple[str, ...] = ()
    variant: str
    variants: dict[str, str] = Field(default_factory=dict)
    settings: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    decode: DecodeOptions
    preload: bool
    timeout: Timeouts
    retries: int = Field(ge=0)
    give_up_after: int = Field(ge=1)
    worker_memory_mb: float = Field(gt=0)
    spool_mb: float = Field(default=8000, gt=0)
    scratch: Path | None = None
    check_copy: bool = True


class PlanConfig(_Strict):
    """conf/plan/<name>.yaml."""

    name: str
    decode: Literal["once", "each"]
    cores: int | None = Field(default=None, ge=1)
    memory_mb: float = Field(gt=0)
    clips_at_once: int = Field(ge=1)
    copies: dict[str, int] = Field(default_factory=dict)
    wide: dict[str, int] = Field(default_factory=dict)
    order: Node
    timings: Path | None = None


@dataclass(frozen=True, slots=True)
class Composed:
    """``base`` is an ordinary configuration from which corpus, limits, seed and folders are taken; ``analyzers`` has one
    for each, and ``overrides`` what that was composed from."""

    system: SystemConfig
    plan: PlanConfig
    base: RunConfig
    analyzers: dict[str, RunConfig]
    overrides: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def runs_dir(self) -> Path:
        return self.base.runs_dir / "system"


def compose_system(settings: Sequence[str]) -> Composed:
    """Compose ``settings`` (``system=…``, ``plan=…``, ``system.retries=2`` and all that a run takes but analyzer and variant).

    Raises ConfigError for what does not exist, with what there is instead.
    """
    own = [item for item in settings if item.lstrip("+~").split("=")[0].split(".")[0] in CHOICES]
    common = [item for item in settings if item not in own]
    for item in common:
        if item.startswith(("analyzer", "variant=", "quality")):
            raise ConfigError(
                f"'{item}' belongs to the run of one analyzer",
                "here: system.analyzers=[a,b], system.variant=…, system.variants.a=…, +system.settings.a=[analyzer.…]",
            )
    with initialized():
        system, plan = _nodes(own, common)
        overrides = {name: _overrides(name, system, common) for name in _names(system, common)}
        configs = {name: compose(found) for name, found in overrides.items()}
        if system.analyzers == "auto":
            configs = {name: config for name, config in configs.items() if config.analyzer.enabled}
        if not configs:
            raise ConfigError("no analyzer takes part", "see system.analyzers and system.leave_out")
        return Composed(system, plan, next(iter(configs.values())), configs, overrides)


def _nodes(own: Sequence[str], common: Sequence[str]) -> tuple[SystemConfig, PlanConfig]:
    from hydra import compose as hydra_compose
    from omegaconf import OmegaConf

    chosen = {"system": "default", "plan": "auto"}
    chosen |= dict(item.split("=", 1) for item in own if item.split("=")[0] in CHOICES)
    inner = [item for item in own if item.split("=")[0] not in CHOICES]
    groups = [f"+{group}={name}" for group, name in chosen.items()]
    searched = [item for item in common if item.startswith("hydra.searchpath=")]
    overrides = [*searched, *groups, *_opened(inner)]
    with one_line_errors(overrides):
        cfg = hydra_compose("config", overrides=overrides)
        found = OmegaConf.to_container(OmegaConf.masked_copy(cfg, list(CHOICES)), resolve=True, throw_on_missing=True)
    assert isinstance(found, dict)
    plan: PlanConfig = _checked(PlanConfig, "plan", found)
    check_node(plan.order, "plan.order")
    return _checked(SystemConfig, "system", found), plan


_OPEN = ("system.variants.", "system.settings.", "plan.copies.", "plan.wide.")


def _opened(settings: Sequence[str]) -> list[str]:
    """Entries of mappings by an analyzer's name may be new: Hydra wants '++' for these."""
    return [f"++{item}" if item.startswith(_OPEN) else item for item in settings]


def _checked(model: Any, key: str, found: dict[Any, Any]) -> Any:
    try:
        return model.model_validate(found[key])
    except ValidationError as error:
        raise invalid(error, found[key], key) from error


def _names(system: SystemConfig, common: Sequence[str]) -> list[str]:
    known = analyzer_names(common)
    asked = known if system.analyzers == "auto" else list(dict.fromkeys(system.analyzers))
    for name in (*asked, *system.leave_out, *system.variants, *system.settings):
        if name not in known:
            raise ConfigError(f"there is no analyzer '{name}'", did_you_mean(name, known))
    return [name for name in asked if name not in system.leave_out]


def analyzer_names(overrides: Sequence[str]) -> list[str]:
    """Every analyzer on Hydra's search path and on what ``overrides`` add to it."""
    return sorted(group_options("analyzer", overrides))


def _overrides(name: str, system: SystemConfig, common: Sequence[str]) -> tuple[str, ...]:
    """What the configuration of one analyzer is composed from."""
    variant = system.variants.get(name, system.variant)
    if variant not in (known := variants(name, common)):
        choose = f"system.variants.{name}={'|'.join(known)}, or leave it out: system.leave_out=[{name}]"
        hint = f"{did_you_mean(variant, known, listed=False)} choose one: {choose}"
        raise ConfigError(f"analyzer {name} has no variant '{variant}'", hint)
    return (*common, f"analyzer={name}", f"variant={variant}", *system.settings.get(name, ()))
