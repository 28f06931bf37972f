"""Fetching one address into a partial file: quickly given up where nobody answers, resumed where the server can."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import requests

log = logging.getLogger(__name__)

CONNECT_S = 5.0
READ_S = 30.0
CHUNK = 1 << 20
_NET_CHUNK = (
    1 << 16
)  # a block that the connection breaks in is lost, so this is what a resumed download repeats at most
_ATTEMPTS = 3
_FORGET_AFTER_S = 300.0
_STILL_THERE_S = 60.0

Bytes = Callable[[int, int], None]
"""Called as ``(bytes done, bytes total)``; a total of 0 is an unknown one."""


Room = Callable[[int], None]
"""Called with the bytes that are about to be written; raises where the disk is too small."""


class SourceFailed(Exception):
    """One source did not give the file. The text is the reason; the next source is tried."""


class Stopped(Exception):
    """The user, or another download's full disk, ended this one. What came is kept."""


class _Broken(Exception):
    """The connection broke in the middle of a file."""


class SilentHosts:
    """Hosts that did not answer, so that one that is down costs its timeout once and not once a file."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[float, str]] = {}
        self._answered: dict[str, float] = {}

    def check(self, host: str) -> None:
        since, reason = self._since.get(host, (0.0, ""))
        if reason and time.monotonic() - since < _FORGET_AFTER_S:
            raise SourceFailed(reason)

    def add(self, host: str, reason: str) -> None:
        self._since[host] = (time.monotonic(), reason)

    def answered(self, host: str) -> None:
        self._answered[host] = time.monotonic()

    def lately(self, host: str) -> bool:
        """Whether the host answered a moment ago, so that it need not be asked again."""
        return time.monotonic() - self._answered.get(host, float("-inf")) < _STILL_THERE_S

    def clear(self) -> None:
        self._since.clear()
        self._answered.clear()


silent = SilentHosts()


def fetch(
    url: str,
    part: Path,
    progress: Bytes,
    room: Room,
    limit: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Download ``url`` into ``part``, going on with what an earlier, broken download of the same content left there.

    ``room`` is told how many bytes are still to come, before they are written. A server that sends more than ``limit`` bytes is
    cut off. ``headers`` go with the request; a token among them is not sent to another host that the server redirects to.
    Raises `SourceFailed`; OSError for the disk.
    """
    host = _host(url)
    silent.check(host)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _attempt(url, part, progress, room, limit, headers or {})
            return
        except _Broken as broken:
            log.info("%s: %s (attempt %d of %d)", url, broken, attempt, _ATTEMPTS)
            if attempt == _ATTEMPTS:
                raise SourceFailed(f"{broken}, {_ATTEMPTS} times; what came is kept") from broken


def reach(url: str) -> None:
    """Raise `SourceFailed` unless somebody answers at this address, whatever the answer is."""
    import requests

    host = _host(url)
    silent.check(host)
    if silent.lately(host):
        return
    try:
        requests.head(url, timeout=(CONNECT_S, CONNECT_S), allow_redirects=False).close()
    except requests.RequestException as error:
        raise _not_reached(host, error) from error
    silent.answered(host)


def _attempt(url: str, part: Path, progress: Bytes, room: Room, limit: int | None, extra: Mapping[str, str]) -> None:
    import requests

    have = part.stat().st_size if part.is_file() else 0
    known = _read_state(part)
    if have and have == known.get("length") == limit:
        return  # an earlier process had all of it, and was ended before it could be placed
    headers = {**extra, "Accept-Encoding": "identity"}
    if have and known.get("etag"):
        headers |= {"Range": f"bytes={have}-", "If-Range": known["etag"]}
    try:
        answer = requests.get(url, headers=headers, stream=True, timeout=(CONNECT_S, READ_S))
    except requests.RequestException as error:
        raise _not_reached(_host(url), error) from error
    with answer:
        start = _start(answer, have, known)
        if start is None:
            # Everything was already there, or what is there is longer than the file: begin anew next time.
            if have == known.get("length"):
                return
            part.unlink(missing_ok=True)
            raise _Broken("the part that was kept does not fit the file")
        # A body that is packed on the way, although we asked for it plain, has another length than the file.
        packed = "Content-Encoding" in answer.headers
        total = start + (0 if packed else int(answer.headers.get("Content-Length") or 0))
        if limit is not None and total > limit:
            raise SourceFailed(f"the server offers {total} bytes instead of {limit}")
        room(max(0, total - start))
        if not start:
            part.unlink(missing_ok=True)  # before the new ETag is written down: old bytes must never stand beside it
        _write_state(part, {"etag": _strong_etag(answer), "length": total if total > start else None})
        _copy(answer, part, start, total if total > start else 0, progress, limit)


def _start(answer: requests.Response, have: int, known: dict[str, Any]) -> int | None:
    """Where the body begins in the file: 0, or the size of what is there; None where the server has nothing to add."""
    if answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        same = _strong_etag(answer) in (None, known.get("etag"))
        return have if same else None
    if answer.status_code == 416:
        return None
    if answer.status_code != 200:
        raise SourceFailed(f"the server answered {answer.status_code} {answer.reason}")
    return 0


def _copy(answer: requests.Response, part: Path, start: int, total: int, progress: Bytes, limit: int | None) -> None:
    import requests

    done = start
    with part.open("ab" if start else "wb") as sink:
        try:
            for block in answer.iter_content(_NET_CHUNK):
                sink.write(block)
                done += len(block)
                if limit is not None and done > limit:
                    raise SourceFailed(f"the server sends more than {limit} bytes")
                progress(done, total)
        except requests.RequestException as error:
            raise _Broken(f"the connection broke after {done} bytes") from error
    if total and done != total:
        raise _Broken(f"the connection broke after {done} of {total} bytes")


def _not_reached(host: str, error: Exception) -> SourceFailed:
    import requests

    if isinstance(error, requests.exceptions.Timeout):
        reason = f"{host} did not answer in time"
    elif isinstance(error, requests.exceptions.SSLError):
        reason = f"{host}: the certificate was not accepted"
    elif isinstance(error, requests.exceptions.ConnectionError):
        reason = f"{host} cannot be reached"
    else:
        return SourceFailed(f"{host}: {type(error).__name__}")
    silent.add(host, reason)
    return SourceFailed(reason)


def _host(url: str) -> str:
    """The server of an address, without a user's name and password."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _strong_etag(answer: requests.Response) -> str | None:
    """A weak ETag does not promise the same bytes, so nothing is resumed on it."""
    etag = answer.headers.get("ETag")
    return etag if etag and not etag.startswith("W/") else None


def _state(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _read_state(part: Path) -> dict[str, Any]:
    try:
        state = json.loads(_state(part).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _write_state(part: Path, state: dict[str, Any]) -> None:
    _state(part).write_text(json.dumps(state), encoding="utf-8")


def forget(part: Path) -> None:
    """Remove a partial file and what is known about it."""
    part.unlink(missing_ok=True)
    _state(part).unlink(missing_ok=True)
