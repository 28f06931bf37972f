"""The parent's end of a worker process: start it, send it requests, notice when it hangs or dies, kill it.

The parent only ever blocks in the kernel: while a worker is measured it uses no core.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic, perf_counter, process_time, thread_time
from typing import Any, Self

from pydantic import ValidationError

from reelbench.bench.private_clips import PrivateClips
from reelbench.bench.process_tree import end_all, started_by
from reelbench.bench.watching import Watch, Watched
from reelbench.bench.worker import Job
from reelbench.engines.parity import ParityError
from reelbench.errors import AnalyzerError, MediaError
from reelbench.media.types import ClipInfo
from reelbench.paths import store_dir
from reelbench.results import AnalyzerResult

Progress = Callable[[float], None]
START_TIMEOUT_S = 120.0
RESOLUTION_S = 20e-6
"""The clocks of the process and of its thread are read one after the other: less between them says nothing."""
_FOLDERS = {"REELBENCH_MODEL_STORE", "REELBENCH_CATALOG", "REELBENCH_MIRROR", "HF_HOME"}
"""Variables that name folders, and that a worker or a library in it reads."""


class WorkerDied(AnalyzerError):
    """The process crashed, was killed or had to be killed; another one must be started."""


@dataclass(frozen=True, slots=True)
class Code:
    """Whose code a worker runs: by default that of the parent; else the package under ``source``, with the interpreter ``python``.

    ``moved``: a checkout, and another that takes its place on the search path (a user's analyzers that lie beside the package)."""

    python: str = sys.executable
    source: Path | None = None
    moved: tuple[Path, Path] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The parent's search path, so that a user's own analyzers are found, with ``source`` before all.

        A worker has another working directory: where the parent's is, is left out, and relative folders become absolute.
        """
        path = [str(Path(entry).absolute()) for entry in sys.path]
        given = {name: value for name, value in os.environ.items() if name not in ("PWD", "OLDPWD")}
        for name in _FOLDERS & given.keys():
            folders = [Path(one).expanduser().absolute() for one in given[name].split(os.pathsep) if one]
            given[name] = os.pathsep.join(map(str, folders))
        if self.source is None:
            return {**given, "PYTHONPATH": os.pathsep.join(path)}
        others = [entry for entry in path if not (Path(entry) / "reelbench").is_dir()]
        if self.python != sys.executable:  # its own packages, not the parent's
            others = [
                entry for entry in others if "site-packages" not in entry and not entry.startswith(sys.base_prefix)
            ]
        path = [str(self.source), *(self.place(entry) for entry in others)]
        return {**given, "PYTHONPATH": os.pathsep.join(path), "REELBENCH_MODEL_STORE": str(store_dir())}

    def place(self, entry: str) -> str:
        """The folder that stands for ``entry`` with this code: its counterpart in the other checkout, where there is one."""
        found = Path(entry).resolve()
        if self.moved is None or not found.is_relative_to(self.moved[0]):
            return entry
        other = self.moved[1] / found.relative_to(self.moved[0])
        return str(other) if other.exists() else entry


def checked_result(text: Any, clip: str) -> AnalyzerResult:
    """The result of ``clip`` as it came back from a worker; AnalyzerError says what is wrong with it."""
    try:
        result = AnalyzerResult.model_validate_json(str(text))
    except ValidationError as error:
        first = error.errors()[0]
        raise AnalyzerError(f"wrong schema: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if result.clip != clip:
        raise AnalyzerError(f"wrong schema: it is about the clip '{result.clip}'")
    return result


class WorkerProcess:
    """One worker. ``process_s``: seconds from asking for the process until Python was up in it. ``package``: the folder of its code.

    ``waiting_cpu_s``: CPU seconds that this process used while the last request was worked on: all of its other threads, and what the
    waiting one did about reports of progress. Beginning and ending to wait is left out: the worker has not begun by then, or has ended.
    ``watched``: the last request as it was seen from here. ``crossed_bytes``: the JSON of results
    that came and went with the last clip.
    """

    def __init__(
        self, job: Job, code: Code | None = None, *, wait: bool = True, clips: PrivateClips | None = None
    ) -> None:
        """With ``wait`` off it returns at once: `take` gives 'ready' when the process is up.

        ``clips`` show clips to the worker; without them it has its own, for as long as it lives. It starts in an empty
        folder: the parent's working directory may well be that of the clips.
        """
        code = code or Code()
        self.clips, self._own_clips = clips or PrivateClips([job.log.parent]), clips is None
        self.watched, self.crossed_bytes = Watched(0.0, 0.0, 0.0), 0
        ours, theirs = socket.socketpair()
        try:
            place = self.clips.empty_folder()
            started = perf_counter()
            with job.log.open("ab") as log:
                # Native libraries write to the standard streams; what they say belongs into the run's log.
                self._process = subprocess.Popen(
                    [code.python, "-P", "-m", "reelbench.bench.worker", str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=place,
                    env=code.environment,
                )
        except OSError as error:
            ours.close()
            self._close_clips()
            raise WorkerDied(f"no worker process can be started: {error.strerror or error}") from error
        finally:
            theirs.close()
        self._pipe = Connection(ours.detach())
        # Connection.poll makes a new selector each time: 50 µs of a pass that may take 2 ms.
        self._poller = select.poll()
        self._poller.register(self._pipe.fileno(), select.POLLIN)
        self.process_s, self.waiting_cpu_s, self.package = 0.0, 0.0, Path()
        try:
            self._pipe.send(("job", job.message()))
            if not wait:
                return
            _, about = self._receive(START_TIMEOUT_S, None)
        except BaseException as error:
            self.kill()
            if isinstance(error, OSError):
                raise WorkerDied(f"the worker process did not start; {job.log} has the details") from error
            raise
        self.process_s = perf_counter() - started
        self.package = Path(about["package"])

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def pipe(self) -> Connection:
        """For `multiprocessing.connection.wait` on several workers."""
        return self._pipe

    def post(self, request: str, value: Any = None) -> None:
        """Send a request and do not wait; WorkerDied where nobody is there."""
        try:
            self._pipe.send((request, value))
        except OSError as error:
            raise WorkerDied(self._last_words()) from error

    def take(self) -> tuple[str, Any]:
        """The next message, 'progress' too; blocks until there is one. WorkerDied where the process is gone."""
        return self._next_message()

    def analyze(
        self,
        name: str,
        info: ClipInfo,
        timeout_s: float,
        progress: Progress | None,
        delay_s: float = 0.0,
        upstream: Mapping[str, AnalyzerResult] = {},
    ) -> Any:
        """One measured pass (`reelbench.bench.one_pass`); ``delay_s`` is burnt at each frame."""
        return self.ask_clip("analyze", name, info, upstream, timeout_s, progress, delay_s)

    def ask_clip(
        self,
        request: str,
        name: str,
        info: ClipInfo,
        upstream: Mapping[str, AnalyzerResult],
        timeout_s: float,
        progress: Progress | None = None,
        delay_s: float = 0.0,
    ) -> Any:
        """A request about a clip, which the worker is shown under another name (`PrivateClips`); raises what `ask` does."""
        shown = self.clips.show(name, info)
        message = {**shown.message(upstream), "delay_s": delay_s}
        try:
            answer = self.ask(request, message, timeout_s=timeout_s, progress=progress)
        except MediaError as error:
            raise MediaError(shown.original_names(error.message), shown.original_names(error.hint)) from error
        except WorkerDied:
            raise
        except AnalyzerError as error:
            raise AnalyzerError(shown.original_names(error.message), error.hint) from error
        self.crossed_bytes = sum(len(text) for text in message["upstream"].values())
        if isinstance(answer, dict) and "result" in answer:
            self.crossed_bytes += len(str(answer["result"]))
            answer["result"] = shown.result(str(answer["result"]))
        return shown.result(answer) if isinstance(answer, str) else answer

    def ask(self, request: str, value: Any = None, *, timeout_s: float, progress: Progress | None = None) -> Any:
        """Send a request and wait for its answer.

        Raises MediaError where the clip could not be read, AnalyzerError where the analyzer failed, ParityError where its network
        computes something else here than in FP32, WorkerDied where the process
        crashed or did not answer in time (it is killed then).
        """
        watch = Watch(self.pid)
        try:
            self._pipe.send((request, value))
        except OSError as error:
            raise WorkerDied(self._last_words()) from error
        kind, answer = self._receive(timeout_s, progress)
        self.watched = watch.stop()
        if kind == "refused":
            raise MediaError(*answer)
        if kind == "failed":
            raise AnalyzerError(str(answer))
        if kind == "unavailable":
            raise ParityError(*answer)
        return answer

    def _receive(self, timeout_s: float, progress: Progress | None) -> tuple[str, Any]:
        deadline, others, reports_s = monotonic() + timeout_s, process_time() - thread_time(), 0.0
        while True:
            if not self._poller.poll(max(0.0, deadline - monotonic()) * 1e3):
                self.kill()
                raise WorkerDied(f"no answer within {timeout_s:g} s: killed")
            used_s = process_time() - thread_time() - others
            self.waiting_cpu_s = (used_s if used_s > RESOLUTION_S else 0.0) + reports_s
            begun = thread_time()
            kind, value = self._next_message()
            if kind != "progress":
                return kind, value
            if progress is not None:
                progress(float(value))
            reports_s += thread_time() - begun

    def _next_message(self) -> tuple[str, Any]:
        try:
            kind, value = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise WorkerDied(self._last_words()) from error
        except Exception as error:
            # A process whose memory was overwritten may send anything before it dies.
            self.kill()
            raise WorkerDied(f"the worker process sent what cannot be read ({type(error).__name__}): killed") from error
        return str(kind), value

    def _last_words(self) -> str:
        try:
            code: int | None = self._process.wait(5)
        except subprocess.TimeoutExpired:
            code = None
        self.kill()
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            why = " (out of memory, or killed by somebody)" if name == "SIGKILL" else ""
            return f"the worker process died of {name}{why}"
        return f"the worker process ended with exit code {code}"

    def stop(self) -> None:
        """Let it end by itself; kill it when it does not. What it started and left behind ends with it."""
        left = started_by(self.pid)
        try:
            self._pipe.send(("stop", None))
            self._process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            pass
        self.kill()
        end_all(left)

    def kill(self) -> None:
        left = started_by(self.pid) if self._process.poll() is None else []
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        end_all(left)
        self._pipe.close()
        self._close_clips()

    def _close_clips(self) -> None:
        if self._own_clips:
            self.clips.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        if kind is None:
            self.stop()
        else:
            self.kill()
