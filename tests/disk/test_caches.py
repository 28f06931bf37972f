"""Each cache in its real layout, with what does not belong there."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from reelbench.comparison.folder import ComparisonFolder
from reelbench.disk.caches import base, docker, readers
from reelbench.disk.inventory import freed, take
from reelbench.disk.records import Item
from reelbench.load.folder import LoadFolder
from reelbench.system.ab.folder import SystemComparisonFolder
from support.disks import MOVING, Disk, Revision, blob_name, commit_of, solid
from support.hub_server import running_hub

from .test_inventory import by_id, catalog_with


def items(disk: Disk, cache: str) -> dict[str, Item]:
    """The items of a cache by id, without the cache's name and its own housekeeping."""
    found = take(disk.registered, [cache])
    assert found.problems == ()
    return {item.id.removeprefix(f"{cache}:"): item for item in by_id(found).values() if item.kind != "housekeeping"}


def test_a_hub_revision_has_the_names_that_configurations_use(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base.Surroundings, "catalog", catalog_with("f/known.bin", size=99))
    main, other = commit_of("main"), commit_of("other")
    disk.repository("org/net", [
        Revision({"known.bin": ("f/known.bin", 99)}, refs=("main", "v1"), commit=main),
        Revision({"a.bin": ("a", 10)}, refs=(), commit=other),
    ])  # fmt: skip
    disk.repository("org/by-hash", [Revision({"a.bin": ("a", 10)}, refs=(), commit=other)])
    disk.repository("org/rows", [Revision({"a.csv": ("a", 10)}, commit=other)], kind="dataset")
    found = items(disk, "hub")
    assert found[f"models--org--net@{main}"].names == (
        f"hf:org/net@{main}", "hf:org/net@main", "hf:org/net@v1", "hf:org/net", "weights:f/known.bin",
    )  # fmt: skip
    assert found[f"models--org--net@{other}"].names == (f"hf:org/net@{other}",)
    assert found[f"models--org--by-hash@{other}"].names == (f"hf:org/by-hash@{other}", "hf:org/by-hash")
    assert "hf:datasets/org/rows" in found[f"datasets--org--rows@{other}"].names


def test_parts_of_a_revision_go_before_what_they_refer_to(disk: Disk) -> None:
    commit = commit_of("main")
    folder = disk.repository("org/net", [Revision({"a.bin": ("a", 10)}, refs=("main", "refs/pr/1"), commit=commit)])
    solid(folder / ".no_exist" / commit / "tokenizer.json", 0)
    parts = [
        (part.path.removeprefix("models--org--net/"), part.kind)
        for part in items(disk, "hub")[f"models--org--net@{commit}"].parts
    ]
    assert parts == [
        ("refs/main", "file"), ("refs/refs/pr/1", "file"), (f".no_exist/{commit}", "folder"), (f"snapshots/{commit}", "folder"),
        (f"blobs/{blob_name('a', 10)}", "file"),
    ]  # fmt: skip


def test_what_is_astray_in_the_hub_cache_is_shown(disk: Disk) -> None:
    commit, gone = commit_of("main"), commit_of("gone")
    folder = disk.repository("org/net", [Revision({"a.bin": ("a", 10), "b.bin": ("b", 10)}, commit=commit)])
    (folder / "blobs" / blob_name("b", 10)).unlink()
    snapshot = folder / "snapshots" / commit
    (snapshot / "outside").symlink_to("/etc/hostname")
    (snapshot / "loop").symlink_to("loop")
    (snapshot / "neighbour").symlink_to("../../../models--org--two/blobs/x")
    solid(folder / "blobs" / ("c" * 64))
    solid(folder / "refs" / "old", 1).write_text(gone)
    solid(folder / ".no_exist" / gone / "x", 0)
    solid(folder / "README", 1)
    solid(disk.hub / "stray.bin")
    disk.repository("org/two", [])
    (disk.hub / "models--org--two").mkdir()
    (disk.hub / "models--org--two" / "snapshots").symlink_to(folder / "snapshots")
    found = items(disk, "hub")
    assert found[f"models--org--net@{commit}"].note == "4 of its links lead to no blob of this repository"
    kinds = {name: item.kind for name, item in found.items() if "@" not in name}
    assert kinds == {
        f"models--org--net/blobs/{'c' * 64}": "orphan",
        "models--org--net/refs/old": "orphan",
        f"models--org--net/.no_exist/{gone}": "orphan",
        "models--org--net/README": "unknown",
        "models--org--two/snapshots": "unknown",
        "stray.bin": "unknown",
    }
    assert found["models--org--two/snapshots"].parts[0].kind == "link"


