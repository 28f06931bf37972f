"""A finished system run as a folder, made from small results: for what reads one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from reelbench.bench.records import ClipRecord
from reelbench.results import AnalyzerResult, Box, BoxAt, Event
from reelbench.system.costs import add_costs
from reelbench.system.folder import SystemFolder
from reelbench.system.records import AnalyzerRecord, Outcome, Span, SystemRecord

DURATION_S = 2.0
Found = Sequence[Event] | Outcome
"""What an analyzer gave: its events, or how it ended without any."""


def event(
    start: float, end: float, label: str, text: str | None = None, box: Box | None = None, **more: object
) -> Event:
    return Event(start_s=start, end_s=end, label=label, score=0.75, text=text, box=box, **more)  # type: ignore[arg-type]


def walk() -> Event:
    """A person that walks to the right and comes nearer, seen at 0, 0.5 and 1.5 s."""
    keys = ((0.0, (10, 20, 40, 80)), (0.5, (30, 20, 60, 80)), (1.5, (80, 10, 130, 90)))
    track = tuple(BoxAt(t_s=t, box=box, score=0.5 + t / 10) for t, box in keys)
    return event(0.0, 2.0, "person", box=(80, 10, 130, 90), track=track, attributes={"seen": 3})


def usual() -> dict[str, Found]:
    """What a small system found: some of everything, one that found nothing, and one of each way not to finish."""
    return {
        "object_detection": [walk(), event(0.5, 1.0, "bus stop", box=(1, 2, 3.5, 4))],
        "speech_transcription": [
            event(0.1, 0.9, "segment", "Hello there, you."),
            event(0.1, 0.4, "word", "Hello"),
            event(0.4, 0.6, "word", "there,"),
            event(0.6, 0.9, "word", "you."),
            event(1.2, 1.8, "segment", "Follow me!"),
            event(1.2, 1.5, "word", "Follow"),
            event(1.5, 1.8, "word", "me!"),
        ],
        "text_overlay": [event(0.2, 1.9, "overlay", "HALF PRICE\nonly today", (20, 5, 120, 30))],
        "camera_analysis": [event(0.0, 1.0, "pan_right", attributes={"speed": 0.1}), event(1.0, 2.0, "still")],
        "audio_analysis": [event(0.0, 2.0, "clip", attributes={"loudness_lufs": -14.2, "tempo_bpm": 120.0})],
        "sound_effects": [],
        "eye_tracking": Outcome(status="failed", reason="the process died: killed by signal 9"),
        "qwen2_vl_temporal": Outcome(
            status="unavailable", reason="torch is not installed", mend="pip install 'reelbench[vlm]'"
        ),
    }


def make_system_run(
    folder: Path,
    clips: Mapping[str, Mapping[str, Found]],
    *,
    videos: Mapping[str, Path] | None = None,
    size: tuple[int, int] = (160, 96),
) -> SystemFolder:
    """A run in ``folder``/system of analyzers that gave what ``clips`` says, in the layout of `reelbench.system.folder`."""
    names = dict.fromkeys(name for found in clips.values() for name in found)
    record = SystemRecord(
        id="20260301-120000-default-auto-abc123",
        created="2026-03-01T12:00:00+00:00",
        command="reelbench system corpus=folder",
        corpus="folder",
        system="default",
        plan="auto",
        decode="once",
        cores=(0, 1),
        memory_bytes=10**9,
        key="k",
        status="finished",
        clips=[_clip(clip, (videos or {}).get(clip), size) for clip in clips],
        analyzers={name: AnalyzerRecord(name=name, variant="optimized") for name in names},
    )
    run = SystemFolder.create(folder / "system", record, None)
    for clip, found in clips.items():
        for name, given in found.items():
            done = not isinstance(given, Outcome)
            record.analyzers[name].outcomes[clip] = Outcome(status="done") if not isinstance(given, Outcome) else given
            if not isinstance(given, Outcome):
                span = Span(session=0, kind="task", clip=clip, name=name, status="done", start_s=0, end_s=1)
                run.add(span, _result(name, clip, given))
            assert done == (run.result((clip, name)) is not None)
    add_costs(record, run.spans)
    if any(
        one.status in ("failed", "timed_out") for item in record.analyzers.values() for one in item.outcomes.values()
    ):
        record.status = "failed"
    run.save()
    return run


def _clip(name: str, video: Path | None, size: tuple[int, int]) -> ClipRecord:
    return ClipRecord(
        name=name,
        status="measured",
        duration_s=DURATION_S,
        width=size[0],
        height=size[1],
        fps=30.0,
        path=str(video or f"/videos/{name}.mp4"),
    )


def _result(analyzer: str, clip: str, events: Sequence[Event]) -> AnalyzerResult:
    sampled = tuple(n / 2 for n in range(4)) if analyzer == "object_detection" else ()
    return AnalyzerResult(
        analyzer=analyzer,
        clip=clip,
        duration_s=DURATION_S,
        frames_sampled=len(sampled),
        frames_inferred=len(sampled),
        sampled_s=sampled,
        events=tuple(events),
    )
