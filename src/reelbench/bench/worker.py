"""The worker process, which is measured: it takes requests from a pipe and answers with plain values.

It is started fresh for each variant (``python -m reelbench.bench.worker FD``), so nothing of the parent (imports, caches, threads) is
in its figures, and a decoder or a network that crashes or hangs takes only this process with it. Requests and replies are pairs
``(kind, value)`` of builtin types and paths only, so that the worker of another commit understands them as long as `WIRE` agrees:

    job        → ready       the job's fields; what code this is
    describe   → described   weights that the analyzer wants, and whether it can run here
    prepare    → done | unavailable (only where the request has "unavailable": the network fails its comparison with FP32)
    load       → loaded
    analyze    → progress … , analyzed | refused | failed
    untimed    → untimed     the result of one pass without instruments (`reelbench.bench.audit`)
    repeated   → repeated    by how much repeated frames are faster than changing ones (`reelbench.bench.audit`)
    evidence   → evidence
    call       → called      what a function returns that the parent names (`reelbench.system.work`)
    stop
"""

from __future__ import annotations

import os
import random
import signal
import sys
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any

from reelbench import __version__
from reelbench.console import guarded
from reelbench.errors import MediaError, ReelBenchError
from reelbench.media.types import ClipInfo, DecodeOptions, Limits
from reelbench.processes import die_with_parent, keep_descendants

WIRE = 1
"""The version of the messages; it grows when a request or a reply changes its meaning."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is for: the analyzer's node of the configuration, how to decode, and where its output goes."""

    analyzer: dict[str, Any]
    decode: DecodeOptions
    limits: Limits
    seed: int
    log: Path

    def message(self) -> dict[str, Any]:
        return {
            "wire": WIRE,
            "analyzer": self.analyzer,
            "decode": asdict(self.decode),
            # Only what was changed, so that the worker of a commit without the newest limits understands the others.
            "limits": {key: value for key, value in asdict(self.limits).items() if value != getattr(Limits(), key)},
            "seed": self.seed,
            # It writes to its standard streams; where these lead says which run this is.
            "log": Path(os.devnull),
        }

    @classmethod
    def of(cls, message: dict[str, Any]) -> Job:
        if message["wire"] != WIRE:
            raise ReelBenchError(f"the worker speaks version {WIRE} of the messages, the parent {message['wire']}")
        decode, limits = DecodeOptions(**message["decode"]), Limits(**message["limits"])
        return cls(message["analyzer"], decode, limits, message["seed"], message["log"])


@guarded()  # what it prints is the run's log
def main() -> None:
    """Answer requests until 'stop' or until the parent is gone."""
    with suppress(OSError):  # where memory ends the kernel takes this process, and no other for it
        Path("/proc/self/oom_score_adj").write_text("1000")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    die_with_parent()  # if it is gone already, the pipe says so
    keep_descendants()  # what an analyzer starts and abandons still counts as its own
    pipe = Connection(int(sys.argv[1]))
    worker: _Worker | None = None
    while True:
        try:
            request, value = pipe.recv()
        except EOFError:
            return
        if request == "job":
            job = Job.of(value)
            random.seed(job.seed)
            worker = _Worker(pipe, job)
            pipe.send(("ready", {"version": __version__, "package": str(Path(__file__).parents[1])}))
            continue
        assert worker is not None, f"{request} came before the job"
        if request == "stop":
            worker.close()
            return
        pipe.send(worker.answer(request, value))


