"""The configuration, composed by Hydra and validated at once into typed objects.

``conf/tuning/<analyzer>/<variant>.yaml`` says that an analyzer has a variant: there is no other list. Composition needs Hydra and is
done only where a command really runs; importing this module is cheap.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveInt, ValidationError, model_validator

from reelbench.errors import ConfigError
from reelbench.masking import remember
from reelbench.media.types import DecodeOptions, Limits
from reelbench.models.space import OnLow
from reelbench.overrides import group_options, initialized, one_line_errors
from reelbench.settings import check_node, did_you_mean, first_problem, wrong_value
from reelbench.variant_files import check_variant

Node = dict[str, Any]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AnalyzerNode(BaseModel):
    """``conf/analyzer/<name>.yaml`` with its tuning. What is not named here goes to the analyzer's constructor."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    reference: str
    fallback: str
    description: str = ""
    upstream: dict[str, str] = Field(default_factory=dict)
    """Analyzer -> variant whose results are handed to this one where it runs by itself."""

    @property
    def constructor(self) -> Node:
        """The node that builds the analyzer: ``_target_`` and its arguments."""
        return {key: value for key, value in (self.model_extra or {}).items() if key != "enabled"}

    @property
    def enabled(self) -> bool:
        """``enabled: false`` switches an analyzer off: a system leaves it out, and its weights may be pruned."""
        return (self.model_extra or {}).get("enabled", True) is not False


class Pairs(_Strict):
    """How a comparison measures; see conf/measure."""

    looks: tuple[PositiveInt, ...] = Field(default=(10, 15, 20, 25, 30), min_length=1)
    statistic: Literal["median", "min"] = "median"
    slice_s: float = Field(default=0.5, ge=0)
    slice_max: int = Field(default=4, ge=1)
    restart_every: int = Field(default=5, ge=1)


class Judging(_Strict):
    """What counts when two variants are compared; see conf/config.yaml."""

    smallest_change: float = Field(default=0.03, ge=0, lt=1)
    quality_margin: float = Field(default=0.01, ge=0, lt=1)
    least_agreement: float | None = Field(default=None, ge=0, le=1)
    counts: tuple[NonNegativeFloat, NonNegativeFloat] = (0.5, 2.0)


class Measure(_Strict):
    """How often and how long (seconds); see conf/measure."""

    name: str
    warmup_min: int = Field(ge=1)
    warmup_max: int = Field(ge=1)
    repetitions_min: int = Field(ge=1)
    repetitions_max: int = Field(ge=1)
    seconds_per_clip: float = Field(ge=0)
    clip_timeout_s: float = Field(gt=0)
    load_timeout_s: float = Field(gt=0)
    prepare_timeout_s: float = Field(gt=0)
    pairs: Pairs = Pairs()

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.warmup_max < self.warmup_min or self.repetitions_max < self.repetitions_min:
            raise ValueError("a maximum lies below its minimum")
        return self


class Media(_Strict):
    decode: DecodeOptions
    limits: Limits


class Tracking(_Strict):
    uri: str
    experiment: str

    @model_validator(mode="after")
    def _is_remembered(self) -> Self:
        remember(self.uri)  # records have it without its password
        return self


class RunConfig(_Strict):
    """One run, as asked for. ``variant`` is the requested one."""

    analyzer: AnalyzerNode
    variant: str
    quality: Node
    corpus: Node
    measure: Measure
    media: Media
    tracking: Tracking
    comparison: Judging = Judging()
    on_unavailable: Literal["fail", "fallback"]
    fallback: str | None
    runs_dir: Path
    on_disk_low: OnLow = "pause"
    disk_low_mb: float = Field(default=200.0, ge=0)
    resume: bool
    seed: int
    download: bool
    json_output: bool = Field(alias="json")

    @property
    def measured_part(self) -> Node:
        """The part that decides what is measured: two runs that agree in it may be pooled."""
        keep = {"analyzer", "variant", "quality", "corpus", "measure", "media", "seed"}
        dumped: Node = self.model_dump(mode="json", include=keep)
        return dumped

    @property
    def config_hash(self) -> str:
        return digest(self.measured_part)


