"""The catalog: every file that ReelBench may fetch, with its sources, size, sha256, licence and class (``conf/weights/*.yaml``).

One YAML file is one family. An artifact's id is also its path inside the model store, so it must be a plain relative path.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, StringConstraints, ValidationError, model_validator

from reelbench import paths
from reelbench.errors import ConfigError
from reelbench.models.sources import AnySource, Strict

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # PyYAML without libyaml: slower, and the same
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Class = Literal["refetchable", "regenerable", "irreplaceable"]

_PART = r"[A-Za-z0-9_][A-Za-z0-9._+-]*"
_SAFE = re.compile(rf"{_PART}(?:/{_PART})*")
_NOT_A_FAMILY = {"derived"}


class Artifact(Strict):
    """One file. ``id`` and ``family`` are filled in from where it stands in the catalog."""

    id: str
    family: str
    bytes: int = Field(gt=0)
    sha256: Sha256
    licence: str = Field(min_length=1)
    class_: Class = Field(alias="class")
    note: str = ""
    sources: tuple[AnySource, ...] = ()

    @model_validator(mode="after")
    def _can_be_had(self) -> Self:
        if not self.sources and self.class_ == "refetchable":
            raise ValueError("a refetchable artifact needs at least one source")
        return self


class _Entry(Strict):
    """An artifact as it stands in the file; what it does not say it has from its family."""

    bytes: int
    sha256: Any
    licence: str | None = None
    note: str = ""
    sources: Any = ()


class _Family(Strict):
    title: str = Field(min_length=1)
    licence: str = Field(min_length=1)
    class_: Class = Field(alias="class")
    homepage: str = ""
    note: str = ""
    artifacts: dict[str, _Entry] = Field(min_length=1)


class Family(Strict):
    """The artifacts of one catalog file."""

    name: str
    title: str
    licence: str
    class_: Class = Field(alias="class")
    homepage: str
    note: str
    artifacts: tuple[Artifact, ...]


class Catalog:
    """All families. ``load`` reads the shipped catalog; every mistake in it is a `ConfigError` that names file and key."""

    def __init__(self, families: Iterable[Family]) -> None:
        self.families: dict[str, Family] = {family.name: family for family in families}
        self.artifacts: dict[str, Artifact] = {}
        for family in self.families.values():
            for artifact in family.artifacts:
                self._add(artifact)
        self._refuse_nested()

    @classmethod
    def load(cls, conf_dir: Path | None = None) -> Catalog:
        """Read ``<conf_dir>/weights/*.yaml``; by default of the shipped configuration and of ``REELBENCH_CATALOG``."""
        found: dict[str, Family] = {}
        for folder in [conf_dir / "weights"] if conf_dir else catalog_folders():
            if not folder.is_dir():
                raise ConfigError(f"{folder}: no such folder", "the catalog lives in conf/weights")
            # A hidden file is what a process left that was killed while it wrote one.
            for family in map(read_family, sorted(folder.glob("[!.]*.yaml"))):
                if found.setdefault(family.name, family) != family:
                    raise ConfigError(
                        f"{folder}/{family.name}.yaml: another folder of the catalog has a family of this name",
                        "rename the file and its artifacts",
                    )
        return cls(found.values())

    def __getitem__(self, artifact: str) -> Artifact:
        if artifact in self.artifacts:
            return self.artifacts[artifact]
        raise self._unknown(artifact, self.artifacts)

    def resolve(self, names: Iterable[str]) -> list[str]:
        """Ids from ids and family names, each once, in the order given."""
        found: dict[str, None] = {}
        for name in names:
            if name in self.families:
                found.update(dict.fromkeys(artifact.id for artifact in self.families[name].artifacts))
            elif name in self.artifacts:
                found[name] = None
            else:
                raise self._unknown(name, [*self.families, *self.artifacts])
        return list(found)

    def _unknown(self, name: str, known: Iterable[str]) -> ConfigError:
        near = difflib.get_close_matches(name, known, n=4, cutoff=0.5)
        near = near or [key for key in known if Path(key).name == Path(name).name][:4]
        hint = f"did you mean {', '.join(near)}?" if near else "'reelbench models list' shows what there is"
        return ConfigError(f"the catalog has no '{name}'", hint)

    def _add(self, artifact: Artifact) -> None:
        folded = artifact.id.casefold()
        twin = next((other for other in self.artifacts.values() if other.id.casefold() == folded), None)
        if twin is not None:
            raise ConfigError(
                f"conf/weights/{artifact.family}.yaml: artifacts.{artifact.id}: "
                f"{twin.id} is already in {twin.family}.yaml"
            )
        self.artifacts[artifact.id] = artifact

    def _refuse_nested(self) -> None:
        """No artifact may be the folder that another one lies in."""
        for artifact in self.artifacts.values():
            for parent in Path(artifact.id).parents:
                if str(parent) in self.artifacts:
                    raise ConfigError(
                        f"conf/weights/{artifact.family}.yaml: artifacts.{artifact.id}: "
                        f"{parent} is a file of the catalog, not a folder"
                    )


def catalog_folders() -> list[Path]:
    """Where the catalog is read from: the shipped configuration, and the configuration folders that ``REELBENCH_CATALOG`` names
    (several are separated as in PATH)."""
    more = os.environ.get("REELBENCH_CATALOG", "").split(os.pathsep)
    return [
        folder / "weights" for folder in (paths.conf_dir(), *(Path(one).expanduser().absolute() for one in more if one))
    ]


def is_safe(relative: str) -> bool:
    """Whether a name is a plain relative path that stays below the folder it is joined to, with no hidden part."""
    return len(relative) <= 240 and _SAFE.fullmatch(relative) is not None


def read_family(file: Path) -> Family:
    """Read and check one catalog file."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"conf/weights/{file.name}: cannot be read: {error}") from error
    return parse_family(file.stem, text)


def parse_family(name: str, text: str) -> Family:
    """The family that the text of a catalog file is."""
    where = f"conf/weights/{name}.yaml"
    if not is_safe(name) or name in _NOT_A_FAMILY:
        raise ConfigError(f"{where}: the file's name cannot name a family", "use letters, digits and . _ + -")
    try:
        raw = yaml.load(text, Loader=_UniqueKeys)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{where}: {_yaml_reason(error)}") from error
    try:
        family = _Family.model_validate(raw)
    except ValidationError as error:
        raise _first(where, "", error) from error
    artifacts = tuple(_artifact(where, name, key, entry, family) for key, entry in family.artifacts.items())
    shared = family.model_dump(exclude={"artifacts"})
    return Family(name=name, artifacts=artifacts, **shared)


def _artifact(where: str, name: str, key: str, entry: _Entry, family: _Family) -> Artifact:
    if not is_safe(key) or "/" not in key or key.split("/")[0] in _NOT_A_FAMILY:
        raise ConfigError(
            f"{where}: artifacts.{key}: an id is a plain relative path such as {name}/model.onnx (letters, digits, . _ + -)"
        )
    values = {
        "id": key,
        "family": name,
        "class": family.class_,
        **entry.model_dump(exclude={"licence"}),
        "licence": entry.licence or family.licence,
    }
    try:
        return Artifact.model_validate(values)
    except ValidationError as error:
        raise _first(where, f"artifacts.{key}", error) from error


def _first(where: str, prefix: str, error: ValidationError) -> ConfigError:
    """The first of pydantic's complaints in one line, with the key it is about."""
    first = error.errors(include_url=False)[0]
    tag = 2 if first["loc"][:1] == ("sources",) else None  # sources.0.<kind>.key: the kind is no key of the file
    loc = [str(part) for at, part in enumerate(first["loc"]) if at != tag]
    key = ".".join([prefix, *loc] if prefix else loc)
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return ConfigError(f"{where}: {key + ': ' if key else ''}{first['msg'].removeprefix('Value error, ')}{more}")


def _yaml_reason(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem or error.context or 'not YAML'}"
    return str(error) or "not YAML"


class _UniqueKeys(_Loader):
    """A safe loader that refuses a key that stands twice, where YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = getattr(key, "value", None)
            if isinstance(name, str) and name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"'{name}' stands twice", key.start_mark)
            if isinstance(name, str):
                seen.add(name)
        return super().construct_mapping(node, deep=deep)
