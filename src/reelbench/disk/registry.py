"""Whose weights are kept: the workspaces whose configurations count, the names that a user pinned, and the folders of runs.

``.registry.json`` in the model store's root. The shipped configuration always counts, and so does that of the checkout in which the
command is given; neither is written down. What nobody registered, or what another user owns, is only read as text
(`Workspace.distrust`): listing what a folder needs must not run what somebody put there.

A registry that cannot be read is an error and never an empty one: whoever forgets a workspace deletes its weights.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reelbench import paths
from reelbench.disk.names import name_of
from reelbench.errors import ConfigError
from reelbench.models.placing import disk_errors

FILE = ".registry.json"
VERSION = 1


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Workspace(_Strict):
    """A folder whose ``conf/`` says what is needed. ``device`` is the disk that it lay on when it was added.

    With ``text_only`` its classes are not built: only the names that its configurations spell out count (the way of a foreign system).
    """

    path: Path
    device: int
    text_only: bool = False
    distrust: str = Field(default="", exclude=True)
    """Why nothing of it is composed, imported or believed: it is read as text (`reelbench.disk.reading`). '' where it is trusted."""

    @property
    def conf(self) -> Path:
        """Where its configurations lie: ``conf/``, or the folder itself."""
        return self.path if (self.path / "analyzer").is_dir() else self.path / "conf"


class Pin(_Strict):
    """A name that is kept whatever the configurations say."""

    name: Annotated[str, Field(pattern=r"^[a-z_]+:")]
    why: str = ""
    since: str = ""


class _File(_Strict):
    version: int = VERSION
    workspaces: tuple[Workspace, ...] = ()
    pins: tuple[Pin, ...] = ()
    runs: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Registry:
    """What was registered, as it was when it was read. ``with_shipped``: the shipped configuration and that of the current checkout
    count, too."""

    root: Path
    _file: _File
    with_shipped: bool = True

    @classmethod
    def load(cls, store_root: Path | None = None, with_shipped: bool = True) -> Self:
        """Read the registry of a model store; ConfigError where it is there and cannot be read."""
        root = (store_root or paths.store_dir()).absolute()
        return cls(root, _read(root / FILE), with_shipped)

    @property
    def workspaces(self) -> tuple[Workspace, ...]:
        """All whose configurations count, the shipped one first; each once."""
        always = self._always() if self.with_shipped else ()
        shipped = {one.path for one in always if not one.distrust}  # its code is what runs here
        registered = [one if one.path in shipped else _of_owner(one) for one in self._file.workspaces]
        return tuple({one.path: one for one in (*always, *registered)}.values())

    @property
    def distrusted(self) -> tuple[str, ...]:
        """A line for each workspace that is only read as text."""
        return tuple(f"{one.path} is only read as text: {one.distrust}" for one in self.workspaces if one.distrust)

    @property
    def registered(self) -> tuple[Workspace, ...]:
        """Those that were added."""
        return self._file.workspaces

    @property
    def pins(self) -> tuple[Pin, ...]:
        return self._file.pins

    @property
    def runs_dirs(self) -> tuple[Path, ...]:
        """The folders that hold runs: those that were added, and ``runs/`` of each workspace that has one."""
        usual = [workspace.path / "runs" for workspace in self.workspaces]
        found = [*self._file.runs, *(folder for folder in usual if folder.is_dir())]
        return tuple(dict.fromkeys(path.absolute() for path in found))

    @property
    def added_runs(self) -> tuple[Path, ...]:
        return self._file.runs

    def candidate(self, folder: Path, text_only: bool = False) -> Workspace:
        """The workspace that ``folder`` would be, not yet added. ConfigError where it has no configuration."""
        path = folder.expanduser().absolute().resolve()
        path = path.parent if path.name == "conf" else path
        hint = "give the folder of a project that has conf/analyzer/"
        try:
            workspace = Workspace(path=path, device=path.stat().st_dev, text_only=text_only)
        except OSError as error:
            raise ConfigError(f"{folder}: {error.strerror}", hint) from error
        if not any((workspace.conf / "analyzer").rglob("*.yaml")):
            raise ConfigError(f"{folder} has no configuration: there is no conf/analyzer/*.yaml", hint)
        return _of_owner(workspace)

    def add_workspace(self, folder: Path, text_only: bool = False) -> Self:
        """Let the configurations of ``folder`` count from now on; adding it again renews its device. ConfigError where it has none."""
        added = self.candidate(folder, text_only)
        return self._change(lambda now: {"workspaces": (*(w for w in now.workspaces if w.path != added.path), added)})

    def remove_workspace(self, folder: Path) -> Self:
        """Its configurations no longer count; its runs are no longer looked at. ConfigError where it was not added."""
        path = folder.expanduser().absolute()
        same = {path, path.resolve()}
        if not any(one.path in same for one in self._file.workspaces):
            known = ", ".join(str(one.path) for one in self._file.workspaces) or "none"
            raise ConfigError(f"{folder} is no registered workspace", f"registered: {known}")
        return self._change(lambda now: {"workspaces": tuple(one for one in now.workspaces if one.path not in same)})

    def pin(self, name: str, why: str = "") -> Self:
        """Keep what is named, whatever the configurations say. UsageError for what cannot be a name."""
        checked = name_of(name)
        added = Pin(name=checked, why=why, since=datetime.now(UTC).isoformat(timespec="seconds"))
        return self._change(lambda now: {"pins": (*(one for one in now.pins if one.name != checked), added)})

    def unpin(self, name: str) -> Self:
        """ConfigError where it was not pinned."""
        checked = name_of(name)
        if not any(pin.name == checked for pin in self._file.pins):
            known = ", ".join(pin.name for pin in self._file.pins) or "none"
            raise ConfigError(f"{checked} is not pinned", f"pinned: {known}")
        return self._change(lambda now: {"pins": tuple(one for one in now.pins if one.name != checked)})

    def add_runs_dir(self, folder: Path) -> Self:
        """Look for runs in this folder, too."""
        path = folder.expanduser().absolute()
        return self._change(lambda now: {"runs": tuple(dict.fromkeys((*now.runs, path)))})

    def remove_runs_dir(self, folder: Path) -> Self:
        path = folder.expanduser().absolute()
        return self._change(lambda now: {"runs": tuple(one for one in now.runs if one != path)})

    def _always(self) -> tuple[Workspace, ...]:
        shipped = paths.conf_dir()
        # In a wheel the configuration lies in the package; in a checkout, beside its own runs.
        folder = (shipped.parent if shipped.name == "conf" else shipped).resolve()
        found = [Workspace(path=folder, device=_device(folder))]
        for path in _current_checkout():
            if path != folder:
                why = f"it is not registered (reelbench workspace add {path})"
                found.append(Workspace(path=path, device=_device(path), distrust=why))
        return tuple(found)

    def _change(self, changes: Callable[[_File], dict[str, object]]) -> Self:
        """Apply to what is in the file now, under its lock."""
        with disk_errors(self.root), _locked(self.root):
            now = _read(self.root / FILE)
            changed = now.model_copy(update=changes(now))
            paths.write_text(self.root / FILE, changed.model_dump_json(indent=1) + "\n", exact=True)
        return replace(self, _file=changed)


def _read(file: Path) -> _File:
    mend = "mend it, or register every workspace again and then remove it; until then nothing is deleted"
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        return _File()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}", "mend its permissions") from error
    try:
        raw = json.loads(text)
        if isinstance(raw, dict) and raw.get("version") != VERSION:
            found = raw.get("version")
            raise ConfigError(f"{file} has version {found}, this ReelBench reads {VERSION}", "update ReelBench")
        return _File.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{file} is damaged: {where}: {first['msg']}", mend) from error
    except ValueError as error:
        raise ConfigError(f"{file} is damaged: {error}", mend) from error


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    from filelock import FileLock

    folder = root / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".registry.lock"):
        yield


def _device(path: Path) -> int:
    try:
        return path.stat().st_dev
    except OSError:
        return 0  # no disk has this number: whoever looks at the workspace finds that it is not there


def _of_owner(workspace: Workspace) -> Workspace:
    """The same, not trusted where another user than the current one or root owns it: who owns a folder can change it at any time."""
    for path in (workspace.path, workspace.conf, workspace.conf / "analyzer"):
        try:
            owner = path.stat().st_uid
        except OSError:
            continue  # whoever reads it says what is wrong with it
        if owner not in (os.geteuid(), 0):
            return workspace.model_copy(update={"distrust": f"{path} belongs to another user (number {owner})"})
    return workspace


def _current_checkout() -> list[Path]:
    """The nearest folder around the current one that has configurations of analyzers."""
    try:
        here = Path.cwd().resolve()
    except OSError:
        return []
    return [one for one in (here, *here.parents) if any((one / "conf" / "analyzer").glob("*.yaml"))][:1]