def digest(value: Any) -> str:
    """sha256 of the canonical JSON of ``value``, as hex."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def validate(container: Mapping[str, Any], variant: str) -> RunConfig:
    """Turn a composed configuration into a `RunConfig`; ConfigError names the first key that is wrong.

    What is built of it is checked against its class here, before anything is done (`reelbench.settings`).
    """
    try:
        config = RunConfig.model_validate({**container, "variant": variant})
    except ValidationError as error:
        raise invalid(error, container, "") from error
    nodes = {"analyzer": config.analyzer.constructor, "quality": config.quality, "corpus": config.corpus}
    for key, node in nodes.items():
        check_node(node, key)
    return config


def invalid(error: ValidationError, whole: Any, where: str) -> ConfigError:
    """The first thing that a model refused in ``whole``, which lies at the key ``where``, in one line."""
    place, value, said = first_problem(error, whole)
    key = ".".join([where, *place] if where else place)
    if error.errors()[0]["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        beside = whole
        for part in place[:-1]:
            beside = beside[part]
        known = [str(name) for name in beside if str(name) != place[-1]]
        return ConfigError(f"there is no setting '{key}'", did_you_mean(place[-1], known))
    return ConfigError(wrong_value(key, value, said), "python run.py --help shows every setting")


def variants(analyzer: str, overrides: Sequence[str] = ()) -> list[str]:
    """The variants that an analyzer has, on Hydra's current search path and what ``overrides`` add to it (hydra.searchpath=…)."""
    return group_options(f"tuning/{analyzer}", overrides)


def from_composed(cfg: Any, runtime: Any, overrides: Sequence[str] = ()) -> RunConfig:
    """Validate what Hydra composed (an OmegaConf node without the ``hydra`` part); ``runtime`` is ``hydra.runtime``."""
    from omegaconf import OmegaConf

    choices = dict(runtime.choices)
    analyzer, variant = str(choices["analyzer"]), str(choices["variant"])
    known = variants(analyzer, overrides)
    if variant not in known:
        raise ConfigError(f"analyzer {analyzer} has no variant '{variant}'", did_you_mean(variant, known))
    if choices.get("tuning") != f"{analyzer}/{variant}":
        raise ConfigError(f"tuning={choices.get('tuning')} is no choice of its own", "say variant=… instead")
    check_variant(analyzer, variant, runtime.config_sources)
    with one_line_errors():
        container = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    assert isinstance(container, dict)
    return validate({str(key): value for key, value in container.items()}, variant)


def compose(overrides: Sequence[str] = ()) -> RunConfig:
    """Compose and validate one configuration. Works inside a Hydra application and outside of one.

    Raises ConfigError for an unknown analyzer, variant, corpus or key.
    """
    from hydra import compose as hydra_compose
    from omegaconf import OmegaConf

    with initialized(), one_line_errors(overrides):
        cfg = hydra_compose("config", overrides=list(overrides), return_hydra_config=True)
        plain = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
        return from_composed(plain, cfg.hydra.runtime, overrides)


def search_path(config_dir: Path | None) -> list[str]:
    """Hydra's setting that looks for configuration in this folder, too; ConfigError where it is none."""
    if config_dir is None:
        return []
    folder = config_dir.expanduser().absolute()
    if not folder.is_dir():
        raise ConfigError(f"{config_dir}: there is no such folder")
    return [f"hydra.searchpath=['file://{folder}']"]


_OF_A_VARIANT = ("variant=", "analyzer.", "+analyzer.", "~analyzer.", "media.", "+media.")


def other_variant(task_overrides: Sequence[str], variant: str) -> RunConfig:
    """The same run in another variant: what the user set for the requested variant's own network and decoding is left out."""
    return compose([*(item for item in task_overrides if not item.startswith(_OF_A_VARIANT)), f"variant={variant}"])


def other_analyzer(task_overrides: Sequence[str], analyzer: str, variant: str) -> RunConfig:
    """The same clips, measured alike, for another analyzer."""
    dropped = (*_OF_A_VARIANT, "analyzer=", "quality.", "+quality.")
    kept = [item for item in task_overrides if not item.startswith(dropped)]
    return compose([*kept, f"analyzer={analyzer}", f"variant={variant}"])


def instantiate(node: Mapping[str, Any], **extra: Any) -> Any:
    """Build the object that a node's ``_target_`` names. Raises ConfigError with one line where that fails."""
    from hydra.errors import HydraException
    from hydra.utils import instantiate as hydra_instantiate

    try:
        return hydra_instantiate(dict(node), _convert_="all", **extra)
    except HydraException as error:
        cause = error.__cause__
        if isinstance(cause, ConfigError):
            raise cause from error
        detail = " ".join(str(cause or error).split())
        raise ConfigError(f"{node.get('_target_', 'configuration')}: {detail}") from error
