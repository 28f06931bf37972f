"""Mirrors, and the switch that keeps everything off the network."""

from __future__ import annotations

import os
from pathlib import Path

from reelbench.errors import ConfigError
from reelbench.masking import usable
from reelbench.models.catalog import Artifact
from reelbench.models.download import SourceFailed
from reelbench.models.sources import FileSource, HttpsSource, PathSource, Source

_OFF = ("", "0", "no", "off", "false")


def mirrors(artifact: Artifact) -> list[Source]:
    """Where to ask before all else: the folders of ``REELBENCH_MIRROR`` (several are separated as in PATH), then the addresses of
    ``REELBENCH_MIRROR_URL`` (separated by spaces). Both hold artifacts under their ids, as another machine's store does.
    """
    folders = os.environ.get("REELBENCH_MIRROR", "").split(os.pathsep)
    addresses = os.environ.get("REELBENCH_MIRROR_URL", "").split()
    for address in addresses:
        if not address.startswith(("http://", "https://")):
            raise ConfigError(f"REELBENCH_MIRROR_URL: {address} is no http or https address")
    return [
        *(FileSource(file=Path(folder).expanduser()) for folder in folders if folder),
        *(HttpsSource(https=f"{usable(address).rstrip('/')}/{artifact.id}") for address in addresses),
    ]


def is_offline() -> bool:
    """Whether ``REELBENCH_OFFLINE`` is set: then only folders, and the hub's cache, are asked."""
    return os.environ.get("REELBENCH_OFFLINE", "").lower() not in _OFF


def refuse_network(source: Source, offline: bool) -> None:
    """Raise `SourceFailed` for a source that needs the network, where that must not be used."""
    if offline and not isinstance(source, FileSource | PathSource):
        raise SourceFailed("offline: the network is not asked")
