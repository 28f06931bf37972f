"""Whether what the package itself requires is installed, in versions that it allows."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from reelbench.doctor.findings import Finding


def findings() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    try:
        asked = [Requirement(text) for text in requires("reelbench") or ()]
    except PackageNotFoundError:
        yield Finding("packages", "look", "reelbench runs without being installed", "pip install -e .")
        return
    wanted = [one for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = [text for one in wanted if (text := _wrong(one.name, one.specifier))]
    if wrong:
        yield Finding("packages", "wrong", "; ".join(wrong), "pip install -c constraints.txt reelbench")
    else:
        yield Finding("packages", "ok", f"all {len(wanted)} that the base install requires")


def _wrong(name: str, allowed: object) -> str:
    from packaging.specifiers import SpecifierSet

    try:
        found = version(name)
    except PackageNotFoundError:
        return f"{name} is not installed"
    assert isinstance(allowed, SpecifierSet)
    return "" if allowed.contains(found, prereleases=True) else f"{name} is {found}, {allowed} is wanted"
