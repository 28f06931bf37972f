"""The ledger of claims: what somebody said about speed or disk, as ``conf/claims/<name>.yaml`` states it.

A ledger is held against measurements by `reelbench.comparison.claims.check`. Figures are read as decimals, so that '2.0' keeps the
precision with which it was said.
"""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, ValidationError, model_validator

from reelbench import paths
from reelbench.errors import ConfigError
from reelbench.settings import did_you_mean

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Positive = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]
DEFAULT_LEDGER = "original"
_HINT = "docs/claims.md describes a ledger"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SpeedClaim(_Strict):
    """``before`` and ``after`` are seconds as they were said, on the claimant's machine. ``a`` and ``b`` are the variants that stand
    for before and after here. ``analyzer`` is one, ``analyzers`` are several one after the other."""

    id: Name
    unit: Literal["s"]
    analyzer: Name | None = None
    analyzers: tuple[Name, ...] = ()
    a: Name = "baseline"
    b: Name = "optimized"
    before: Positive
    after: Positive
    speed_up: Positive
    note: str = ""

    @model_validator(mode="after")
    def _says_what_it_is_about(self) -> Self:
        if (self.analyzer is None) == (not self.analyzers):
            raise ValueError("name either one 'analyzer' or several 'analyzers'")
        if self.analyzers and (len(self.analyzers) < 2 or len(set(self.analyzers)) < len(self.analyzers)):
            raise ValueError("'analyzers' are two or more different ones")
        if self.speed_up <= 1:
            raise ValueError("a speed_up lies above 1: it is before divided by after")
        return self

    @property
    def about(self) -> tuple[str, ...]:
        """The analyzers that it is about."""
        return self.analyzers or ((self.analyzer,) if self.analyzer else ())

    @property
    def bounds(self) -> tuple[float, float]:
        """What the speed-up may have been before it was rounded to the digits that are stated: '2.0' is 1.95 to 2.05."""
        return float(self.speed_up - half_digit(self.speed_up)), float(self.speed_up + half_digit(self.speed_up))

    @property
    def contradiction(self) -> str:
        """Where before and after give another speed-up than the stated one, however the three were rounded; else empty."""
        least = (self.before - half_digit(self.before)) / (self.after + half_digit(self.after))
        smallest_after = self.after - half_digit(self.after)
        low, high = self.bounds
        too_small = smallest_after > 0 and (self.before + half_digit(self.before)) / smallest_after < Decimal(low)
        if not too_small and least <= Decimal(high):
            return ""
        quotient = self.before / self.after
        return f"the claim contradicts itself: {self.before}/{self.after} is {quotient:.2f}, not {self.speed_up}"


class DiskClaim(_Strict):
    """``freed`` is in GB."""

    id: Name
    unit: Literal["GB"]
    freed: Positive
    note: str = ""


Claim = Annotated[SpeedClaim | DiskClaim, Discriminator("unit")]


class Ledger(_Strict):
    """``source`` says who claimed it, and where."""

    title: Name
    source: Name
    claims: tuple[Claim, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _every_id_once(self) -> Self:
        ids = [claim.id for claim in self.claims]
        if twice := sorted({one for one in ids if ids.count(one) > 1}):
            raise ValueError(f"claims: the id '{twice[0]}' stands twice")
        return self


def half_digit(value: Decimal) -> Decimal:
    """Half of the last stated digit: 0.05 for 2.0, 0.5 for 69."""
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)  # NaN and infinities have letters here; the model refuses them
    return Decimal(1).scaleb(exponent) / 2


def find_ledger(name: str) -> Path:
    """The file that ``name`` means: a path, or a name in ``conf/claims``. ConfigError where there is none."""
    path, folder = Path(name), paths.conf_dir() / "claims"
    if path.is_file():
        return path
    if path.suffix in (".yaml", ".yml") or path.parent != Path():
        raise ConfigError(f"{path}: no such ledger", _HINT)
    shipped = sorted(file.stem for file in folder.glob("*.yaml"))
    if name not in shipped:
        raise ConfigError(f"there is no ledger '{name}'", f"{did_you_mean(name, shipped)}; or give a path")
    return folder / f"{name}.yaml"


def load_ledger(file: Path) -> Ledger:
    """Read and check a ledger. Every mistake is a ConfigError of one line that names the file and the claim."""
    try:
        raw = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}", _HINT) from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{file}: not YAML: {error}", _HINT) from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{file}: a ledger has title, source and claims", _HINT)
    try:
        return Ledger.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{file}: {_first(raw, error)}", _HINT) from error


def _first(raw: dict[Any, Any], error: ValidationError) -> str:
    """The first of pydantic's complaints, with the claim's own id instead of its number."""
    first = error.errors(include_url=False)[0]
    where = [str(part) for part in first["loc"]]
    if where[:1] == ["claims"] and len(where) > 1:
        number, rest = int(where[1]), where[2:]
        claim = raw["claims"][number]
        name = claim.get("id") if isinstance(claim, dict) else None
        unit = claim.get("unit") if isinstance(claim, dict) else None
        rest = rest[1:] if rest[:1] == [str(unit)] else rest  # the unit chose the model; it is no key of the file
        where = [f"claim '{name}'" if name else f"claim {number + 1}", *rest]
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "union_tag_invalid":
        message = "unit is 's' (a speed-up) or 'GB' (disk freed)"
    elif first["type"] == "union_tag_not_found":
        message = "unit is missing: 's' (a speed-up) or 'GB' (disk freed)"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{': '.join([*where, message])}{more}"


class _Loader(yaml.SafeLoader):
    """Numbers as they were written, and no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"'{twice[0]}' stands twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)

    def decimal(self, node: yaml.ScalarNode) -> Decimal | str:
        """A float that decimals do not know (.inf) stays a text, which the model refuses."""
        try:
            return Decimal(str(node.value))
        except InvalidOperation:
            return str(node.value)


_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.decimal)
