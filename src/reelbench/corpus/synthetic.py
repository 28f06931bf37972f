"""Clips rendered from scripts, with exact truth. What was rendered once is kept in the store's ``derived`` folder."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

from reelbench.corpus import speech
from reelbench.corpus.base import CorpusStore, Progress, digest
from reelbench.corpus.clip import Clip, read_truth
from reelbench.corpus.materials import library
from reelbench.corpus.scene import TRUTH_EVERY, Scene
from reelbench.corpus.script import Script, find_script, load_script, shipped_scripts
from reelbench.corpus.sound import SOUND_VERSION
from reelbench.errors import EXIT_INTERRUPTED, ConfigError, InputError
from reelbench.media.types import Image
from reelbench.paths import atomic_path, write_text
from reelbench.processes import die_with_parent

RENDERER_VERSION = 2
"""Raised whenever the same script would give other frames or another truth: kept clips are then rendered anew."""
EDIT_VERSION = 1
"""The same for clips that use a key of ``LATER_KEYS`` beyond the first two."""
LATER_KEYS: dict[str, object] = {
    "light": 1.0,
    "sound": None,
    "effects": [],
    "degrade": [],
    "structure": [],
    "states": [],
    "patches": [],
    "scene": None,
    "blinks": [],
    "call": None,
    "prosody": None,
    "key": None,
}
"""Keys that came later, wherever they stand in a script, with what they are where they say nothing."""
PEOPLE = {"faces", "people"}


@dataclass(frozen=True, slots=True)
class Job:
    """One script with the files that it needs; crosses to the process that renders it."""

    name: str
    script: Script
    pictures: dict[str, Path]
    fonts: dict[str, Path]

    @property
    def key(self) -> str:
        """Changes with everything that shows in the clip."""
        # Keys that came later are left out where they say nothing: older clips keep their place in the store.
        script = _without_silent(self.script.model_dump(mode="json", exclude={"title", "photographs"}))
        content = {
            "renderer": RENDERER_VERSION,
            "script": script,
            "photographs": {name: self._annotated(name) for name in self.pictures},
            "files": {name: digest(path) for name, path in sorted({**self.pictures, **self.fonts}.items())},
        }
        if self.script.sound is not None:
            content["sound"] = SOUND_VERSION
        if (set(LATER_KEYS) - {"light", "sound"}) & _keys(script):
            content["edit"] = EDIT_VERSION
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    def _annotated(self, name: str) -> dict[str, Any]:
        """What of a photograph's annotations shows in the clip or its truth."""
        left_out = {"file"}
        if not {"faces", "masks"} & set(self.script.states) and not any(shot.blinks for shot in self.script.shots):
            left_out |= PEOPLE
        photograph = self.script.photograph(name).model_dump(mode="json", exclude=left_out)
        if "products" not in self.script.states:
            for item in photograph["objects"]:
                del item["product"]
        return photograph


def _without_silent(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_silent(item) for item in value]
    if not isinstance(value, dict):
        return value
    silent = {key for key, default in LATER_KEYS.items() if key in value and value[key] == default}
    return {key: _without_silent(item) for key, item in value.items() if key not in silent}


def _keys(value: Any) -> set[str]:
    """All keys, at any depth."""
    if isinstance(value, dict):
        return set(value).union(*map(_keys, value.values()))
    return set().union(*map(_keys, value)) if isinstance(value, list) else set()


class SyntheticCorpus:
    """``scripts`` names shipped scripts or script files; None takes all shipped ones. A clip is named after its script."""

    def __init__(self, name: str, scripts: Sequence[str] | None = None) -> None:
        self.name = name
        self._scripts = scripts

    @property
    def scripts(self) -> tuple[Path, ...]:
        paths = tuple(find_script(script) for script in (shipped_scripts() if self._scripts is None else self._scripts))
        names = [path.stem for path in paths]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ConfigError(f"corpus {self.name}: two scripts are named {min(twice)}", "rename one of the files")
        return paths

    def artifacts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for path in self.scripts for name in load_script(path).artifacts()))

    def clips(self, store: CorpusStore, progress: Progress | None = None) -> list[Clip]:
        """Render what is not there yet, in up to two processes."""
        folder = store.derived("synthetic")
        jobs = [make_job(path, store) for path in self.scripts]
        targets = [folder / f"{job.name}-{job.key}.mp4" for job in jobs]
        missing = [(job, target) for job, target in zip(jobs, targets, strict=True) if not rendered(target)]
        if any(job.script.sound and job.script.sound.speech for job, _ in missing):
            speech.require()
        for done, name in enumerate(_render_all(missing)):
            if progress:
                progress(f"rendered {name}", done + 1, len(missing))
        return [
            Clip(job.name, target, self.name, digest(target), read_truth(truth_path(target)))
            for job, target in zip(jobs, targets, strict=True)
        ]


