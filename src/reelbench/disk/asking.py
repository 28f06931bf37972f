"""Asking an analyzer or a corpus what it needs, without loading anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from reelbench.errors import ConfigError, ReelBenchError
from reelbench.models.store import ModelStore


class _Named(Exception):
    """The folder was named; nothing more need happen."""


class Recorder:
    """A model store that gives what is there, and remembers which derived folder it is asked for instead of making one."""

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self.names: list[str] = []

    def path(self, artifact: str) -> Path:
        return self._store.path(artifact)

    def derived(self, key: str) -> Path:
        self.names.append(f"derived:{key}")
        raise _Named


def asked(built: Any, what: str) -> tuple[str, ...]:
    """The artifacts that an analyzer's ``weights`` or a corpus' ``artifacts()`` names. ConfigError where it does not say."""
    try:
        found = getattr(built, what, None)
        if callable(found):
            found = found()
    except ReelBenchError:
        raise
    except Exception as error:  # whatever a workspace's own code raises
        raise ConfigError(f"{type(built).__name__}.{what}: {type(error).__name__}: {error}") from error
    if not isinstance(found, tuple | list) or not all(isinstance(one, str) for one in found):
        raise ConfigError(f"{type(built).__name__}.{what} is {type(found).__name__}, not a tuple of artifacts")
    return tuple(found)


def derived_by(built: Any, store: ModelStore) -> list[str]:
    """The folder that an analyzer (or a corpus) would build into, named as `ModelStore.derived` is asked for it; nothing where that
    cannot be told here: its weights are absent, or what builds it is not installed."""
    recorder = Recorder(store)
    begin: Callable[..., Any] | None = getattr(built, "prepare", None) or getattr(built, "clips", None)
    if begin is None or not (store.root / "derived").is_dir():
        return []
    available = getattr(built, "available", None)
    if available is not None and not available().ok:
        return []
    try:
        begin(recorder)
    except _Named:
        return recorder.names
    except Exception:  # noqa: BLE001 - whatever an analyzer raises: its folder cannot be told, and can be built again
        return []
    return recorder.names
