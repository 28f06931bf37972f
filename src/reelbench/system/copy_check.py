"""Hold what each analyzer did on a clip against what it does on a copy that nobody has seen.

When all tasks of a run are over, the same workers get a copy of one clip, encoded anew, whose results
from upstream are its own. Who keeps results on disk, or knew the clips before, is far slower there,
or finds nothing. What looks so is asked again with further copies: a busy neighbour slows down once,
and a worker that was started for the copy gets warm on it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from random import SystemRandom
from time import perf_counter
from uuid import uuid4

from reelbench.bench.private_clips import PrivateClips
from reelbench.bench.progress import Progress
from reelbench.bench.reencode import LONGEST_S, Copied, events_in, reencoded
from reelbench.bench.setup import Clips
from reelbench.config import instantiate
from reelbench.corpus.clip import Clip
from reelbench.errors import MediaError, OutputError
from reelbench.media.types import ClipInfo
from reelbench.system.arrivals import Arrivals
from reelbench.system.costs import busy_s
from reelbench.system.executor import Executor, Order
from reelbench.system.folder import SystemFolder
from reelbench.system.observed import on_copy
from reelbench.system.records import CopyCheck, CopySeen, Session, Span, SystemRecord
from reelbench.system.setup import Prepared
from reelbench.system.tasks import tasks_of

OPINIONS = 3


def check_copy(ready: Prepared, order: Order, executor: Executor, progress: Progress) -> None:
    """Fill in ``copy_check`` of the run's record and ``copy_seen`` of each analyzer that did the clip.

    A resumed run in which nothing was left to do keeps what was seen before. No failure of the check is one of the run.
    """
    folder, record = executor.folder, executor.folder.record
    if not ready.composed.system.check_copy:
        record.copy_check = CopyCheck(why_not="system.check_copy=false")
        return
    if record.copy_check is not None and record.copy_check.clip and not executor.ledger.total:
        return
    known = _tasks_done(folder, ready, order)
    if not known:
        record.copy_check = CopyCheck(why_not="no analyzer is done with any")
        return
    clip = drawn({name: order.infos[name].duration_s for name in known}, known)
    progress.stage(f"a copy of {clip}")
    record.copy_check, started = CopyCheck(clip=clip), perf_counter()
    _forget(record)
    try:
        _ask(ready, order, executor, known)
        if not any(item.copy_seen for item in record.analyzers.values()):
            record.copy_check.why_not = f"nothing came to a result on one of {clip}"
    except (MediaError, OutputError, OSError) as error:
        _forget(record)
        record.copy_check = CopyCheck(why_not=getattr(error, "message", str(error)))
    except KeyboardInterrupt:  # whoever goes on with the run looks again
        _forget(record)
        record.copy_check = None
        raise
    record.copy_check.seconds = perf_counter() - started


def _forget(record: SystemRecord) -> None:
    for item in record.analyzers.values():
        item.copy_seen = None


def drawn(lengths: Mapping[str, float], known: Mapping[str, Collection[str]]) -> str:
    """A clip at random of those that the most analyzers did, rather a short one; no long one where there are others."""
    most = max(len(known[clip]) for clip in lengths)
    whole = {clip: max(1.0, seconds) for clip, seconds in lengths.items() if len(known[clip]) == most}
    limit_s = max(LONGEST_S, min(whole.values()))
    short = {clip: seconds for clip, seconds in whole.items() if seconds <= limit_s}
    return SystemRandom().choices(list(short), [1 / seconds for seconds in short.values()])[0]


def _tasks_done(folder: SystemFolder, ready: Prepared, order: Order) -> dict[str, dict[str, Span]]:
    """By clip and analyzer, the tasks that were watched and came to a result."""
    found: dict[str, dict[str, Span]] = {}
    for span in folder.spans:
        watched = span.kind == "task" and span.status == "done" and "frames_handed" in span.observed
        if watched and span.name in ready.parts and span.clip in order.infos:
            found.setdefault(span.clip, {})[span.name] = span
    return found


def _ask(ready: Prepared, order: Order, executor: Executor, done: Mapping[str, Mapping[str, Span]]) -> None:
    """Copies, until nobody looks as if it remembered, or there were `OPINIONS` of them."""
    record, limits = executor.folder.record, ready.composed.base.media.limits
    assert record.copy_check is not None
    clip = record.copy_check.clip
    known, info = done[clip], order.infos[clip]
    suspects, private = list(known), PrivateClips()
    try:
        for number in range(OPINIONS):
            copied = reencoded(info, private.empty_folder(), limits, number)
            record.copy_check.video_s = max(record.copy_check.video_s, copied.info.duration_s)
            run, name = _pass(ready, order, executor, _with_upstream(suspects, known, ready), copied.info, private)
            for one in suspects:
                seen = _seen(executor.folder, run, known[one], copied, name)
                if seen is not None:
                    took = {at: busy_s(spans[one]) for at, spans in done.items() if one in spans}
                    seen.clip_s = clip_s(took, clip, copied.info.duration_s / max(info.duration_s, 1e-9))
                    seen.copies = number + 1
                record.analyzers[one].copy_seen = seen
            suspects = [one for one in suspects if on_copy(record, record.analyzers[one])]
            if not suspects:
                return
    finally:
        private.close()


def _with_upstream(wanted: Collection[str], known: Collection[str], ready: Prepared) -> list[str]:
    """Those analyzers, and all that they take results from."""
    found, left = [], list(wanted)
    while left:
        if (name := left.pop()) not in found and name in known:
            found.append(name)
            needs = ready.parts[name].needs
            left += [*needs.upstream, *needs.upstream_if_any]
    return found


def _pass(
    ready: Prepared, order: Order, executor: Executor, names: Collection[str], info: ClipInfo, private: PrivateClips
) -> tuple[SystemFolder, str]:
    """These analyzers on a copy, by the workers of the run; what came of it is in a folder that ends with ``private``."""
    plan, name = ready.composed.plan, f"copy-{uuid4().hex[:8]}"
    clips = Clips([Clip(name, info.path, "copies", "")], {name: info}, {})
    here = {"clips": clips.records(), "sessions": [Session(began="")], "prediction": {}}
    run = SystemFolder(private.empty_folder(), executor.folder.record.model_copy(update=here))
    run.scratch = executor.folder.scratch
    needs = {one: ready.parts[one].needs for one in names}
    tasks = tasks_of(
        name, info.duration_s, info.has_audio, needs, rank=0, decode_once=order.decode_once, wide=plan.wide
    )
    alone = replace(order, tasks=tasks, states={}, infos={name: info}, arrivals=Arrivals())
    executor.aside(alone, instantiate(plan.order), run)
    return run, name


def clip_s(took: Mapping[str, float], clip: str, share: float) -> float:
    """Seconds that an analyzer may be expected to take for so large a share of a clip.

    Not less than for the quickest of all clips: some take the same for a clip of any length.
    """
    return max(share * took[clip], min(took.values()))


def _seen(folder: SystemFolder, run: SystemFolder, span: Span, copied: Copied, name: str) -> CopySeen | None:
    """What the task of ``span`` came to on the copy; None where what lies upstream of it failed there."""
    ended = [one for one in run.spans if one.name == span.name and one.kind != "load" and one.final]
    if not ended or ended[-1].status == "skipped":
        return None
    there = ended[-1]
    if there.status != "done":
        return CopySeen(failed=there.reason)
    found = run.result((name, span.name))
    return CopySeen(
        copy_s=busy_s(there),
        expected=events_in(folder.result((span.clip, span.name)), copied),
        found=len(found.events) if found is not None else 0,
    )
