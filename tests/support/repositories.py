"""A small git repository of this project's own code, with an analyzer in it whose speed and findings a test can change."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from support.clips import make_clip

ROOT = Path(__file__).parents[2]
PARTS = ("src", "conf", "pyproject.toml", "constraints.txt", "run.py", "README.md", "LICENSE", ".github")

SPINNING = '''"""Brightness of sampled frames, at a speed that is written here: each pass sleeps for ``PAUSE_S``."""

from __future__ import annotations

import time

from reelbench.analyzers.base import Material, Needs, WeightsSource
from reelbench.engines.base import Availability, Evidence
from reelbench.media.types import FrameRequest, Sampling
from reelbench.results import AnalyzerResult, Event

PAUSE_S = 0.06


class Spinning:
    needs = Needs(frames=FrameRequest(Sampling(every=2), size=(32, 32), colour="gray"))
    weights: tuple[str, ...] = ()
    step = 1

    def available(self) -> Availability:
        return Availability(True, "", "")

    def prepare(self, store: WeightsSource) -> None:
        pass

    def load(self, store: WeightsSource) -> None:
        pass

    def analyze(self, material: Material) -> AnalyzerResult:
        events, frames = [], 0
        time.sleep(PAUSE_S)
        for frame in material.frames:
            frames += 1
            with material.phases("infer"):
                level = float(frame.image.mean()) / 255
            events.append(Event(start_s=frame.pts_s, end_s=frame.pts_s, label="brightness", score=level))
        return AnalyzerResult(
            analyzer="spinning", clip=material.clip, duration_s=material.info.duration_s,
            frames_sampled=frames, frames_inferred=frames, events=tuple(events),
        )

    def evidence(self) -> Evidence:
        return Evidence("numpy", "CPU", "fp64", "test")

    def close(self) -> None:
        pass
'''
ANALYZER = """# @package _global_
analyzer: {_target_: reelbench.analyzers.spinning.Spinning, name: spinning, reference: plain, fallback: plain}
quality: {_target_: reelbench.quality.detection.DetectionQuality}
"""
MEASURE = """name: small
warmup_min: 1
warmup_max: 1
repetitions_min: 2
repetitions_max: 2
seconds_per_clip: 0.0
clip_timeout_s: 240.0
load_timeout_s: 240.0
prepare_timeout_s: 240.0
pairs: {looks: [8, 12], statistic: median, slice_s: 0.1, slice_max: 3, restart_every: 20}
"""
POLICY = """name: small
checks:
  - analyzer: spinning
    variants: [plain]
    corpus: folder
    measure: small
    largest_slow_down: 3.0
    quality_margin: 0.01
"""


class Repository:
    """``root`` is a git checkout of this project with one commit. ``reelbench`` runs its code."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, root / part, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.is_file():
                root.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, root / part)
        self.write("src/reelbench/analyzers/spinning.py", SPINNING)
        self.write("conf/analyzer/spinning.yaml", ANALYZER)
        self.write("conf/tuning/spinning/plain.yaml", "# @package _global_\nanalyzer: {}\n")
        self.write("conf/measure/small.yaml", MEASURE)
        self.write("conf/gate/small.yaml", POLICY + "    memory: 1.0\n    cold_start: 5.0\n")
        self.write("conf/gate/bare.yaml", POLICY)
        self.write(".gitignore", "__pycache__/\n/runs/\n/clips/\n/.venv/\n*.egg-info/\n/model_store/\n")
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "tests")
        self.git("config", "user.email", "tests@example.invalid")
        self.commit("first")

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def replace(self, path: str, old: str, new: str) -> None:
        text = (self.root / path).read_text()
        assert old in text, f"{path} has no {old!r}"
        self.write(path, text.replace(old, new))

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(self.root), *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--no-gpg-sign", "-m", message)
        return self.git("rev-parse", "HEAD")

    def clips(self) -> Path:
        return self.clips_in(self.root / "clips")

    @staticmethod
    def clips_in(folder: Path) -> Path:
        folder.mkdir(exist_ok=True)
        for name in ("one", "two"):
            make_clip(folder / f"{name}.mp4", frames=12)
        return folder

    def reelbench(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """``reelbench …`` with the code of this checkout, in its top folder. No traceback may be printed."""
        environment = {**os.environ, "PYTHONPATH": str(self.root / "src"), "COLUMNS": "120", **variables}
        environment.setdefault("REELBENCH_MODEL_STORE", str(self.root / "model_store"))
        done = subprocess.run(
            [sys.executable, "-P", "-m", "reelbench", *arguments],
            cwd=self.root, env=environment, capture_output=True, text=True, timeout=280, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        return done
