"""Bad input gets one clear line and the right exit code; nothing is half-written, and the other clips are still measured."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from reelbench.encoding import path_of
from support.clips import make_audio_only, make_clip, truncate
from support.signals import taking_signals

from .conftest import PLUGIN, QUICK, ROOT, Run, environment


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted(folder.glob("runs/*/run.json"))]


def one_line(text: str) -> str:
    """The error's line; there is exactly one."""
    lines = [line for line in text.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, text
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["analyzer=nonsense"], ["there is no analyzer 'nonsense'"]),
        (["variant=nonsense"], ["no variant 'nonsense'"]),
        (["nonsense=1"], ["nonsense"]),
        (["analyzer.nonsense=1"], ["analyzer.nonsense"]),
        (["seed=many"], ["seed"]),
        (["media.decode.threads=some"], ["media.decode.threads"]),
        (["measure.repetitions_min=0"], ["measure.repetitions_min"]),
        (["on_unavailable=maybe"], ["on_unavailable"]),
        (["seed=[1"], ["seed=[1"]),
        (["nonsense"], ["nonsense"]),
        (["corpus=folder"], ["wants a folder"]),
        (["corpus=folder", "corpus.path=/does/not/exist"], ["/does/not/exist", "no such folder"]),
    ],
)
def test_a_wrong_command_is_one_line_and_exit_2(
    run: Run, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    done = run(*arguments)
    line = one_line(done.stderr)
    assert all(word in line for word in words), line
    assert done.returncode == 2
    assert list((tmp_path / "work").iterdir()) == []


def test_an_unknown_variant_lists_those_that_exist(run: Run) -> None:
    done = run("variant=nonsense")
    assert "baseline" in done.stderr and "optimized" in done.stderr


def test_an_empty_folder_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    done = run(*PLUGIN, "corpus=folder", f"corpus.path={tmp_path / 'clips'}")
    assert done.returncode == 2
    assert "no video" in one_line(done.stderr)


def test_hostile_clips_are_refused_by_name_and_the_good_one_is_measured(
    brightness: Run, clips: Path, tmp_path: Path
) -> None:
    good = clips / "good.mp4"
    (clips / "zero.mp4").touch()
    (clips / "text.mp4").write_text("this is no video\n" * 100)
    (clips / "concat.mp4").write_text(f"ffconcat version 1.0\nfile {good.name}\n")
    (clips / "playlist.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\ngood.mp4\n#EXT-X-ENDLIST\n")
    make_audio_only(clips / "audio.mp4")
    make_clip(clips / "one.mp4", frames=1)
    make_clip(clips / "odd.mkv", frames=6, size=(641, 359), pixel_format="yuv444p")
    make_clip(clips / "turned.mp4", frames=6, rotation=90)
    make_clip(clips / "uneven.mp4", times=[0, 0.1, 0.4, 0.5, 1.3])
    make_clip(tmp_path / "whole.mp4", frames=60, faststart=True)
    truncate(tmp_path / "whole.mp4", clips / "short.mp4", 0.6)

    done = brightness()
    assert done.returncode == 2
    (record,) = records(tmp_path / "work")
    status = {clip["name"]: clip["status"] for clip in record["clips"]}
    refused = {"zero.mp4", "text.mp4", "concat.mp4", "playlist.mp4", "audio.mp4"}
    assert {name for name, word in status.items() if word == "refused"} == refused
    assert {word for name, word in status.items() if name not in refused} == {"measured"}
    for name in refused:
        assert any(name in line and "refused" in line for line in done.stderr.splitlines())
    flags = {clip["name"]: clip["flags"] for clip in record["clips"]}
    assert "truncated" in flags["short.mp4"]
    assert "vfr" in flags["uneven.mp4"]
    assert "rotated" in flags["turned.mp4"]
    assert not list((tmp_path / "work").rglob("*.part*"))


def test_an_unavailable_variant_is_exit_4_and_logs_nothing(brightness: Run, tmp_path: Path) -> None:
    done = brightness("variant=exotic")
    assert done.returncode == 4
    assert "it wants an accelerator" in one_line(done.stderr)
    assert list((tmp_path / "work").iterdir()) == []


def test_a_fallback_is_recorded_as_what_it_is(brightness: Run, tmp_path: Path) -> None:
    done = brightness("variant=exotic", "on_unavailable=fallback")
    assert done.returncode == 0
    (record,) = records(tmp_path / "work")
    assert (record["requested"], record["effective"]) == ("exotic", "plain")
    assert "accelerator" in record["fallback_reason"]
    assert "exotic → plain" in done.stdout


def test_a_network_that_computes_something_else_here_is_refused_or_replaced(brightness: Run, tmp_path: Path) -> None:
    done = brightness("variant=wrong_here")
    assert done.returncode == 4
    assert "does not compute here what it does in FP32" in one_line(done.stderr)
    (refused,) = records(tmp_path / "work")
    assert refused["status"] == "failed" and "FP32" in refused["invalid"]
    done = brightness("variant=wrong_here", "on_unavailable=fallback")
    assert done.returncode == 0
    record = records(tmp_path / "work")[-1]
    assert (record["requested"], record["effective"], record["status"]) == ("wrong_here", "plain", "finished")
    assert "FP32" in record["fallback_reason"]
    assert "wrong_here → plain" in done.stdout


def test_evidence_against_the_request_is_exit_5(brightness: Run) -> None:
    done = brightness("variant=pretender")
    assert done.returncode == 5
    assert "invalid" in done.stdout and "asked for int8, ran fp32" in done.stdout


def test_a_failing_clip_is_exit_5(brightness: Run, clips: Path, tmp_path: Path) -> None:
    make_clip(clips / "bad.mp4", frames=10)
    done = brightness("analyzer.faults={bad.mp4: segfault}")
    assert done.returncode == 5
    (record,) = records(tmp_path / "work")
    assert Counter(clip["status"] for clip in record["clips"]) == {"measured": 1, "failed": 1}


def test_a_sweep_goes_on_after_a_variant_that_is_not_there(brightness: Run, tmp_path: Path) -> None:
    done = brightness("--multirun", "variant=exotic,plain,pretender")
    assert done.returncode == 5
    assert [record["effective"] for record in records(tmp_path / "work")] == ["plain", "pretender"]
    assert "unavailable" in done.stdout and "finished" in done.stdout and "invalid" in done.stdout
    (page,) = (tmp_path / "work").glob("runs/sweeps/*/report.html")
    assert "plain" in page.read_text()


def test_ctrl_c_keeps_what_was_measured_and_the_same_command_goes_on(clips: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    several = ("measure=default", "measure.repetitions_min=400", "measure.repetitions_max=400", "tracking.uri=off")
    command = [sys.executable, str(ROOT / "run.py"), *PLUGIN, "corpus=folder", f"corpus.path={clips}", *several]
    first = interrupted_after(command, work, passes=1)
    again = interrupted_after(command, work, passes=len(first) + 1)
    assert again[: len(first)] == first


def interrupted_after(command: list[str], work: Path, passes: int) -> list[dict[str, Any]]:
    """Start the command, interrupt it once its only run has so many samples, and return them."""

    def samples() -> list[dict[str, Any]]:
        found = [pq.read_table(BytesIO(file.read_bytes())).to_pylist() for file in work.glob("runs/*/samples.parquet")]
        assert len(found) <= 1, "the second command made a run of its own"
        return found[0] if found else []

    process = subprocess.Popen(taking_signals(command), cwd=work, env=environment(), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 100
    while len(samples()) < passes:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in said and "Traceback" not in said
    (record,) = records(work)
    assert record["status"] == "interrupted"
    return samples()


def test_weights_with_a_wrong_hash_are_refused_by_name(run: Run, clips: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    model = store / "ssd_mobilenet_v2_coco" / "frozen_inference_graph.pb"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"not these weights")
    done = run(
        "variant=baseline",
        "corpus=folder",
        f"corpus.path={clips}",
        *QUICK,
        "download=false",
        REELBENCH_MODEL_STORE=str(store),
    )
    assert done.returncode == 4
    assert "frozen_inference_graph.pb" in one_line(done.stderr)
    assert model.read_bytes() == b"not these weights"


def test_without_a_network_the_missing_weights_are_named(run: Run, clips: Path, tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9"
    done = run(
        *("variant=baseline", "corpus=folder", f"corpus.path={clips}", *QUICK),
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "PIP_PROXY"), nowhere),
        PIP_INDEX_URL=f"{nowhere}/simple",
        PIP_FIND_LINKS="",
        PIP_CONFIG_FILE=os.devnull,
        PIP_RETRIES="0",
        REELBENCH_MODEL_STORE=str(tmp_path / "store"),
    )
    assert done.returncode == 4
    assert "ssd_mobilenet_v2_coco" in one_line(done.stderr)
    assert not list((tmp_path / "work").iterdir())


def _mounted(path: Path, *options: str) -> bool:
    done = subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(path)], capture_output=True, check=False)
    return done.returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    path = tmp_path / "disk"
    path.mkdir()
    if not _mounted(path, "-o", "size=64k"):
        pytest.skip("mounting a small tmpfs is not permitted here")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_a_full_disk_is_one_line(brightness: Run, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"x" * 64 * 1024)
    done = brightness(f"runs_dir={small_disk}/runs")
    assert done.returncode == 2
    assert "disk is full" in one_line(done.stderr)


