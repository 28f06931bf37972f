"""A file of a Hugging Face repository: its endpoint, token, cache and offline switch are huggingface_hub's own.

The bytes come through `download`, since huggingface_hub gives every download a new temporary name and so never goes on with a broken
one. Only what the hub does not hand out over plain HTTP (files above 50 GB) goes through huggingface_hub.
"""

from __future__ import annotations

import errno
import logging
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reelbench.models import download
from reelbench.models.download import CONNECT_S, Bytes, Room, SourceFailed
from reelbench.models.sources import HfSource
from reelbench.models.watch import watched

LARGEST_PLAIN = 50 * 10**9
"""Bytes; the hub's own limit for a download without its storage client."""

_quieting = threading.Lock()
_quiet_depth = 0


def cached(source: HfSource) -> Path | None:
    """The file in the user's own hub cache, if it is there. It is not ours to move."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(source.hf, source.file, revision=source.revision)
    return Path(found) if isinstance(found, str) else None


def endpoint() -> str:
    """The hub's address. Raises `SourceFailed` where huggingface_hub is set to stay offline."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise SourceFailed("HF_HUB_OFFLINE is set and the hub cache does not hold it")
    return os.environ.get("HF_ENDPOINT") or str(constants.ENDPOINT)


def fetch(source: HfSource, part: Path, size: int, progress: Bytes, room: Room) -> Path:
    """Download into ``part``, or where the file is too large for that, into a new folder ``hub-…`` beside it; the file's path.

    Never into the shared cache: one copy on the disk is enough. Raises `SourceFailed`; OSError for the disk.
    """
    address = endpoint()
    download.reach(address)  # huggingface_hub itself would retry for a minute
    with reasons(), quiet():
        if size > LARGEST_PLAIN:
            room(size)
            return _whole(source, part.parent, size, progress, address)
        url, headers = _located(source, address)
    download.fetch(url, part, progress, room, size, headers)
    return part


def _located(source: HfSource, address: str) -> tuple[str, dict[str, str]]:
    """The file's address and the request's headers, after the hub said that it may be had (or in its own words why not)."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.utils import build_hf_headers

    url = hf_hub_url(source.hf, source.file, revision=source.revision, endpoint=address)
    get_hf_file_metadata(url, timeout=CONNECT_S, endpoint=address)
    return url, build_hf_headers()


def _whole(source: HfSource, folder: Path, size: int, progress: Bytes, address: str) -> Path:
    from huggingface_hub import hf_hub_download

    into = Path(tempfile.mkdtemp(prefix="hub-", dir=folder))
    with watched(into, size, progress):
        found = hf_hub_download(
            source.hf,
            source.file,
            revision=source.revision,
            local_dir=into,
            endpoint=address,
            etag_timeout=CONNECT_S,
        )
    return Path(found)


@contextmanager
def reasons() -> Iterator[None]:
    """What huggingface_hub raises becomes `SourceFailed` in one line; a full disk stays an OSError."""
    try:
        yield
    except (SourceFailed, download.Stopped):
        raise
    except Exception as error:  # which classes it raises depends on its version and the HTTP library below it
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise SourceFailed(_reason(error)) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Neither bars nor warnings of huggingface_hub on the user's terminal; what fails is in the exception. Threads may share it."""
    global _quiet_depth
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    logger = logging.getLogger("huggingface_hub")
    with _quieting:
        _quiet_depth += 1
        if _quiet_depth == 1:
            _before[:] = [logger.level, are_progress_bars_disabled()]
            logger.setLevel(logging.ERROR)
            disable_progress_bars()
    try:
        yield
    finally:
        with _quieting:
            _quiet_depth -= 1
            if _quiet_depth == 0:
                logger.setLevel(_before[0])
                if not _before[1]:
                    enable_progress_bars()


_before: list[int] = []


def _reason(error: Exception) -> str:
    """The hub's own words where it said some, else the first line of the exception."""
    said = getattr(error, "server_message", None) or str(error)
    lines = [line.strip() for line in str(said).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
