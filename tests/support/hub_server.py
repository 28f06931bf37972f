"""A model hub on this machine: the part of the Hugging Face protocol that huggingface_hub, transformers and our store speak.

Repositories with commits, branches and tags; large files (LFS) answered with a redirect to another host name, as the hub's own are;
files kept in Xet, where a test asks for it (`Hub.keep_in_xet`), which huggingface_hub fetches with hf_xet into its shared store;
ETags, ranges, gated repositories; and the bad behaviour that tests ask for (connections that break, slow answers, a hub that is down).

    with running_hub() as hub:
        commit = hub.repository("org/net", licence="mit").commit({"config.json": b"{}", "model.safetensors": content})
        hf_hub_download("org/net", "config.json", endpoint=hub.address)      # or HF_ENDPOINT=hub.address in the environment
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = (".safetensors", ".bin", ".pt", ".pth", ".onnx", ".ckpt", ".tflite")
"""What the hub keeps as large files, whatever their size here."""

Commit = Mapping[str, bytes]


@dataclass
class Repository:
    """One repository: its commits (each a whole tree of files), and the refs that name them."""

    name: str
    licence: str = "mit"
    gated: bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Commit, ref: str = "main") -> str:
        """Add a commit with exactly these files, move ``ref`` to it, and give its 40 hexadecimal digits."""
        tree = "".join(f"{path} {git_hash(content)}\n" for path, content in sorted(files.items()))
        name = hashlib.sha1(f"{self.name} {self.refs.get(ref, '')} {tree}".encode()).hexdigest()
        self.commits[name] = dict(files)
        self.refs[ref] = name
        return name

    def resolve(self, revision: str) -> str | None:
        """The commit of a branch, a tag or a commit."""
        return revision if revision in self.commits else self.refs.get(revision)

    def info(self, commit: str) -> dict[str, Any]:
        siblings = [
            {"rfilename": one["path"], "size": one["size"], "blobId": one["oid"]}
            | ({"lfs": {"sha256": one["lfs"]["oid"], "size": one["size"], "pointerSize": 134}} if "lfs" in one else {})
            for one in self.tree(commit)
        ]
        return {
            "id": self.name,
            "modelId": self.name,
            "sha": commit,
            "private": False,
            "gated": "manual" if self.gated else False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [f"license:{self.licence}"] if self.licence else [],
            "cardData": {"license": self.licence} if self.licence else None,
            "siblings": siblings,
        }

    def tree(self, commit: str) -> list[dict[str, Any]]:
        entries = []
        for path, content in sorted(self.commits[commit].items()):
            entry = {"type": "file", "oid": git_hash(content), "size": len(content), "path": path}
            if path.endswith(LARGE):
                entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
            entries.append(entry)
        return entries


@dataclass
class Hub:
    """What the hub holds, how badly it behaves, and what it was asked: ``(method, path, Range header)``."""

    address: str = ""
    cdn: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    token: str = "hf_test"
    ranges: bool = True
    down: bool = False
    cut_after: list[int] = field(default_factory=list)
    chunk_delay_s: float = 0.0
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    sent: int = 0
    busy: int = 0
    most_busy: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    xet: str = ""
    xet_hashes: dict[str, str] = field(default_factory=dict)

    def keep_in_xet(self, folder: Path, *contents: bytes) -> None:
        """Serve these contents from Xet: they are put into a content store in ``folder`` by hf_xet itself."""
        self.xet = f"local://{folder}"
        folder.mkdir(parents=True, exist_ok=True)
        for content in contents:
            # hf_xet starts threads, which must not be in a test that forks: it runs in a process of its own.
            command, own = [sys.executable, "-c", _UPLOAD, self.xet], {"HF_XET_CACHE": str(folder / "cache")}
            asked = subprocess.run(command, input=content, capture_output=True, check=True, env=os.environ | own)
            self.xet_hashes[hashlib.sha256(content).hexdigest()] = asked.stdout.decode().strip()

    def repository(self, name: str, **about: Any) -> Repository:
        return self.repositories.setdefault(name, Repository(name, **about))

    def ranges_of(self, content: bytes) -> list[str]:
        """The Range headers of the requests for a large file's bytes ('' where there was none)."""
        path = f"/cdn/{hashlib.sha256(content).hexdigest()}"
        return [asked for method, name, asked in self.asked if method == "GET" and name == path]


_UPLOAD = """
import sys, hf_xet
print(hf_xet.upload_bytes([sys.stdin.buffer.read()], sys.argv[1], None, None, None, None, None)[0].hash)
"""


