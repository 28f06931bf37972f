"""A real local HTTP server, and what the tests of the model store share."""

from __future__ import annotations

import hashlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from reelbench.models.catalog import Catalog

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Server:
    """What a local HTTP server serves, how badly it behaves, and what it was asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    etag: str = ""
    cut_after: list[int] = field(default_factory=list)
    chunk_delay_s: float = 0.0
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    sent: int = 0
    address: str = ""

    def serve(self, path: str, content: bytes) -> str:
        self.files[path] = content
        return self.address + path

    def gets(self, path: str) -> list[str]:
        """The Range headers of the GET requests for a path ('' where there was none)."""
        return [asked for method, name, asked in self.asked if method == "GET" and name == path]


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            server.asked.append((self.command, self.path, self.headers.get("Range", "")))
            content = server.files.get(self.path)
            if content is None:
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            etag = server.etag or f'"{hashlib.sha256(content).hexdigest()}"'
            start = self._start(etag, len(content))
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.send_header("ETag", etag)
            self.send_header("X-Repo-Commit", COMMIT)  # what huggingface_hub looks for
            self.end_headers()
            if body:
                self._send(content[start:])

        def _start(self, etag: str, size: int) -> int:
            asked = self.headers.get("Range", "")
            fresh = self.headers.get("If-Range", etag) == etag
            start = int(asked.removeprefix("bytes=").split("-")[0] or 0) if asked else 0
            return start if server.ranges and fresh and start < size else 0

        def _send(self, content: bytes) -> None:
            cut = server.cut_after.pop(0) if server.cut_after else len(content)
            for at in range(0, min(cut, len(content)), 16384):
                block = content[at : min(at + 16384, cut)]
                self.wfile.write(block)
                server.sent += len(block)
                time.sleep(server.chunk_delay_s)
            if cut < len(content):
                self.wfile.flush()
                self.close_connection = True
                self.connection.close()

    return Handler


@contextmanager
def running() -> Iterator[Server]:
    """A server on a free port of this machine, from threads of its own."""
    state = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    http.daemon_threads = True
    http.handle_error = lambda *args: None  # type: ignore[method-assign]  # a client that is killed is part of a test
    state.address = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield state
    http.shutdown()
    http.server_close()


def entry(content: bytes, *sources: dict[str, str]) -> dict[str, Any]:
    """A catalog entry of this content."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "sources": list(sources)}


MakeCatalog = Callable[..., Catalog]
MakeWheel = Callable[[str, dict[str, bytes]], str]
Spawn = Callable[..., "subprocess.Popen[str]"]

PULL = """
import sys
from pathlib import Path
from reelbench.errors import ReelBenchError
from reelbench.models.catalog import Catalog
from reelbench.models.store import ModelStore
store = ModelStore(Path(sys.argv[1]), Catalog.load(Path(sys.argv[2])))
try:
    store.ensure(sys.argv[3:])
except ReelBenchError as error:
    sys.exit(f"{error.exit_code} {error}")
"""
