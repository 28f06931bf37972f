"""Probing hostile files in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reelbench.errors import MediaError
from reelbench.media import probe, probe_safely, safe_probe
from reelbench.media.types import ClipInfo, Limits
from support.clips import make_clip

# Behaves like the real worker, but dies or hangs on files that are called so.
HOSTILE = """
import os, signal, sys, time
from reelbench.media import probe_worker, probing
real = probing.probe
def probe(path, limits):
    if "crash" in path.name: os.kill(os.getpid(), signal.SIGSEGV)
    if "hang" in path.name: time.sleep(600)
    return real(path, limits)
probe_worker.probe = probe
probe_worker.main()
"""


def test_answers_are_those_of_probe(tmp_path: Path) -> None:
    good = make_clip(tmp_path / "good.mp4", frames=5, rotation=90, audio_s=0.5)
    long = make_clip(tmp_path / "long.mp4", frames=60)
    (tmp_path / "text.mp4").write_text("no video")
    paths = [tmp_path / "missing.mp4", good, tmp_path / "text.mp4", long]
    limits = Limits(max_duration_s=1.0)
    found = probe_safely(paths, limits)
    assert list(found) == paths
    assert found[good] == probe(good, limits)
    for path in (paths[0], paths[2], long):
        with pytest.raises(MediaError) as expected:
            probe(path, limits)
        assert str(found[path]) == str(expected.value)


def test_a_crash_and_a_hang_are_marked_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_probe, "COMMAND", (sys.executable, "-c", HOSTILE))
    clips = [make_clip(tmp_path / f"{name}.mp4", frames=2) for name in ("crash", "hang", "a", "b", "crash_again")]
    found = probe_safely(clips, timeout_s=10.0)
    assert [isinstance(found[clip], ClipInfo) for clip in clips] == [False, False, True, True, False]
    assert "crashed while probing it (SIGSEGV)" in str(found[clips[0]])
    assert "longer than 10 s" in str(found[clips[1]])


def test_nothing_to_probe_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    assert probe_safely([]) == {}


def test_importing_the_package_loads_neither_pyav_nor_opencv() -> None:
    code = "import sys, reelbench.media, reelbench.media.types; print(sorted({'av', 'cv2'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_what_a_library_prints_is_not_taken_for_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    talks = HOSTILE.replace('if "hang"', 'if "talks" in path.name: print("[h264] error")\n    if "hang"')
    monkeypatch.setattr(safe_probe, "COMMAND", (sys.executable, "-c", talks))
    clips = [make_clip(tmp_path / f"{name}.mp4", frames=2) for name in ("talks", "a", "b")]
    found = probe_safely(clips)
    assert [isinstance(found[clip], ClipInfo) for clip in clips] == [False, True, True]