def test_a_download_in_flight_is_busy_and_an_abandoned_one_is_not(disk: Disk) -> None:
    etag = "d" * 64
    blobs = disk.repository("org/net", [Revision({"a.bin": ("a", 10)})]) / "blobs"
    solid(blobs / f"{etag}.1a2b3c4d.incomplete")
    solid(blobs / f"{'e' * 64}.incomplete")
    lock = solid(disk.hub / ".locks" / "models--org--net" / f"{etag}.lock", 0)
    with lock.open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        found = items(disk, "hub")
    path = "models--org--net/blobs"
    assert found[f"{path}/{etag}.1a2b3c4d.incomplete"].busy == "it is being downloaded"
    assert found[f"{path}/{'e' * 64}.incomplete"].busy == ""
    assert {found[name].kind for name in found if name.endswith(".incomplete")} == {"download"}
    assert [item.busy for item in found.values() if item.kind == "weights"] == [
        "a download of this repository is under way"
    ]
    assert [item.busy for item in items(disk, "hub").values()] == ["", "", ""]


WAYS_TO_MOVE_THE_HUB = (
    {}, {"HF_HOME": "/a/hf"}, {"HF_HUB_CACHE": "~/hub"}, {"HUGGINGFACE_HUB_CACHE": "/a/old"}, {"XDG_CACHE_HOME": "/a/xdg"},
    {"HF_HOME": "$HOME/h", "XDG_CACHE_HOME": "/a/xdg"}, {"HF_HUB_CACHE": "/a/new", "HUGGINGFACE_HUB_CACHE": "/a/old"},
)  # fmt: skip
ASK_THE_HUB = """
import importlib, json, os, sys
import huggingface_hub.constants as constants
for moved in json.loads(sys.argv[1]):
    os.environ.update(moved)
    print(importlib.reload(constants).HF_HUB_CACHE)
    for name in moved: del os.environ[name]
"""


