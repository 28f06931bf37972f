"""Pickles can run any code when they are loaded. Here one is loaded only where its sha256 is pinned in the catalog:
`ModelStore.path` gives no file whose bytes are others.

A scanner's opinion is shown as advice: scanners have been got round again and again, so none of them opens or closes this gate.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from reelbench.models.catalog import Artifact, Catalog

_BY_NAME = re.compile(
    r"\.(pt|pth|ckpt|pkl|pickle|joblib|dill)$|(^|/)(pytorch|adapter|optimizer|training)_[^/]*\.bin$", re.IGNORECASE
)
_NO_PICKLE_BELOW = 2
_NEWEST_PROTOCOL = 5
_SCANNER = "picklescan"


@dataclass(frozen=True, slots=True)
class Advice:
    """What the scanner says. ``scanned`` is false where it is not installed or could not read the file; ``text`` says so then."""

    scanned: bool
    dangerous: tuple[str, ...]
    text: str


def looks_like(name: str) -> bool:
    """Whether a file is a pickle by its name. A ``.bin`` can be anything: of those, only PyTorch's own names count."""
    return _BY_NAME.search(name) is not None


def is_pickle(path: Path) -> bool:
    """Whether a file is a pickle, or an archive of PyTorch that holds one, by its bytes and not by its name."""
    with path.open("rb") as stream:
        start = stream.read(2)
    if start[:1] == b"\x80" and len(start) == _NO_PICKLE_BELOW and start[1] <= _NEWEST_PROTOCOL:
        return True
    if start != b"PK" or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith((".pkl", ".pickle")) for name in archive.namelist())


def pinned(catalog: Catalog, digest: str) -> Artifact | None:
    """The artifact of the catalog that has this sha256."""
    return next((one for one in catalog.artifacts.values() if one.sha256 == digest), None)


def scan(path: Path) -> Advice:
    """The opinion of picklescan, where that is installed. It is advice: 'nothing found' proves nothing."""
    if importlib.util.find_spec(_SCANNER) is None:
        return Advice(False, (), f"not scanned ('pip install {_SCANNER}' installs the scanner)")
    scanner = importlib.import_module(f"{_SCANNER}.scanner")
    result = scanner.scan_file_path(str(path))
    if result.scan_err:
        return Advice(False, (), "the scanner could not read it")
    bad = tuple(f"{one.module}.{one.name}" for one in result.globals if one.safety == scanner.SafetyLevel.Dangerous)
    odd = sum(one.safety == scanner.SafetyLevel.Suspicious for one in result.globals)
    if bad:
        return Advice(True, bad, f"the scanner finds calls that can do harm: {', '.join(bad[:5])}")
    return Advice(True, (), f"the scanner finds nothing known to do harm, and {odd} names that it does not know")