class _Worker:
    def __init__(self, pipe: Connection, job: Job) -> None:
        self._pipe = pipe
        self._job = job
        self._analyzer: Any = None
        self._store: Any = None

    def answer(self, request: str, value: Any) -> tuple[str, Any]:
        try:
            return getattr(self, f"_{request}")(value)  # type: ignore[no-any-return]
        except MediaError as error:
            return "refused", (error.message, error.hint)
        except ReelBenchError as error:
            traceback.print_exc()
            return "failed", error.message
        except MemoryError:
            traceback.print_exc()
            return "failed", "out of memory"
        except Exception as error:  # noqa: BLE001 - whatever an analyzer raises is a recorded failure of that clip
            traceback.print_exc()
            return "failed", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        finally:
            sys.stderr.flush()

    def close(self) -> None:
        if self._analyzer is not None:
            self._analyzer.close()

    def _build(self) -> Any:
        from reelbench.config import instantiate
        from reelbench.models.leased import LeasedStore

        if self._analyzer is None:
            self._analyzer = instantiate(self._job.analyzer)
            self._store = LeasedStore()
        return self._analyzer, self._store

    def _describe(self, _: None) -> tuple[str, Any]:
        analyzer, _store = self._build()
        verdict = analyzer.available()
        found = {"weights": list(analyzer.weights), "ok": verdict.ok, "reason": verdict.reason, "mend": verdict.mend}
        return "described", found

    def _prepare(self, options: dict[str, Any] | None) -> tuple[str, Any]:
        from reelbench.analyzers.base import lowered_networks
        from reelbench.engines.lowered import prove
        from reelbench.engines.parity import ParityError
        from reelbench.models.provenance import recorded

        started = perf_counter()
        analyzer, store = self._build()
        with recorded(store, f"prepare of {self._job.analyzer['_target_']}") as seen:
            try:
                analyzer.prepare(seen)
                for network in lowered_networks(analyzer, seen):
                    prove(network)
            except ParityError as error:
                if not options or not options.get("unavailable"):
                    raise
                return "unavailable", (error.message, error.hint)
        return "done", perf_counter() - started

    def _load(self, _: None) -> tuple[str, Any]:
        started = perf_counter()
        import reelbench.bench.one_pass  # noqa: F401 - what every pass needs belongs to the start, not to the first pass

        analyzer, store = self._build()
        analyzer.load(store)
        return "loaded", perf_counter() - started

    def _call(self, value: dict[str, Any]) -> tuple[str, Any]:
        """``value["function"]`` is 'module:name': called with the analyzer (None before 'load'), the job, ``value`` and how to tell."""
        from importlib import import_module

        def tell(share: float) -> None:
            self._pipe.send(("progress", share))

        module, _, name = value["function"].partition(":")
        return "called", getattr(import_module(module), name)(self._analyzer, self._job, value, tell)

    def _evidence(self, _: None) -> tuple[str, Any]:
        from reelbench.analyzers.base import lowered_networks
        from reelbench.bench.executed import executed
        from reelbench.engines.lowered import said, stored

        # Read first: evidence() may load more, to look at it.
        ran = executed()
        compared = [said(found) for one in lowered_networks(self._analyzer, self._store) if (found := stored(one))]
        return "evidence", {
            **asdict(self._analyzer.evidence()),
            **ran,
            "parity": compared,
        }

    def _analyze(self, clip: dict[str, Any]) -> tuple[str, Any]:
        from reelbench.bench.one_pass import one_pass

        def tell(share: float) -> None:
            self._pipe.send(("progress", share))

        return "analyzed", one_pass(
            self._analyzer,
            clip["name"],
            ClipInfo(**clip["info"]),
            self._job.decode,
            self._job.limits,
            tell,
            clip.get("delay_s", 0.0),
            _upstream(clip),
        )

    def _untimed(self, clip: dict[str, Any]) -> tuple[str, Any]:
        from reelbench.bench.audit import untimed_pass

        info = ClipInfo(**clip["info"])
        given = _upstream(clip)
        return "untimed", untimed_pass(self._analyzer, clip["name"], info, self._job.decode, self._job.limits, given)

    def _repeated(self, clip: dict[str, Any]) -> tuple[str, Any]:
        from reelbench.bench.audit import repeated_frames

        info = ClipInfo(**clip["info"])
        given = _upstream(clip)
        return "repeated", repeated_frames(
            self._analyzer, clip["name"], info, self._job.decode, self._job.limits, given
        )


def _upstream(clip: dict[str, Any]) -> dict[str, Any]:
    from reelbench.results import AnalyzerResult

    given = clip.get("upstream", {})
    return {name: AnalyzerResult.model_validate_json(result) for name, result in given.items()}


if __name__ == "__main__":
    main()
