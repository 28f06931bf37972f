"""Where a model may be named from: ``hf://org/name[@revision][/file]``, ``https://…``, ``file://…``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from reelbench.errors import ConfigError
from reelbench.masking import masked

FORMS = "hf://org/name[@revision][/file], https://host/path or file:///path"

_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
# A revision may itself hold slashes (refs/pr/1); then it is quoted (refs%2Fpr%2F1), as the hub's own addresses quote it.
_HUB = re.compile(rf"hf://(?P<repository>{_NAME}/{_NAME})(?:@(?P<revision>[\w.%+-]+))?(?:/(?P<file>.*))?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class HubAddress:
    """A repository of the hub, or one file of it. ``revision`` is a branch, a tag or a commit ('' is the default branch)."""

    repository: str
    revision: str = ""
    file: str = ""

    def __str__(self) -> str:
        revision = f"@{self.revision.replace('%', '%25').replace('/', '%2F')}" if self.revision else ""
        return f"hf://{self.repository}{revision}{'/' + self.file if self.file else ''}"

    @property
    def is_pinned(self) -> bool:
        return _COMMIT.fullmatch(self.revision) is not None


@dataclass(frozen=True, slots=True)
class WebAddress:
    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """The last part of the path, which is often the file's name."""
        return unquote(urlsplit(self.url).path).rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class LocalAddress:
    path: Path

    def __str__(self) -> str:
        return self.path.as_uri()


Address = HubAddress | WebAddress | LocalAddress


def parse(text: str) -> Address:
    """An address from what a user wrote. Raises ConfigError, in one line, for what is none."""
    if any(not character.isprintable() for character in text):
        raise ConfigError(f"{text!r} holds characters that no address has", f"write {FORMS}")
    if text.startswith("hf://"):
        return _hub(text)
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError as error:
        raise ConfigError(f"'{text}' is no address: {error}", f"write {FORMS}") from error
    if parts.scheme in ("http", "https") and host and " " not in text:
        if parts.username or parts.password or masked(text) != text:
            raise ConfigError("an address with a password in it would be written into the catalog", "use a .netrc file")
        return WebAddress(text)
    if parts.scheme == "file" and host in (None, "", "localhost") and parts.path.startswith("/"):
        path = unquote(parts.path)
        if not path.isprintable():
            raise ConfigError(f"{path!r} holds characters that no path of the catalog has", "rename the file")
        return LocalAddress(Path(path))
    raise ConfigError(f"'{text}' is no address of a model", f"write {FORMS}")


def _hub(text: str) -> HubAddress:
    found = _HUB.fullmatch(text)
    if found is None:
        raise ConfigError(f"'{text}' names no repository of the hub", f"write {FORMS}")
    file, revision = found["file"] or "", unquote(found["revision"] or "")
    if file and not all(part and part not in (".", "..") for part in file.split("/")):
        raise ConfigError(f"'{text}': '{file}' is no path of a file in a repository", f"write {FORMS}")
    if not all(part and part not in (".", "..") for part in revision.split("/")) and revision:
        raise ConfigError(f"'{text}': '{revision}' is no revision", f"write {FORMS}")
    return HubAddress(found["repository"], revision, file)
