"""The clean-up that the original system did by hand, done by command: python scripts/disk_demo.py --out
reports/disk_demo.md

A disk of 238 GB that is 93 % full, with the hub cache that the original had: Video-LLaVA, BLIP2 and Tarsier at 14 GB
each and 27 GB more that nobody uses; CLIP on the lists of a disabled and of an enabled analyzer; Qwen2-VL, Whisper and
SegFormer in use. Where a file system may be mounted it is a real ext4 in a sparse image, and the blocks of the files
are really taken; elsewhere the files are sparse, and sizes are those that the files claim.

It is done in two layouts: 'plain', where each repository has its own blobs, and 'shared', where huggingface_hub's own
functions have put the large files into the shared store. There, two more repositories that nobody uses have the same
payload as another: a copy of Tarsier, and one of CLIP, whose payload has to stay. Between prune and undo,
huggingface_hub's own 'hf cache prune' runs.
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
from collections.abc import Callable, Iterable, Iterator, Mapping
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
COPIES = {
    "omni-research/Tarsier-7b-copy": "omni-research/Tarsier-7b",
    "laion/clip-copy": "openai/clip-vit-large-patch14",
}
"""In the shared layout, nobody uses these; each has the payload of the other repository that is named."""
LAYOUTS = ("plain", "shared")
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
    """Everything lies below ``base``. ``real``: the files' blocks are taken, as those of downloaded files would be.
    ``layout`` is one of `LAYOUTS`."""

    base: Path
    real: bool
    run: Run
    layout: str = "plain"
    shown: list[tuple[str, str]] = field(default_factory=list)
    state: list[tuple[str, int, int]] = field(default_factory=list)

    @property
    def hub(self) -> Path:
        return self.base / "huggingface" / "hub"

    @property
    def unused(self) -> set[str]:
        return set(UNUSED) | (set(COPIES) if self.layout == "shared" else set())

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
        if self.layout == "shared":
            for name in UNUSED | IN_USE:
                share(self.hub, name, name)
            for name, original in COPIES.items():
                repository(self.hub, name, round((UNUSED | IN_USE)[original] * GB), real=False)
                share(self.hub, name, original)
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

    def hub_prune(self) -> None:
        """The prune of huggingface_hub itself."""
        words = ["cache", "prune", "--yes", "--cache-dir", str(self.hub)]
        code = "from huggingface_hub.cli.hf import main; main()"
        own = os.environ | self.environment() | {"HF_HUB_DISABLE_UPDATE_CHECK": "1"}
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True, env=own)
        self.shown.append((shlex.join(["hf", *words[:-1], "huggingface/hub"]), done.stdout.strip()))

    def needed(self) -> dict[str, object]:
        """All that is in use: the repositories, and the payloads of the shared store that their blobs lead to."""
        found: dict[str, object] = {}
        for name in IN_USE:
            top = folder(self.hub, name)
            found[name] = tree(top)
            for blob in (top / "blobs").iterdir():
                payload = blob.resolve(strict=True)
                found[f"{name} {blob.name}"] = payload.stat().st_ino, payload.stat().st_size, _head(payload)
        return found

    def note(self, when: str) -> None:
        usage = shutil.disk_usage(self.base)
        self.state.append((when, usage.total - usage.free, usage.total))

    def carry_out(self) -> None:
        """Plan, apply, undo, apply again for good. Raises AssertionError where something in use was touched, or undo is
        not exact."""
        before, needed = tree(self.hub), self.needed()
        plan = self.base / "plan.json"
        self.note("before")
        self.reelbench("workspace", "add", str(self.base / "original"))
        self.reelbench("models", "why", "hf:openai/clip-vit-large-patch14")
        self.reelbench("models", "prune", "--plan", str(plan))
        self.reelbench("models", "prune", "--apply", str(plan))
        self.note("pruned, in the trash")
        in_trash = {name for name in self.unused if not list((folder(self.hub, name) / "snapshots").iterdir())}
        assert in_trash == self.unused, in_trash
        assert needed == self.needed(), "something in use was touched"
        if self.layout == "shared":
            self.hub_prune()
        self.reelbench("models", "undo")
        assert tree(self.hub) == before, "undo is not exact"
        self.note("after undo")
        again = self.base / "again.json"
        self.reelbench("models", "prune", "--plan", str(again))
        self.reelbench("models", "prune", "--apply", str(again), "--now")
        self.note("pruned for good")
        assert needed == self.needed(), "something in use was touched"
        left = [path for path in (self.hub / "blobs").glob("??/*") if not path.suffix]
        assert len(left) == (len(IN_USE) if self.layout == "shared" else 0), "payloads are left that nobody links to"
        self.reelbench("models", "audit", "llava", "blip2")
        items = json.loads(plan.read_text())["items"]
        assert sum(item["logical_bytes"] for item in items if not is_copy(item["title"])) >= 69 * GB


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


def share(hub: Path, name: str, original: str) -> None:
    """Put a repository's large file into the shared store, as huggingface_hub does after it has fetched it: the first
    repository brings the payload, and others come to link to it."""
    from huggingface_hub.utils import _shared_blobs

    (blob,) = (path for path in (folder(hub, name) / "blobs").iterdir() if path.stat().st_size > 1000)
    size, xet = blob.stat().st_size, hashlib.sha256(original.encode()).hexdigest()
    done = _shared_blobs.publish_blob_to_shared_store(
        blob_path=str(blob), xet_hash=xet, cache_dir=hub, expected_size=size
    )
    assert done and blob.is_symlink() and blob.stat().st_size == size


def is_copy(title: str) -> bool:
    return any(title.startswith(f"{name}@") for name in COPIES)


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


def page(demos: Iterable[Demo], command: str) -> str:
    """The report: the figures of each layout, and what was said in the last."""
    demos = tuple(demos)
    kind = (
        "a real ext4 in a sparse image; the blocks of the files are taken"
        if demos[0].real
        else "sparse files; df shows nothing"
    )
    lines = ["# The original's clean-up, by command", "", f"`{command}` on {kind}.", ""]
    lines += ["| layout of the hub cache | | used GB | of the disk |", "| --- | --- | ---: | ---: |"]
    for demo in demos:
        lines += [
            f"| {demo.layout} | {when} | {used / GB:.1f} | {100 * used / total:.0f} % |"
            for when, used, total in demo.state
        ]
    lines += [
        "",
        "'plain': each repository has its own blobs. 'shared': the large files lie in the shared store of huggingface_hub 2,",
        "put there by its own functions; two more repositories that nobody uses share a payload with another, and",
        "`hf cache prune` runs between prune and undo.",
        "",
        "Checked by the script: the files, links, refs and payloads of what is in use are the same inodes with the same bytes",
        "after each step, and after `undo` the whole cache is as it was before. At the end the shared store has the payloads of",
        f"what is in use, and no others. What follows is the output in the layout '{demos[-1].layout}'.",
    ]
    for command, said in demos[-1].shown:
        lines += ["", "```console", f"$ {command}", *said.rstrip().splitlines(), "```"]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("reports/disk_demo.md"))
    parser.add_argument("--layout", choices=LAYOUTS, action="append", help="the default is both, one after the other")
    asked = parser.parse_args()
    demos: list[Demo] = []
    for layout in asked.layout or LAYOUTS:
        with tempfile.TemporaryDirectory(prefix="reelbench-demo-") as scratch, place(Path(scratch)) as (base, real):
            demo = Demo(base, real, by_command, layout)
            demo.build()
            demo.carry_out()
            demos.append(demo)
    asked.out.write_text(page(demos, shlex.join(["python", "scripts/disk_demo.py", *sys.argv[1:]])))
    print(f"wrote {asked.out}")


if __name__ == "__main__":
    main()
