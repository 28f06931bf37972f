"""The contract of every analyzer, in every variant that this machine can run. Nothing here names one: conf/ is the list."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from reelbench.analyzers.base import Material, lowered_networks
from reelbench.bench.evidence_check import LOWERED
from reelbench.engines.base import Evidence
from reelbench.errors import MediaError
from reelbench.media.types import ClipInfo
from reelbench.models.store import ModelStore
from reelbench.results import AnalyzerResult, Event
from support.clips import make_audio_only, make_clip
from support.contract import Ready, StrictPhases, build, close_all, pairs, photograph, ready

SIZE = (256, 320)
"""Width and height of the test clips as displayed: upright, with room for the photograph to move."""


@pytest.fixture(scope="module", params=pairs(), ids="-".join)
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def subject(pair: tuple[str, str]) -> Ready:
    """The analyzer, ready; skipped with its own reason where it is unavailable here."""
    state = build(*pair)[1].available()
    if not state.ok:
        pytest.skip(f"unavailable here: {state.reason}")
    return ready(*pair)


@pytest.fixture(scope="module")
def picture() -> Callable[[int], NDArray[np.uint8]]:
    """Frame i: a window that glides over the photograph."""
    whole = photograph()

    def window(index: int) -> NDArray[np.uint8]:
        left = min(60 + 2 * index, whole.shape[1] - SIZE[0])
        top = whole.shape[0] - SIZE[1] if whole.shape[0] > SIZE[1] else 0
        cut = whole[max(top, 0) :, left : left + SIZE[0]]
        return np.ascontiguousarray(np.pad(cut, ((0, SIZE[1] - min(len(cut), SIZE[1])), (0, 0), (0, 0)))[: SIZE[1]])

    return window


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def upright(folder: Path, picture: Callable[[int], NDArray[np.uint8]]) -> Path:
    return make_clip(folder / "upright.mp4", frames=45, size=SIZE, picture=picture)


def _valid(subject: Ready, result: AnalyzerResult, info: ClipInfo) -> AnalyzerResult:
    """What holds for every result: the schema survives JSON, times lie in the clip, boxes in the displayed frame."""
    assert AnalyzerResult.model_validate_json(result.model_dump_json()) == result
    assert result.analyzer == subject.name
    assert result.frames_inferred <= result.frames_sampled
    for event in result.events:
        assert 0 <= event.start_s <= event.end_s <= max(info.duration_s, result.duration_s) + 1e-6
        for box in [event.box, *(key.box for key in event.track)]:
            assert box is None or (0 <= box[0] <= box[2] <= info.width and 0 <= box[1] <= box[3] <= info.height)
    return result


def _clear(events: Sequence[Event], least: float = 0.4) -> list[Event]:
    """Events that do not hang on a threshold."""
    return [event for event in events if event.score >= least]


def test_what_cannot_run_here_says_why_and_what_would_mend_it(pair: tuple[str, str]) -> None:
    state = build(*pair)[1].available()
    assert state.ok or (state.reason and state.mend)
    assert "\n" not in state.reason + state.mend


def test_results_are_valid_and_the_evidence_speaks(subject: Ready, upright: Path) -> None:
    result = _valid(subject, *subject.on(upright))
    assert result.clip == "upright"
    evidence = subject.analyzer.evidence()
    assert isinstance(evidence, Evidence) and evidence.engine and evidence.device and evidence.version
    assert evidence.contradiction == ""
    assert evidence.batch >= 1
    lowered = {one.precision for one in lowered_networks(subject.analyzer, ModelStore())}
    assert evidence.precision in (lowered or {evidence.precision}) and (evidence.precision not in LOWERED or lowered)


def test_the_same_clip_gives_the_same_result(subject: Ready, upright: Path) -> None:
    assert subject.on(upright)[0] == subject.on(upright)[0]


def test_no_video_stream_is_refused(subject: Ready, folder: Path) -> None:
    """By probing, for analyzers that only listen, too: a clip is a video."""
    sound = make_audio_only(folder / f"sound-{subject.config.variant}.m4a")
    with pytest.raises(MediaError):
        subject.on(sound)


def test_no_frames_and_nothing_upstream_is_an_empty_answer(subject: Ready, upright: Path) -> None:
    info = subject.on(upright)[1]
    nothing = {name: found.model_copy(update={"events": ()}) for name, found in subject.upstream_on(upright).items()}
    result = subject.analyzer.analyze(Material("empty", info, StrictPhases(), iter(()), upstream=nothing))
    assert (result.frames_sampled, result.frames_inferred, result.events) == (0, 0, ())


def test_one_frame_is_enough(subject: Ready, folder: Path, picture: Callable[[int], NDArray[np.uint8]]) -> None:
    clip = make_clip(folder / "one.mp4", frames=1, size=SIZE, picture=picture)
    result = _valid(subject, *subject.on(clip))
    if subject.analyzer.needs.frames is not None:
        assert result.frames_sampled == 1


def test_sound_or_none_does_not_matter_to_what_only_looks(
    subject: Ready, folder: Path, upright: Path, picture: Callable[[int], NDArray[np.uint8]]
) -> None:
    loud = make_clip(folder / "loud.mp4", frames=45, size=SIZE, picture=picture, audio_s=1.5)
    with_sound, without = _valid(subject, *subject.on(loud)), _valid(subject, *subject.on(upright))
    if subject.analyzer.needs.audio is None:
        assert with_sound.events == without.events


def test_silence_is_a_valid_input(subject: Ready, upright: Path) -> None:
    if subject.analyzer.needs.audio is None:
        pytest.skip("listens to nothing")
    info = subject.on(upright)[1]
    silence = np.zeros(subject.analyzer.needs.audio.rate, np.float32)
    given = subject.upstream_on(upright)
    _valid(subject, subject.analyzer.analyze(Material("silent", info, StrictPhases(), iter(()), silence, given)), info)


def test_times_are_the_container_s_own_at_a_variable_rate(
    subject: Ready, folder: Path, picture: Callable[[int], NDArray[np.uint8]]
) -> None:
    times = [0.0, *np.cumsum(np.tile([1 / 30, 1 / 10, 1 / 60, 1 / 15], 12)).round(4)]
    clip = make_clip(folder / "vfr.mp4", times=times, size=SIZE, picture=picture)
    result = _valid(subject, *subject.on(clip))
    starts = {event.track[0].t_s if event.track else event.start_s for event in result.events}
    if subject.analyzer.needs.frames is not None:
        assert all(min(abs(start - time) for time in times) < 2e-3 for start in starts)


def test_a_rotated_clip_gives_what_the_upright_one_gives(
    subject: Ready, folder: Path, upright: Path, picture: Callable[[int], NDArray[np.uint8]]
) -> None:
    lying = make_clip(
        folder / "lying.mp4",
        frames=45,
        size=(SIZE[1], SIZE[0]),
        rotation=-90,
        picture=lambda index: np.ascontiguousarray(np.rot90(picture(index))),
    )
    result, info = subject.on(lying)
    _valid(subject, result, info)
    assert (info.width, info.height) == SIZE
    expected = _clear(subject.on(upright)[0].events, 0.6)
    _same(expected, result.events, score=0.15, pixels=12)


def test_batches_change_nothing(pair: tuple[str, str], subject: Ready, upright: Path) -> None:
    """A batch of 1 and one that does not divide the number of frames answer alike."""
    if "batch" not in subject.config.analyzer.constructor:
        pytest.skip("has no batch")
    single, several = (ready(*pair, f"analyzer.batch={size}").on(upright)[0] for size in (1, 3))
    assert single.frames_sampled == several.frames_sampled
    _same(_clear(single.events), several.events, score=0.02, pixels=2)
    _same(_clear(several.events), single.events, score=0.02, pixels=2)


def _same(expected: Sequence[Event], got: Sequence[Event], score: float, pixels: float) -> None:
    """Each expected event has its twin in ``got``: same label and start, nearly the same score and box."""
    for event in expected:
        twins = [other for other in got if other.label == event.label and abs(other.start_s - event.start_s) < 1e-3]
        assert any(
            abs(other.score - event.score) <= score
            and (event.box is None or np.allclose(other.box, event.box, atol=pixels))
            for other in twins
        ), f"nothing like {event} among {twins}"


@pytest.fixture(scope="module", autouse=True)
def _close() -> Iterator[None]:
    yield
    close_all()
