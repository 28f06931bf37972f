"""The clean-up that the original system did by hand, done by command: python scripts/disk_demo.py --out
reports/disk_demo.md

A disk of 238 GB that is 93 % full, with the hub cache that the original had: Video-LLaVA, BLIP2 and Tarsier at 14 GB
each and 27 GB more that nobody uses; CLIP on the lists of a disabled and of an enabled analyzer; Qwen2-VL, Whisper and
SegFormer in use. Where a file system may be mounted it is a real ext4 in a sparse image, and the blocks of the files
are really taken; elsewhere the files are sparse, and sizes are those that the files claim.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

GB = 10**9
UNUSED = {
    "LanguageBind/Video-LLaVA-7B": 14.0, "Salesforce/blip2-opt-6.7b": 14.0, "omni-research/Tarsier-7b": 14.0,
    "Salesforce/instructblip-vicuna-7b": 15.0, "google/siglip-so400m-patch14-384": 3.5, "facebook/sam-vit-huge": 2.5,
    "microsoft/Phi-3.5-vision-instruct": 6.0,
}  # fmt: skip
IN_USE = {
    "openai/clip-vit-large-patch14": 1.7, "Qwen/Qwen2-VL-7B-Instruct": 16.6, "Systran/faster-whisper-large-v3": 3.1,
    "nvidia/segformer-b5-finetuned-ade-640-640": 0.4,
}  # fmt: skip
ANALYZERS = {
    "video_llava_captions": (False, "LanguageBind/Video-LLaVA-7B"),
    "blip2_captions": (False, "Salesforce/blip2-opt-6.7b"),
    "tarsier_captions": (False, "omni-research/Tarsier-7b"),
    "clip_scene_tags": (False, "openai/clip-vit-large-patch14"),
    "content_quality": (True, "openai/clip-vit-large-patch14"),
    "qwen2_vl_temporal": (True, "Qwen/Qwen2-VL-7B-Instruct"),
    "speech_transcription": (True, "Systran/faster-whisper-large-v3"),
    "background_segmentation": (True, "nvidia/segformer-b5-finetuned-ade-640-640"),
}
DISK, FULL = 238 * GB, 0.93

Run = Callable[[list[str], Mapping[str, str]], str]


@dataclass
class Demo:
    """Everything lies below ``base``. ``real``: the files' blocks are taken, as those of downloaded files would be."""

    base: Path
    real: bool
    run: Run
    shown: list[tuple[str, str]] = field(default_factory=list)
    state: list[tuple[str, int, int]] = field(default_factory=list)

    @property
    def hub(self) -> Path:
        return self.base / "huggingface" / "hub"

    def environment(self) -> dict[str, str]:
        empty = dict.fromkeys(
            ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TORCH_HOME", "EASYOCR_MODULE_PATH", "MODULE_PATH"), ""
        )
        folders = {
            "HF_HOME": "huggingface",
            "REELBENCH_MODEL_STORE": "store",
            "XDG_CACHE_HOME": "cache",
            "HOME": "home",
        }
        return {**empty, **{name: str(self.base / folder) for name, folder in folders.items()}}

    def build(self) -> None:
        """The disk as it was before."""
        for folder in ("store", "home", "cache", "original/conf/analyzer"):
            (self.base / folder).mkdir(parents=True)
        for name, (enabled, weights) in ANALYZERS.items():
            text = (
                f"# As the original had it.\nname: {name}\nenabled: {str(enabled).lower()}\nweights: [hf://{weights}]\n"
            )
            (self.base / "original" / "conf" / "analyzer" / f"{name}.yaml").write_text(text)
        for name, size in (UNUSED | IN_USE).items():
            repository(self.hub, name, round(size * GB), self.real)
        if self.real:
            usage = shutil.disk_usage(self.base)
            os.posix_fallocate(
                _created(self.base / "everything-else"), 0, round(FULL * usage.total) - (usage.total - usage.free)
            )
        then = time.time() - 30 * 86_400
        for path in self.hub.rglob("*"):
            os.utime(path, (then, then), follow_symlinks=False)

    def reelbench(self, *words: str) -> str:
        said = self.run(list(words), self.environment())
        here = {f"{self.base}/": "", str(Path(__file__).resolve().parents[1]): "reelbench"}
        command, shown = shlex.join(["reelbench", *words]), said
        for path, name in here.items():
            command, shown = command.replace(path, name), shown.replace(path, name)
        self.shown.append((command, shown))
        return said

    def note(self, when: str) -> None:
        usage = shutil.disk_usage(self.base)
        self.state.append((when, usage.total - usage.free, usage.total))

    def carry_out(self) -> None:
        """Plan, apply, undo, apply again for good. Raises AssertionError where something in use was touched, or undo is
        not exact."""
        before, needed = tree(self.hub), {name: tree(folder(self.hub, name)) for name in IN_USE}
        plan = self.base / "plan.json"
        self.note("before")
        self.reelbench("workspace", "add", str(self.base / "original"))
        self.reelbench("models", "why", "hf:openai/clip-vit-large-patch14")
        self.reelbench("models", "prune", "--plan", str(plan))
        self.reelbench("models", "prune", "--apply", str(plan))
        self.note("pruned, in the trash")
        in_trash = {name for name in UNUSED if not list((folder(self.hub, name) / "snapshots").iterdir())}
        assert in_trash == set(UNUSED), in_trash
        assert needed == {name: tree(folder(self.hub, name)) for name in IN_USE}, "something in use was touched"
        self.reelbench("models", "undo")
        assert tree(self.hub) == before, "undo is not exact"
        self.note("after undo")
        again = self.base / "again.json"
        self.reelbench("models", "prune", "--plan", str(again))
        self.reelbench("models", "prune", "--apply", str(again), "--now")
        self.note("pruned for good")
        assert needed == {name: tree(folder(self.hub, name)) for name in IN_USE}, "something in use was touched"
        self.reelbench("models", "audit", "llava", "blip2")
        sizes = {item["title"]: item["logical_bytes"] for item in json.loads(plan.read_text())["items"]}
        assert sum(sizes.values()) >= 69 * GB


