"""A file of a Hugging Face repository, through huggingface_hub: its endpoint, token, cache and offline switch are honoured."""

from __future__ import annotations

import errno
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reelbench.models.catalog import HfSource
from reelbench.models.download import CONNECT_S, Bytes, SourceFailed, reach
from reelbench.models.watch import watched


def fetch(source: HfSource, folder: Path, total: int, progress: Bytes) -> tuple[Path, bool]:
    """The file's path, and whether it is ours to move (a file found in the user's own hub cache is not).

    A download goes to a new folder ``hub-…`` in ``folder`` and never into the shared cache: one copy on the disk is enough.
    Raises `SourceFailed`; OSError where the disk is full.
    """
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache

    cached = try_to_load_from_cache(source.hf, source.file, revision=source.revision)
    if isinstance(cached, str):
        return Path(cached), False
    if constants.HF_HUB_OFFLINE:
        raise SourceFailed("HF_HUB_OFFLINE is set and the hub cache does not hold it")
    endpoint = os.environ.get("HF_ENDPOINT") or constants.ENDPOINT
    reach(endpoint)  # huggingface_hub itself would retry for a minute
    into = Path(tempfile.mkdtemp(prefix="hub-", dir=folder))
    try:
        with _quiet(), watched(into, total, progress):
            found = hf_hub_download(
                source.hf,
                source.file,
                revision=source.revision,
                local_dir=into,
                endpoint=endpoint,
                etag_timeout=CONNECT_S,
            )
    except Exception as error:  # which classes it raises depends on its version and the HTTP library below it
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise SourceFailed(_reason(error)) from error
    return Path(found), True


@contextmanager
def _quiet() -> Iterator[None]:
    """Neither bars nor warnings of huggingface_hub on the user's terminal; what fails is in the exception."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    logger = logging.getLogger("huggingface_hub")
    level, shown = logger.level, not are_progress_bars_disabled()
    logger.setLevel(logging.ERROR)
    disable_progress_bars()
    try:
        yield
    finally:
        logger.setLevel(level)
        if shown:
            enable_progress_bars()


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