def test_an_output_folder_that_may_not_be_written_is_one_line(brightness: Run, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = brightness(f"runs_dir={small_disk}/runs")
    assert done.returncode == 2
    assert "no permission" in one_line(done.stderr)


def test_clips_whose_names_are_not_utf8_are_measured_written_and_tracked(run: Run, clips: Path, tmp_path: Path) -> None:
    (clips / "good.mp4").rename(os.fsdecode(os.fsencode(clips) + b"/caf\xe9.mp4"))
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/dossier\xe9"))
    clips.rename(odd)
    tracked = f"tracking.uri=sqlite:///{tmp_path}/mlflow.db"
    done = run(*PLUGIN, "corpus=folder", f'corpus.path="{odd}"', "measure=quick", tracked)
    assert done.returncode == 0, done.stderr
    assert "caf\\udce9.mp4" in done.stderr and "tracked in MLflow" in done.stderr
    (record,) = records(tmp_path / "work")
    (clip,) = record["clips"]
    assert clip["name"] == "caf\\udce9.mp4" and clip["status"] == "measured" and path_of(clip["path"]).is_file()
    (page,) = (tmp_path / "work").glob("runs/*/report.html")
    assert "caf\\udce9.mp4" in page.read_text() and "data:image/jpeg" in page.read_text()