def make_job(script: Path, store: CorpusStore) -> Job:
    parsed = load_script(script)
    return Job(
        script.stem,
        parsed,
        {name: parsed.photograph(name).path(store) for name in parsed.pictured},
        {overlay.font: store.path(library().fonts[overlay.font]) for overlay in parsed.overlays},
    )


def make_scene(job: Job) -> Scene:
    """Read the pictures and lay out the texts. InputError: a picture that cannot be read, or is not of the size annotated."""
    pictures = {name: _read_picture(path, job.script.photograph(name).size) for name, path in job.pictures.items()}
    return Scene(job.script, pictures, job.fonts, job.name)


def render(job: Job, target: Path) -> None:
    """Write the clip and, last of all, its truth: a truth beside a clip says that the clip is whole."""
    scene = make_scene(job)
    with atomic_path(target) as temporary:
        encode(scene, (scene.frame(number) for number in range(scene.timeline.frames)), temporary)
    write_text(
        truth_path(target),
        scene.truth(TRUTH_EVERY).model_dump_json(exclude_none=True, exclude_defaults=False),
        exact=True,
    )


def encode(scene: Scene, frames: Iterator[Image], path: Path) -> None:
    """Encode frames of the scene's size and rate into ``path``."""
    from reelbench.corpus.encode import write_video

    sound = scene.sound.samples if scene.sound else None
    write_video(path, frames, scene.script.size, scene.script.fps, scene.script.crf, sound)


def truth_path(clip: Path) -> Path:
    return clip.with_suffix(".truth.json")


def rendered(clip: Path) -> bool:
    return clip.is_file() and truth_path(clip).is_file()


def _render_all(work: list[tuple[Job, Path]]) -> Iterator[str]:
    """Render, yielding the name of each clip as it is done."""
    processes = min(2, len(work), os.cpu_count() or 1)
    if processes < 2:
        for job, target in work:
            render(job, target)
            yield job.name
        return
    with ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(os.getpid(),)
    ) as pool:
        try:
            # The longest first: the last process to finish is then busy for the shortest time.
            ordered = sorted(work, key=lambda item: -item[0].script.seconds)
            futures = {pool.submit(_work, job, target): job.name for job, target in ordered}
            for future in as_completed(futures):
                future.result()
                yield futures[future]
        except BaseException as error:
            if not isinstance(error, Exception):  # Ctrl-C, or SIGTERM, which came to this process alone
                for child in active_children():
                    child.terminate()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


_stopped = False


def _start_worker(parent: int) -> None:
    """One thread a process; Ctrl-C and SIGTERM end what is being rendered by an exception, so that nothing half written stays."""
    import cv2

    def stop(*_: object) -> None:
        global _stopped
        _stopped = True
        sys.exit(EXIT_INTERRUPTED)

    cv2.setNumThreads(1)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    die_with_parent(parent)


def _work(job: Job, target: Path) -> None:
    """A clip that was already handed to an interrupted process is not begun."""
    if _stopped:
        sys.exit(EXIT_INTERRUPTED)
    render(job, target)


def _read_picture(path: Path, size: tuple[int, int]) -> Image:
    import cv2
    import numpy as np

    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if picture is None:
        raise InputError(f"{path}: not a picture that can be read", "use JPEG or PNG")
    if (picture.shape[1], picture.shape[0]) != size:
        found = f"{picture.shape[1]}×{picture.shape[0]}"
        raise InputError(f"{path}: {found} pixels, but annotated for {size[0]}×{size[1]}", "correct size and boxes")
    image: Image = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    return image