def folder(hub: Path, name: str) -> Path:
    return hub / f"models--{name.replace('/', '--')}"


def repository(hub: Path, name: str, size: int, real: bool) -> None:
    """A repository in the layout of huggingface_hub: a large file, a small one, a revision, and the branch that points
    to it."""
    top, commit = folder(hub, name), hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
    for part in ("blobs", "refs", f"snapshots/{commit}"):
        (top / part).mkdir(parents=True)
    (top / "refs" / "main").write_text(commit)
    for file, length in (("model.safetensors", size - 1000), ("config.json", 1000)):
        blob = hashlib.sha256(f"{name}/{file}".encode()).hexdigest()
        handle = _created(top / "blobs" / blob)
        os.write(handle, f"{name} {file}".encode())
        if real and length > 1000:
            os.posix_fallocate(handle, 0, length)
        os.ftruncate(handle, length)
        os.close(handle)
        (top / "snapshots" / commit / file).symlink_to(f"../../blobs/{blob}")


def tree(top: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Every file and link: which inode it is, its size, its time, and its first bytes or where it leads. Not the trash
    and the locks."""
    found = {}
    for path in sorted(top.rglob("*")):
        relative = path.relative_to(top)
        if relative.parts[0] in (".reelbench-trash", ".locks") or (path.is_dir() and not path.is_symlink()):
            continue
        status = path.lstat()
        content = os.fsencode(path.readlink()) if path.is_symlink() else _head(path)
        found[str(relative)] = (status.st_ino, status.st_size, status.st_mtime_ns, content)
    return found


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(200)


def _created(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)


def by_command(words: list[str], environment: Mapping[str, str]) -> str:
    command = [sys.executable, "-m", "reelbench", *words]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


@contextmanager
def place(scratch: Path) -> Iterator[tuple[Path, bool]]:
    """A folder, and whether it is a file system of its own whose blocks may all be taken."""
    image, mounted = scratch / "disk.img", scratch / "disk"
    mounted.mkdir()
    with image.open("wb") as stream:
        stream.truncate(DISK)
    commands = [["mkfs.ext4", "-q", "-F", "-m", "0", str(image)], ["mount", "-o", "loop", str(image), str(mounted)]]
    try:
        real = all(subprocess.run(command, capture_output=True, check=False).returncode == 0 for command in commands)
    except FileNotFoundError:
        real = False
    try:
        yield mounted, real
    finally:
        if real:
            subprocess.run(["umount", "--lazy", str(mounted)], check=True)


def page(demo: Demo) -> str:
    """The report."""
    kind = (
        "a real ext4 in a sparse image; the blocks of the files are taken"
        if demo.real
        else "sparse files; df shows nothing"
    )
    lines = ["# The original's clean-up, by command", "", f"`python scripts/disk_demo.py` on {kind}.", ""]
    lines += ["| | used GB | of the disk |", "| --- | ---: | ---: |"]
    lines += [f"| {when} | {used / GB:.1f} | {100 * used / total:.0f} % |" for when, used, total in demo.state]
    files = len(tree(demo.hub))
    lines += [
        "",
        "Checked by the script: the files, links and refs of what is in use are the same inodes with the same bytes after each",
    ]
    lines += [f"step ({files} are left at the end), and after `undo` the whole cache is as it was before."]
    for command, said in demo.shown:
        lines += ["", "```console", f"$ {command}", *said.rstrip().splitlines(), "```"]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("reports/disk_demo.md"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reelbench-demo-") as scratch, place(Path(scratch)) as (base, real):
        demo = Demo(base, real, by_command)
        demo.build()
        demo.carry_out()
        asked.out.write_text(page(demo))
    print(f"wrote {asked.out}")


if __name__ == "__main__":
    main()
