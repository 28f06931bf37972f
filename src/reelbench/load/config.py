"""The configuration of a load run: conf/load, and that of the system which is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reelbench.config import invalid
from reelbench.errors import ConfigError
from reelbench.overrides import initialized, one_line_errors
from reelbench.paths import conf_dir
from reelbench.settings import did_you_mean
from reelbench.system.config import Composed, compose_system

SCENARIOS = ("offline", "single_stream", "server")
OTHER = "other"
Scenario = Literal["offline", "single_stream", "server"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LoadConfig(_Strict):
    """conf/load/<scenario>.yaml; the comments there say what each means."""

    name: Scenario
    plan: str
    queries: int | None = Field(ge=1)
    warmup: int = Field(ge=0)
    rate: Literal["auto"] | float
    share: float = Field(gt=0)
    seed: int
    bound_s: float | None = Field(gt=0)
    bound_percentile: float = Field(gt=0, le=100)
    memory_every_s: float = Field(gt=0)
    types: Path | None


class VideoType(_Strict):
    """A kind of video: a clip whose name one of the patterns fits (as in a shell) belongs to it."""

    name: str = Field(min_length=1)
    clips: tuple[str, ...]


class VideoTypes(_Strict):
    types: tuple[VideoType, ...]

    def of(self, clip: str) -> str:
        """The kind of a clip: the first that fits the last part of its name, with its ending or without."""
        path = PurePosixPath(clip)
        for kind in self.types:
            if any(fnmatchcase(path.stem, pattern) or fnmatchcase(path.name, pattern) for pattern in kind.clips):
                return kind.name
        return OTHER


@dataclass(frozen=True, slots=True)
class Loading:
    """What is to be done: the scenario, the system, and how clips are called by kind."""

    load: LoadConfig
    system: Composed
    types: VideoTypes


def compose_load(settings: Sequence[str]) -> Loading:
    """Compose ``scenario=…``, ``load.KEY=…`` and everything that `reelbench system` takes.

    Raises ConfigError for what does not exist, with what there is instead.
    """
    scenario = "offline"
    own: list[str] = []
    rest: list[str] = []
    for item in settings:
        if item.startswith("scenario="):
            scenario = item.partition("=")[2]
        else:
            (own if item.lstrip("+~").startswith("load.") else rest).append(item)
    if scenario not in SCENARIOS:
        raise ConfigError(f"there is no scenario '{scenario}'", did_you_mean(scenario, SCENARIOS))
    load = _load_config(scenario, own)
    system = compose_system([f"plan={load.plan}", *rest])  # of two the last holds
    return Loading(load.model_copy(update={"plan": system.plan.name}), system, read_types(load.types))


def _load_config(scenario: str, own: Sequence[str]) -> LoadConfig:
    from hydra import compose as hydra_compose
    from omegaconf import OmegaConf

    overrides = [f"+load={scenario}", *own]
    with initialized(), one_line_errors(overrides):
        cfg = hydra_compose("config", overrides=overrides)
        found = OmegaConf.to_container(cfg.load, resolve=True, throw_on_missing=True)
    try:
        config = LoadConfig.model_validate(found)
    except ValidationError as error:
        raise invalid(error, found, "load") from error
    if config.rate != "auto" and not config.rate > 0:
        raise ConfigError("configuration: load.rate: it must be above 0, or 'auto'", "clips a minute")
    return config


def read_types(path: Path | None) -> VideoTypes:
    """A file of kinds, the shipped one where ``path`` is None; ConfigError where it cannot be read."""
    import yaml

    path = path or conf_dir() / "video_types.yaml"
    try:
        return VideoTypes.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, yaml.YAMLError) as error:
        hint = "conf/video_types.yaml of the package shows its form"
        raise ConfigError(f"{path}: no file of kinds of video: {str(error).splitlines()[0]}", hint) from error
