"""A new family of the catalog from an address: what it holds is looked up, and written down as ``conf/weights/<family>.yaml``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from reelbench import paths
from reelbench.errors import ConfigError
from reelbench.models.addresses import Address, HubAddress, LocalAddress
from reelbench.models.catalog import Artifact, Catalog, Class, Family, is_safe, parse_family, read_family
from reelbench.models.describing import UNKNOWN, Description, Wanted, of_file, of_hub, of_web
from reelbench.models.pickles import looks_like
from reelbench.models.placing import disk_errors
from reelbench.models.pulling import locked
from reelbench.models.session import Progress
from reelbench.models.sources import Source


@dataclass(frozen=True, slots=True)
class Entry:
    """What the user says about a new family; empty is what the address itself says, or follows from it."""

    family: str = ""
    title: str = ""
    licence: str = ""
    class_: Class | None = None
    wanted: Wanted = field(default_factory=Wanted)


@dataclass(frozen=True, slots=True)
class Added:
    """The catalog file that was written, its new artifacts, and what of the address was not taken and why."""

    file: Path
    family: str
    artifacts: tuple[Artifact, ...]
    left_out: dict[str, str]
    gated: bool

    @property
    def pickles(self) -> list[str]:
        """The artifacts that are pickles by their name: files that can run code when they are loaded."""
        return [artifact.id for artifact in self.artifacts if looks_like(artifact.id)]


def add(address: Address, entry: Entry, conf: Path, store: Path, catalog: Catalog, progress: Progress) -> Added:
    """Describe what is behind ``address`` and write it into ``conf``/weights; a family that is there gets the new artifacts.

    What had to be downloaded to be hashed stays in the store's ``.partial``, from where a pull takes it. Raises ConfigError,
    InputError, OutputError, WeightsError; nothing is written then.
    """
    family = entry.family or slug(_guess(address))
    if not is_safe(family) or "/" in family:
        raise ConfigError(
            f"'{family}' cannot name a family", "use letters, digits and . _ + -, for instance --family my_net"
        )
    file = conf / "weights" / f"{family}.yaml"
    partial = store / ".partial" / family

    def report(name: str, done: int, total: int) -> None:
        progress(f"{family}/{name}", done, total)

    with disk_errors(partial), locked(store, family):
        partial.mkdir(parents=True, exist_ok=True)
        found = _describe(address, entry.wanted, partial, report)
    head = {
        "title": entry.title or found.title,
        "licence": entry.licence or found.licence,
        "class": entry.class_ or ("irreplaceable" if isinstance(address, LocalAddress) else "refetchable"),
        **({"homepage": found.homepage} if found.homepage else {}),
    }
    text = _text(file, family, head, found)
    new = _checked(family, text, catalog)
    ids = {f"{family}/{one.name}" for one in found.files}
    paths.write_text(file, text, exact=True)
    artifacts = tuple(artifact for artifact in new.artifacts if artifact.id in ids)
    return Added(file, family, artifacts, found.left_out, found.gated)


def slug(name: str) -> str:
    """A family's name from a repository's or a file's: 'Qwen2-VL-2B-Instruct' gives 'qwen2_vl_2b_instruct'."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _guess(address: Address) -> str:
    if isinstance(address, HubAddress):
        return address.repository.split("/")[1]
    name = address.path.name if isinstance(address, LocalAddress) else address.name
    return name.split(".")[0] or name


def _describe(address: Address, wanted: Wanted, partial: Path, progress: Progress) -> Description:
    if isinstance(address, HubAddress):
        return of_hub(address, wanted, partial, progress)
    if isinstance(address, LocalAddress):
        return of_file(address, wanted)
    return of_web(address, wanted, partial, progress)


def _text(file: Path, family: str, head: dict[str, str], found: Description) -> str:
    """The whole catalog file. One that is there keeps its text, comments included, and gets the artifacts at its end."""
    artifacts: dict[str, Any] = {}
    there = read_family(file) if file.is_file() else None
    for one in found.files:
        if not is_safe(one.name):
            raise ConfigError(f"'{one.name}' cannot be a path in the model store", "leave it out with --exclude")
        artifacts[f"{family}/{one.name}"] = {
            "bytes": one.bytes,
            "sha256": one.sha256,
            **({"licence": head["licence"]} if there and head["licence"] not in (there.licence, UNKNOWN) else {}),
            "sources": [_source(one.source)],
        }
    if there is None:
        return _dump(head) + "artifacts:\n" + _indented(artifacts)
    known = {artifact.id: artifact.sha256 for artifact in there.artifacts}
    for name, value in list(artifacts.items()):
        if known.get(name, value["sha256"]) != value["sha256"]:
            raise ConfigError(f"{file}: {name} is there with another sha256", "give --family another name")
        if name in known:
            del artifacts[name]
    before = file.read_text(encoding="utf-8")
    return before.rstrip() + "\n" + _indented(artifacts) if artifacts else before


def _checked(name: str, text: str, catalog: Catalog) -> Family:
    """The family that the text is, as the catalog would read it beside all its others."""
    family = parse_family(name, text)
    Catalog([*(other for other in catalog.families.values() if other.name != family.name), family])
    return family


def _source(source: Source) -> dict[str, str | int]:
    return {key: value for key, value in source.model_dump(mode="json").items() if value is not None}


def _dump(value: dict[str, Any], flow: bool | None = False) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=4096, default_flow_style=flow)


def _indented(artifacts: dict[str, Any]) -> str:
    """The artifacts as the catalog's files write them: two spaces in, each source on one line."""
    lines: list[str] = []
    for name, value in artifacts.items():
        lines.append(_dump({name: {key: one for key, one in value.items() if key != "sources"}}).rstrip())
        lines.append("  sources:")
        lines += [f"    - {_dump(source, flow=True).strip()}" for source in value["sources"]]
    return "".join(f"  {line}\n" for line in "\n".join(lines).splitlines())