def test_the_hub_cache_is_where_huggingface_hub_has_it(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*MOVING, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    command = [sys.executable, "-c", ASK_THE_HUB, json.dumps(WAYS_TO_MOVE_THE_HUB)]
    asked = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found = []
    for moved in WAYS_TO_MOVE_THE_HUB:
        with monkeypatch.context() as setting:
            for name, value in moved.items():
                setting.setenv(name, value)
            (place,) = readers()["hub"].places(base.Surroundings(disk.registered))
            found.append(str(place.path))
    assert found == asked


def test_a_cache_that_the_real_huggingface_hub_wrote(disk: Disk) -> None:
    from huggingface_hub import scan_cache_dir, snapshot_download

    shared = {"tokenizer.json": b"t" * 9000, "sub/vocab.bin": b"v" * 700_000}
    with running_hub() as hub:
        repository = hub.repository("org/net")
        first = repository.commit({**shared, "model.safetensors": b"1" * 500_000})
        second = repository.commit({**shared, "model.safetensors": b"2" * 600_000})
        for revision in (first, "main"):
            snapshot_download("org/net", revision=revision, cache_dir=disk.hub, endpoint=hub.address)
    theirs = scan_cache_dir(disk.hub)
    ours = {name: item for name, item in items(disk, "hub").items() if item.kind == "weights"}
    (repo,) = theirs.repos
    assert {name.partition("@")[2]: item.logical_bytes for name, item in ours.items()} == {
        revision.commit_hash: revision.size_on_disk for revision in repo.revisions
    }
    assert {item.kind for item in items(disk, "hub").values()} == {"weights"}
    assert ours[f"models--org--net@{first}"].names == (f"hf:org/net@{first}",)
    assert ours[f"models--org--net@{second}"].names == (f"hf:org/net@{second}", "hf:org/net@main", "hf:org/net")
    found = take(disk.registered, ["hub"])
    going = freed([by_id(found)[f"hub:models--org--net@{first}"]], found)
    assert 500_000 <= going < 600_000, "what both revisions have stays"


def test_the_store_tells_artifacts_from_downloads_and_from_what_it_does_not_know(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base.Surroundings, "catalog", catalog_with("net/a.bin", "net/b.bin", "net/c.bin"))
    disk.artifact("net/a.bin")
    disk.artifact("net/b.bin", 17)
    (disk.store / "net" / "c.bin").symlink_to("/etc/hostname")
    solid(disk.store / "net" / ".a.bin.tmp")
    solid(disk.store / "net" / "mine.bin")
    solid(disk.store / "old" / "x" / "y.bin")
    solid(disk.store / ".partial" / "f" / "1234.part")
    solid(disk.store / ".quarantine" / "bad.bin")
    solid(disk.store / ".hashes.json", 2)
    found = items(disk, "store")
    assert {name: item.kind for name, item in found.items()} == {
        "net/a.bin": "weights", "net/b.bin": "weights", "net/c.bin": "weights", "net/.a.bin.tmp": "download", "net/mine.bin": "unknown",
        "old": "unknown", ".partial/f": "download", ".quarantine/bad.bin": "orphan",
    }  # fmt: skip
    assert (found["net/a.bin"].names, found["net/a.bin"].note) == (("weights:net/a.bin",), "")
    assert found["net/b.bin"].note == "damaged: 17 bytes instead of 4096"
    assert "a link" in found["net/c.bin"].note
    assert found["old"].class_ == "irreplaceable"


def test_derived_folders_can_be_made_again(disk: Disk) -> None:
    disk.derived("openvino-net-int8-0123")
    found = items(disk, "derived")["openvino-net-int8-0123"]
    assert (found.class_, found.names, found.logical_bytes) == (
        "regenerable",
        ("derived:openvino-net-int8-0123",),
        12288,
    )


def test_torch_hub_keeps_what_its_name_does_not_identify(disk: Disk) -> None:
    hub = disk.base / "cache" / "torch" / "hub"
    for name in ("resnet50-0676ba61.pth", "weights.pth", "weights.pth.0123abcd.partial"):
        solid(hub / "checkpoints" / name)
    solid(hub / "pytorch_vision_main" / "hubconf.py")
    solid(hub / "trusted_list", 1)
    found = items(disk, "torch_hub")
    assert {name: (item.kind, item.class_) for name, item in found.items()} == {
        "checkpoints/resnet50-0676ba61.pth": ("weights", "refetchable"),
        "checkpoints/weights.pth": ("weights", "irreplaceable"),
        "checkpoints/weights.pth.0123abcd.partial": ("download", "refetchable"),
        "pytorch_vision_main": ("package", "refetchable"),
    }
    assert found["checkpoints/weights.pth"].names == ("torch_hub:weights.pth",)


def test_easyocr_keeps_networks_of_the_users_own(disk: Disk) -> None:
    base_ = disk.base / "home" / ".EasyOCR"
    for name in ("model/english_g2.pth", "model/mine.pth", "model/temp.zip", "user_network/mine.yaml", "odd"):
        solid(base_ / name)
    found = items(disk, "easyocr")
    assert {name: (item.kind, item.class_) for name, item in found.items()} == {
        "model/english_g2.pth": ("weights", "refetchable"),
        "model/mine.pth": ("weights", "irreplaceable"),
        "model/temp.zip": ("download", "refetchable"),
        "user_network/mine.yaml": ("weights", "irreplaceable"),
        "odd": ("unknown", "irreplaceable"),
    }
    assert found["model/english_g2.pth"].names == ("easyocr:english_g2.pth",)


def test_ultralytics_weights_folder_and_strays_in_workspaces(disk: Disk) -> None:
    weights = disk.base / "ultra weights"
    settings = disk.base / "config" / "Ultralytics" / "settings.json"
    solid(settings, 1).write_text(json.dumps({"weights_dir": str(weights)}))
    for path in (
        weights / "yolo11n.pt",
        weights / "notes.txt",
        disk.workspace / "yolov8s-seg.pt",
        disk.workspace / "app" / "best.pt",
    ):
        solid(path)
    for path in ("runs/detect/best.pt", ".venv/yolo11n.pt", "app/deep/yolo11n.pt", "other.bin"):
        solid(disk.workspace / path)
    found = items(disk, "ultralytics")
    assert {name: (item.kind, item.class_) for name, item in found.items()} == {
        f"{weights}/yolo11n.pt": ("weights", "refetchable"),
        f"{weights}/notes.txt": ("unknown", "irreplaceable"),
        f"{disk.workspace}/yolov8s-seg.pt": ("weights", "refetchable"),
        f"{disk.workspace}/app/best.pt": ("weights", "irreplaceable"),
    }
    assert found[f"{weights}/yolo11n.pt"].names == ("ultralytics:yolo11n.pt",)


def test_runs_are_never_taken_for_granted(disk: Disk) -> None:
    disk.run("20260101-a")
    running = disk.run("20260102-b", status="running")
    disk.run("20260102-c", status="running")
    disk.run("system/20260103-c", record="system.json")
    for folder in (ComparisonFolder, SystemComparisonFolder, LoadFolder):
        disk.run(f"{folder.HOME}/20260104-d", record=folder.FILE)
    solid(disk.runs / "reference" / "0123456789abcdef" / "clip.json")
    solid(disk.runs / "notes" / "x.txt")
    with solid(running / ".lock", 0).open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        found = {item.title: item for item in items(disk, "runs").values()}
    assert {title: (item.kind, item.class_, item.busy) for title, item in found.items()} == {
        "20260101-a": ("run", "irreplaceable", ""),
        "20260102-b": ("run", "irreplaceable", "it is running"),
        "20260102-c": ("run", "irreplaceable", ""),
        "system/20260103-c": ("run", "irreplaceable", ""),
        "comparisons/20260104-d": ("run", "irreplaceable", ""),
        "system_comparisons/20260104-d": ("run", "irreplaceable", ""),
        "load/20260104-d": ("run", "irreplaceable", ""),
        "reference/0123456789abcdef": ("run", "regenerable", ""),
        "notes": ("unknown", "irreplaceable", ""),
    }
    assert found["20260101-a"].names == ("run:20260101-a",)
    assert [found[name].note for name in ("20260102-b", "20260102-c")] == ["running", "interrupted"]


def test_mlflow_says_which_runs_it_deleted_and_which_folders_it_does_not_know(disk: Disk) -> None:
    live, deleted, lost = ("1" * 32, "2" * 32, "3" * 32)
    for run in (live, deleted, lost):
        solid(disk.workspace / "mlartifacts" / "1" / run / "artifacts" / "page.html")
    with closing(sqlite3.connect(disk.workspace / "mlflow.db")) as database, database:
        database.execute("CREATE TABLE runs (run_uuid TEXT, lifecycle_stage TEXT)")
        database.executemany("INSERT INTO runs VALUES (?, ?)", [(live, "active"), (deleted, "deleted")])
    found = {item.title: item for item in items(disk, "mlflow").values()}
    assert {title: (item.kind, item.note) for title, item in found.items()} == {
        f"mlartifacts/1/{live}": ("artifact", ""),
        f"mlartifacts/1/{deleted}": ("artifact", "deleted in MLflow"),
        f"mlartifacts/1/{lost}": ("orphan", "no run of MLflow's database leads here"),
        "mlflow.db": ("artifact", "MLflow's database"),
    }
    (disk.workspace / "mlflow.db").write_bytes(b"no database")
    assert {item.kind for item in items(disk, "mlflow").values()} == {"artifact"}


def test_logs_are_told_from_other_files(disk: Disk) -> None:
    names = ("a.log", "a.log.1", "a.log.2026-01-01.gz", "sub/worker.out", "data.bin")
    for name in names:
        solid(disk.workspace / "logs" / name)
    kinds = {item.title: item.kind for item in items(disk, "logs").values()}
    assert kinds == {**dict.fromkeys(names[:-1], "log"), "data.bin": "unknown"}


def test_pip_and_the_rest_of_the_hugging_face_home(disk: Disk) -> None:
    cache = disk.base / "cache"
    for name in (
        "pip/http-v2/a/b/c",
        "pip/wheels/x.whl",
        "pip/odd",
        "huggingface/xet/chunk",
        "huggingface/token",
        "huggingface/odd/x",
    ):
        solid(cache / name)
    two = {**items(disk, "pip"), **items(disk, "hf_home")}
    kinds = {name: (item.kind, item.class_) for name, item in two.items()}
    assert kinds == {
        "http-v2": ("package", "refetchable"), "wheels": ("package", "regenerable"), "xet": ("package", "refetchable"),
        "odd": ("unknown", "irreplaceable"),
    }  # fmt: skip


FAKE_DOCKER = """#!/bin/sh
[ "$*" = "system df --format json" ] || exit 2
echo '{"Active":"1","Reclaimable":"1.5GB (75%)","Size":"2GB","TotalCount":"4","Type":"Images"}'
echo '{"Active":"0","Reclaimable":"512.4MB","Size":"512.4MB","TotalCount":"9","Type":"Build Cache"}'
"""


def test_docker_is_asked_where_a_daemon_answers(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    program = disk.base / "bin" / "docker"
    program.write_text(FAKE_DOCKER)
    program.chmod(0o755)
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    found = items(disk, "docker")
    assert {name: (item.bytes, item.parts, bool(item.busy)) for name, item in found.items()} == {
        "Images": (500_000_000, (), True), "Images, unused": (1_500_000_000, (), False),
        "Build Cache": (0, (), True), "Build Cache, unused": (512_400_000, (), False),
    }  # fmt: skip
    program.write_text("#!/bin/sh\nexit 1\n")
    assert items(disk, "docker") == {}


@pytest.mark.parametrize(
    ("text", "size"), [("0B", 0), ("12.3kB", 12_300), ("1.2GB (30%)", 1_200_000_000), ("2GiB", 2 << 30)]
)
def test_sizes_of_docker(text: str, size: int) -> None:
    assert docker.parse_size(text) == size


def test_hostile_names_survive_in_items(disk: Disk) -> None:
    name = os.fsdecode(b"models--org--\xff\nnet")
    solid(Path(f"{disk.hub}/{name}/blobs/{'a' * 64}"))
    (found,) = items(disk, "hub").values()
    assert os.fsencode(found.parts[0].path).startswith(b"models--org--\xff\nnet/blobs/")
