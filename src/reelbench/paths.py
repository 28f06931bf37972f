"""Where things are, and how a file is written so that it is never half there."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

from reelbench.errors import OutputError
from reelbench.masking import masked_file
from reelbench.owners import Held, sweep

PACKAGE = Path(__file__).resolve().parent


def conf_dir() -> Path:
    """The shipped configuration: beside the package in a wheel, at the top of the tree in a checkout."""
    packaged = PACKAGE / "conf"
    return packaged if packaged.is_dir() else PACKAGE.parents[1] / "conf"


def store_dir() -> Path:
    """The model store: ``REELBENCH_MODEL_STORE``, else ``model_store/`` of a checkout, else the user's cache folder."""
    if moved := os.environ.get("REELBENCH_MODEL_STORE"):
        return Path(moved).expanduser().absolute()
    checkout = PACKAGE.parents[1]
    if (checkout / "pyproject.toml").is_file() and (checkout / "model_store").is_dir():
        return checkout / "model_store"
    import platformdirs

    return Path(platformdirs.user_cache_dir("reelbench")) / "model_store"


def describe_os_error(error: OSError, path: Path, doing: str) -> OutputError:
    """One clear line for a disk that is full, or a folder that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"{doing} {path}: the disk is full", "free some space, or choose another folder")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"{doing} {path}: no permission to write there", "choose another folder")
    return OutputError(f"{doing} {path}: {error.strerror or error}")


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``target``; on success fsync it and rename it into place, else remove it.

    What processes that were killed left of the same target is removed.
    """
    prefix, suffix = f".{target.stem[:40]}.", f".part{target.suffix}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target.parent.glob(f"{escape(prefix)}????????{escape(suffix)}"))
        held = Held.file(target.parent, prefix, suffix)
    except OSError as error:
        raise describe_os_error(error, target, "cannot write") from error
    temporary = held.path
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~umask())  # mkstemp makes it for its owner alone
        temporary.replace(target)
        _fsync_folder(target.parent)
    except OSError as error:
        raise describe_os_error(error, target, "cannot write") from error
    finally:
        temporary.unlink(missing_ok=True)
        held.close()


def write_text(target: Path, text: str, *, exact: bool = False) -> None:
    """Write a whole text file atomically, with passwords and tokens masked.

    ``exact`` leaves the text as it is: for data that is read back and must not differ by a character.
    """
    with atomic_path(target) as temporary:
        temporary.write_text(text if exact else masked_file(target.name, text), encoding="utf-8")


def write_yaml(target: Path, value: object) -> None:
    """Write a whole YAML file as `write_text` does. No line is broken: a password over two lines would not be found."""
    import yaml

    write_text(target, yaml.safe_dump(value, sort_keys=False, width=sys.maxsize))


def umask() -> int:
    """The permissions that the user takes away from new files. Reading it changes nothing, also not for other threads."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.partition("\nUmask:")[2].split()[0], 8)
    except (OSError, IndexError, ValueError):
        found = os.umask(0o077)
        os.umask(found)
        return found


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