def git_hash(content: bytes) -> str:
    """The name that git gives to a file's content; the hub's ETag of a file that is not a large one."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub on a free port, from threads of its own. ``localhost`` is its other host, from where large files come."""
    hub = Hub()
    http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    http.daemon_threads = True
    http.handle_error = lambda *args: None  # type: ignore[method-assign]  # a client that is killed is part of a test
    hub.address = f"http://127.0.0.1:{http.server_address[1]}"
    hub.cdn = f"http://localhost:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        http.shutdown()
        http.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub
    headers: Message

    def log_message(self, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._route()

    def do_GET(self) -> None:
        self._route()

    def do_POST(self) -> None:
        self._route()

    def _route(self) -> None:
        path = unquote(urlsplit(self.path).path)
        with self.hub.lock:
            self.hub.asked.append((self.command, path, self.headers.get("Range", "")))
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.hub.down:
            self._refuse(503, "", "the hub is down")
        elif path.startswith("/cdn/"):
            self._cdn(path.removeprefix("/cdn/"))
        elif path.startswith("/api/models/"):
            self._api(urlsplit(self.path).path.removeprefix("/api/models/"), sent)
        elif "/resolve/" in path:
            self._resolve(urlsplit(self.path).path)
        else:
            self._refuse(404, "", "no such page")

    def _api(self, path: str, sent: bytes) -> None:
        """``org/name[/revision/REV | /tree/REV[/FOLDER] | /paths-info/REV | /refs]``; a revision's slashes come quoted."""
        owner, name, *rest = path.split("/")
        repository = self._repository(f"{owner}/{name}")
        if repository is None:
            return
        if rest == ["refs"]:
            refs = [{"name": ref, "ref": ref, "targetCommit": commit} for ref, commit in repository.refs.items()]
            self._json({"branches": refs, "converts": [], "tags": []})
            return
        what, revision = (rest[0], unquote(rest[1])) if len(rest) > 1 else ("revision", "main")
        commit = repository.resolve(revision)
        if commit is None:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif what == "revision":
            self._json(repository.info(commit))
        elif what == "tree":
            folder = unquote("/".join(rest[2:]))
            self._json(self._with_xet(one for one in repository.tree(commit) if one["path"].startswith(folder)))
        elif what == "xet-read-token":
            until = {"X-Xet-Access-Token": "token", "X-Xet-Token-Expiration": str(int(time.time()) + 3600)}
            self._begin(200, {"X-Xet-Cas-Url": self.hub.xet, "Content-Length": "0"} | until)
        elif what == "paths-info":
            asked = json.loads(sent)["paths"] if sent.startswith(b"{") else parse_qs(sent.decode()).get("paths", [])
            self._json(self._with_xet(one for one in repository.tree(commit) if one["path"] in asked))
        else:
            self._refuse(404, "", "no such page")

    def _with_xet(self, entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        known = self.hub.xet_hashes
        digests = ((one, one.get("lfs", {}).get("oid", "")) for one in entries)
        return [one | ({"xetHash": known[digest]} if digest in known else {}) for one, digest in digests]

    def _resolve(self, path: str) -> None:
        before, _, after = path.partition("/resolve/")
        repository = self._repository(before.strip("/"))
        if repository is None:
            return
        revision, _, file = after.partition("/")
        commit = repository.resolve(unquote(revision))
        if commit is None:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        content = repository.commits[commit].get(unquote(file))
        about = {"X-Repo-Commit": commit}
        if content is None:
            self._refuse(404, "EntryNotFound", "Entry not found", about)
        elif file.endswith(LARGE):
            digest = hashlib.sha256(content).hexdigest()
            location = {"Location": f"{self.hub.cdn}/cdn/{digest}?signature={time.monotonic_ns()}"}
            linked = {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content)), "Content-Length": "0"}
            if digest in self.hub.xet_hashes:
                token = f"{self.hub.address}/api/models/{repository.name}/xet-read-token/{commit}"
                linked |= {"X-Xet-Hash": self.hub.xet_hashes[digest], "Link": f'<{token}>; rel="xet-auth"'}
            self._begin(302, about | location | linked)
        else:
            self._file(content, git_hash(content), about)

    def _cdn(self, digest: str) -> None:
        """The bytes of a large file. Whoever sends the hub's token here gives it to a stranger."""
        if leaked := self.headers.get("Authorization"):
            self.hub.leaked.append(leaked)
        for repository in self.hub.repositories.values():
            for files in repository.commits.values():
                for content in files.values():
                    if hashlib.sha256(content).hexdigest() == digest:
                        self._file(content, digest, {})
                        return
        self._refuse(404, "", "no such object")

    def _repository(self, name: str) -> Repository | None:
        repository = self.hub.repositories.get(name)
        if repository is None:
            self._refuse(401, "RepoNotFound", "Repository not found")
            return None
        if repository.gated and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self._refuse(401, "GatedRepo", f"Access to model {name} is restricted")
            return None
        return repository

    def _file(self, content: bytes, etag: str, about: dict[str, str]) -> None:
        asked = self.headers.get("Range", "")
        fresh = self.headers.get("If-Range", f'"{etag}"') == f'"{etag}"'
        start, end = 0, len(content) - 1
        if asked and fresh and self.hub.ranges:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or end), end)
            if start > end:
                self._begin(416, {"Content-Length": "0", "Content-Range": f"bytes */{len(content)}"})
                return
        about = about | {"ETag": f'"{etag}"', "Content-Length": str(end + 1 - start), "Accept-Ranges": "bytes"}
        if start or end + 1 < len(content):
            self._begin(206, about | {"Content-Range": f"bytes {start}-{end}/{len(content)}"})
        else:
            self._begin(200, about)
        if self.command == "GET":
            self._send(content[start : end + 1])

    def _send(self, content: bytes) -> None:
        with self.hub.lock:
            self.hub.busy += 1
            self.hub.most_busy = max(self.hub.most_busy, self.hub.busy)
            cut = self.hub.cut_after.pop(0) if self.hub.cut_after else len(content)
        try:
            for at in range(0, min(cut, len(content)), 16384):
                block = content[at : min(at + 16384, cut)]
                self.wfile.write(block)
                with self.hub.lock:
                    self.hub.sent += len(block)
                time.sleep(self.hub.chunk_delay_s)
        finally:
            with self.hub.lock:
                self.hub.busy -= 1
        if cut < len(content):
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()

    def _json(self, value: object) -> None:
        body = json.dumps(value).encode()
        self._begin(200, {"Content-Type": "application/json", "Content-Length": str(len(body))})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refuse(self, status: int, code: str, message: str, about: Mapping[str, str] | None = None) -> None:
        body = json.dumps({"error": message}).encode()
        named = {"X-Error-Code": code, "X-Error-Message": message} if code else {}
        kind = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        self._begin(status, dict(about or {}) | named | kind)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
