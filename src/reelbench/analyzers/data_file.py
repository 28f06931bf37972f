"""Data files of analyzers (``conf/products.yaml``, ``conf/sounds.yaml``, or a user's own); one line says what is wrong in them."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from reelbench.errors import ConfigError

T = TypeVar("T")


def read_data(source: Path, as_what: TypeAdapter[T], what: str, setting: str) -> T:
    """The content of a YAML file. ``what`` it is called in errors, and the ``setting`` that names it. Raises ConfigError."""
    try:
        return as_what.validate_python(yaml.safe_load(source.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"the {what} {source} cannot be read: {error.strerror}", f"check {setting}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{source.name} is not YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigError(f"{source.name}: {where}: {first['msg']}") from error
