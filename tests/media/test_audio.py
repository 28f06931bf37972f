"""Mono audio at the rate that was asked for, in step with the picture."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from reelbench.errors import MediaError
from reelbench.media import probe, read_audio
from reelbench.media.types import AudioRequest, Limits
from support.clips import TIME_BASE, add_tone, make_audio_only, make_clip, marked, write_tone


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_rate_level_and_pitch(rate: int, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", audio_s=1.0)
    info = probe(path)
    assert (info.has_audio, info.audio_rate) == (True, 44100)
    sound = read_audio(path, AudioRequest(rate))
    assert sound.dtype == np.float32
    assert sound.ndim == 1
    assert len(sound) == pytest.approx(rate, rel=0.05)
    steady = sound[rate // 4 : 3 * rate // 4]
    assert np.abs(steady).max() == pytest.approx(0.5, abs=0.05), "two channels in phase are averaged, not added up"
    assert np.abs(np.fft.rfft(steady)).argmax() * 2 == pytest.approx(440, abs=3)


def test_sound_that_begins_later_is_preceded_by_silence(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt = 160, 96, "yuv420p"
        video.codec_context.time_base = TIME_BASE
        sound = add_tone(container)
        for index in range(60):
            frame = av.VideoFrame.from_ndarray(marked(160, 96)(index), format="rgb24")
            frame.pts, frame.time_base = round(index / 30 / TIME_BASE), TIME_BASE
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        write_tone(container, sound, 1.0, start_s=0.75)
    samples = read_audio(path, AudioRequest(16000))
    loud = np.flatnonzero(np.abs(samples) > 0.1)
    assert loud[0] / 16000 == pytest.approx(0.75, abs=0.04)


def test_an_audio_file_can_be_read_and_the_cap_holds(tmp_path: Path) -> None:
    path = make_audio_only(tmp_path / "sound.m4a", 2.0)
    assert len(read_audio(path, AudioRequest(16000))) == pytest.approx(32000, rel=0.05)
    with pytest.raises(MediaError, match="lasts"):
        read_audio(path, AudioRequest(16000), Limits(max_duration_s=1.0))
