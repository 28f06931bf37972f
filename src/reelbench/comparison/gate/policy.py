"""What a gate asks for: ``conf/gate/*.yaml``, or any YAML file of the same form."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from reelbench.errors import ConfigError
from reelbench.settings import did_you_mean

Action = Literal["fail", "warn", "pass"]
QUESTIONS = ("speed", "quality", "memory", "cold start")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Check(_Strict):
    """One analyzer in some variants. A limit that is null is not asked for; limits are shares (0.05 = 5 %).

    ``settings`` are further settings of a run ('corpus.path=clips', 'analyzer.batch=2'), the same for both sides.
    """

    analyzer: str = Field(min_length=1)
    variants: tuple[str, ...] = Field(min_length=1)
    corpus: str = "demo"
    measure: str = "default"
    settings: tuple[str, ...] = ()
    largest_slow_down: float | None = Field(default=0.05, gt=0, lt=10)
    quality_margin: float | None = Field(default=0.01, ge=0, lt=1)
    least_agreement: float | None = Field(default=None, ge=0, le=1)
    memory: float | None = Field(default=None, gt=0, lt=100)
    cold_start: float | None = Field(default=None, gt=0, lt=100)

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if not self.questions:
            raise ValueError("asks for nothing: give one of largest_slow_down, quality_margin, memory, cold_start")
        if len(set(self.variants)) < len(self.variants):
            raise ValueError("names a variant twice")
        return self

    @property
    def questions(self) -> tuple[str, ...]:
        asked = (self.largest_slow_down, self.quality_margin, self.memory, self.cold_start)
        return tuple(name for name, limit in zip(QUESTIONS, asked, strict=True) if limit is not None)

    def overrides(self, variant: str) -> list[str]:
        """Settings of a run of this check."""
        found = [f"analyzer={self.analyzer}", f"variant={variant}", f"corpus={self.corpus}", f"measure={self.measure}"]
        if self.quality_margin is not None:
            found.append(f"comparison.quality_margin={self.quality_margin!r}")
        if self.least_agreement is not None:
            found.append(f"comparison.least_agreement={self.least_agreement!r}")
        return [*found, "on_unavailable=fail", *self.settings]


class Policy(_Strict):
    """All checks, and what to make of an answer that is none. ``extras``: the package's optional dependencies that an environment of
    its own needs for the commit (docs/gate.md). ``on_changed_judge``: what to make of a change that edits what takes part in judging.
    ``largest_floor``: a machine whose floor would raise a limit beyond it cannot gate."""

    name: str = Field(min_length=1)
    checks: tuple[Check, ...] = Field(min_length=1)
    on_inconclusive: Action = "fail"
    on_unavailable: Action = "fail"
    on_changed_judge: Literal["warn", "fail"] = "warn"
    largest_floor: float = Field(default=0.10, gt=0, lt=10)
    extras: tuple[str, ...] = ()

    @property
    def verdicts(self) -> int:
        """How many verdicts are judged together."""
        return sum(len(check.variants) for check in self.checks)


def read_policy(which: str, folders: Sequence[Path]) -> Policy:
    """The policy named ``which`` in ``gate/`` of one of the configuration ``folders``, or the file ``which``.

    Raises ConfigError, one line that says what is wrong and where.
    """
    import yaml

    file = _find(which, folders)
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"{file}{line}: no YAML: {getattr(error, 'problem', None) or 'cannot be read'}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{file}: a policy has a name and checks", "docs/gate.md has an example")
    try:
        return Policy.model_validate({"name": file.stem, **found})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        said = str(first["msg"]).removeprefix("Value error, ")
        raise ConfigError(f"{file}: {where}: {said}", "docs/gate.md says what a policy holds") from error


def _find(which: str, folders: Sequence[Path]) -> Path:
    if which.endswith((".yaml", ".yml")) or "/" in which:
        file = Path(which).expanduser()
        if not file.is_file():
            raise ConfigError(f"{which}: there is no such policy file")
        return file
    for folder in folders:
        if (file := folder / "gate" / f"{which}.yaml").is_file():
            return file
    known = sorted({file.stem for folder in folders for file in (folder / "gate").glob("*.yaml")})
    raise ConfigError(
        f"there is no gate policy '{which}'", f"{did_you_mean(which, known) or 'there is none'}; or name a .yaml file"
    )
