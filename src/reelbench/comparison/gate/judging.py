"""Find the files of a change that take part in judging it.

Those of the commit are used in their place, and the verdict lists the change's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reelbench.comparison.calibrated import calibration_file
from reelbench.comparison.gate.records import JudgingFile
from reelbench.comparison.gate.worktree import Commit, changed_files

JUDGE = 1
"""The version of the options by which a gate asks the commit's code to judge. Code without it
cannot.
"""

MEASURING = "src/reelbench/bench/"
"""What runs in a worker around the analyzer: the clock, the counters, the passes of the audits."""
_CODE = {
    MEASURING: "measuring code",
    "src/reelbench/comparison/calibrat": "calibration",
    "src/reelbench/comparison/": "judging code",
    "src/reelbench/quality/": "metric code",
    "src/reelbench/corpus/": "corpus definition",
    "src/reelbench/report/gate_": "judging code",
    "src/reelbench/cli/gate.py": "judging code",
    "src/reelbench/cli/__init__.py": "judging code",
    "src/reelbench/config.py": "judging code",
    "src/reelbench/machine.py": "judging code",
    "src/reelbench/main.py": "judging code",
    "src/reelbench/publish.py": "judging code",
    ".github/": "CI recipe",
    ".gitlab-ci.yml": "CI recipe",
}
_CONFIGURATION = {
    "gate/": "gate policy",
    "corpus/": "corpus definition",
    "synthetic/": "corpus definition",
    "weights/footage.yaml": "corpus definition",
    "weights/photographs.yaml": "corpus definition",
    "measure/": "measuring settings",
    "config.yaml": "measuring settings",
}
_TRUTH = ".truth.json"


def judging_files(
    top: Path, tree: Path, commit: Commit, config_dir: Path | None, used: Mapping[Path, str]
) -> list[JudgingFile]:
    """The files in the checkout ``top`` that take part in judging and differ from the commit's,
    which lie in ``tree``.

    ``config_dir`` is the user's own folder of configuration; ``used`` are further files and folders
    that the gate reads, with what they are. What git ignores is no part of a change, except in the
    folders of code.
    """
    conf = [Path("conf")]
    if config_dir is not None and config_dir.is_relative_to(top):
        conf.append(config_dir.relative_to(top))
    further = {file.relative_to(top).as_posix(): kind for file, kind in used.items() if file.is_relative_to(top)}
    names = {name for name in changed_files(top, commit) if not (top / name).is_relative_to(tree)}
    for folder in (name for name in _CODE if name.endswith("/")):  # ignored files are imported, too
        names |= set(_below(top, folder)) | set(_below(tree, folder))
    found = []
    for name in sorted(names):
        kind = _kind(name, conf, further) or _metric_settings(name, conf, top, tree)
        change = _difference(top / name, tree / name)
        if kind and change:
            found.append(JudgingFile.model_validate({"path": name, "kind": kind, "change": change}))
    return found


def tracked_calibration(top: Path, commit: Commit, fingerprint: str) -> str:
    """The path in the checkout of this machine's calibration, where the change commits another one;
    '' otherwise.
    """
    file = calibration_file(fingerprint).absolute()
    if not file.is_relative_to(top):
        return ""
    name = file.relative_to(top).as_posix()
    return name if name in changed_files(top, commit, untracked=False) else ""


def _kind(name: str, conf: list[Path], further: Mapping[str, str]) -> str:
    if name.endswith(_TRUTH):
        return "ground truth"
    whole = dict(_CODE)
    for folder in conf:
        whole |= {f"{folder.as_posix()}/{part}": kind for part, kind in _CONFIGURATION.items()}
    for start, kind in whole.items():
        if name == start or (not start.endswith((".py", ".yaml", ".yml")) and name.startswith(start)):
            return kind
    return next((kind for one, kind in further.items() if name == one or name.startswith(f"{one}/")), "")


def _metric_settings(name: str, conf: list[Path], top: Path, tree: Path) -> str:
    """An analyzer's file is the change's to make, but for the metric in it."""
    if Path(name).parent not in [folder / "analyzer" for folder in conf]:
        return ""
    return "metric settings" if _quality(top / name) != _quality(tree / name) and (tree / name).is_file() else ""


def _quality(file: Path) -> Any:
    import yaml

    try:
        node = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    except (OSError, ValueError, yaml.YAMLError):
        return None
    return node.get("quality") if isinstance(node, dict) else None


def _below(top: Path, folder: str) -> Iterator[str]:
    for file in (top / folder).rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            yield file.relative_to(top).as_posix()


def _difference(ours: Path, theirs: Path) -> str:
    """'added', 'removed' or 'changed'; '' where both are alike."""
    mine, other = _content(ours), _content(theirs)
    if mine == other:
        return ""
    return "added" if other is None else "removed" if mine is None else "changed"


def _content(path: Path) -> bytes | None:
    """Of a file its bytes, of a link where it leads; None where there is neither."""
    if path.is_symlink():
        return b"link to " + os.fsencode(path.readlink())
    return path.read_bytes() if path.is_file() else None
