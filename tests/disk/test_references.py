"""Who needs what: the named cases in which a network that is used was nearly deleted, and what must stop everything."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reelbench import paths
from reelbench.cli import cli
from reelbench.disk.records import Item, Root
from reelbench.disk.references import References, resolve
from reelbench.disk.registry import FILE, Registry
from reelbench.errors import UnresolvedRoot
from reelbench.report.dependencies_doc import dependencies_page
from support.disks import Disk, Revision

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CLIP = "openai/clip-vit-base-patch32"
CONFIG = (
    'defaults: [_self_, {analyzer: null}, {optional variant: plain}, {optional tuning: "${analyzer}/${variant}"}]\n'
)
"""A project's own primary configuration; without one, the shipped configuration completes the project's."""


def workspace(folder: Path, **files: str) -> Path:
    """A folder with ``conf/<group>/<name>.yaml`` for each ``group__name``, and a primary configuration."""
    files = {"config": CONFIG, "variant__plain": "", **files}
    for name, text in files.items():
        target = folder / "conf" / f"{name.replace('__', '/')}.yaml"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return folder


def registry(store: Path, *folders: Path) -> Registry:
    found = Registry.load(store, with_shipped=False)
    for folder in folders:
        found = found.add_workspace(folder)
    return found


def item(*names: str, class_: str = "refetchable") -> Item:
    return Item("x:y", Root("hub", Path("/"), 1, 1), "x", "weights", class_, (), names)  # type: ignore[arg-type]


def chains(references: References, *names: str) -> list[str]:
    return [" > ".join(reason.chain[1:]) for reason in references.reasons(item(*names))]


def hub(name: str, *refs: str) -> tuple[str, ...]:
    """As the inventory names a revision."""
    bare = [f"hf:{name}"] if "main" in refs else []
    return (f"hf:{name}@{COMMIT}", *(f"hf:{name}@{ref}" for ref in refs), *bare)


def test_clip_is_kept_by_the_analyzer_that_is_enabled_though_a_disabled_one_names_it_too(tmp_path: Path) -> None:
    folder = workspace(
        tmp_path / "original",
        analyzer__streaming=f"enabled: false\nweights: [hf://{CLIP}]\n",
        analyzer__blip2="enabled: false\nweights: [hf://Salesforce/blip2-opt-6.7b]\n",
        analyzer__visual=f"weights: [hf://{CLIP}@main]\n",
    )
    (folder / "conf" / "config.yaml").unlink()  # the shipped configuration completes it
    found = resolve(registry(tmp_path, folder))
    assert chains(found, *hub(CLIP, "main")) == [
        f"analyzer visual (enabled) > hf:{CLIP}@main",
        f"analyzer visual (enabled) > hf:{CLIP}",
    ]
    said = [" > ".join(reason.chain[1:]) for reason in found.mentioned(item(*hub(CLIP, "main")))]
    assert f"analyzer streaming (disabled) > hf:{CLIP}" in said
    blip2 = item(*hub("Salesforce/blip2-opt-6.7b", "main"))
    assert found.reasons(blip2) == () and found.mentioned(blip2)


def test_main_a_tag_and_a_commit_are_told_apart(tmp_path: Path) -> None:
    folder = workspace(
        tmp_path / "one",
        analyzer__a="weights: [hf://org/main@main, hf://org/bare, hf://org/tag@v1.0, 'hf://org/file@main/a/b.bin']\n",
        analyzer__b=f"weights: hf://org/pinned@{COMMIT}\n",
    )
    found = resolve(registry(tmp_path, folder))
    needed = [
        hub("org/main", "main"), hub("org/bare", "main"), hub("org/tag", "v1.0"), hub("org/file", "main"), hub("org/pinned"),
    ]  # fmt: skip
    assert all(found.reasons(item(*names)) for names in needed)
    other = f"hf:org/pinned@{COMMIT[::-1]}"
    assert not found.reasons(item(other, "hf:org/pinned@main", "hf:org/pinned"))
    assert not found.reasons(item(*hub("org/tag", "v2.0")))


def test_names_without_a_scheme_keep_what_has_that_name(tmp_path: Path) -> None:
    folder = workspace(
        tmp_path / "one",
        analyzer__a=f"model: {{clip: {CLIP}, boxes: weights/yolo11n.pt}}\nwords: [a b/c, text/plain]\n",
    )
    found = resolve(registry(tmp_path, folder))
    kept = [hub(CLIP, "main"), ("ultralytics:yolo11n.pt",), (f"path:{folder}/weights/yolo11n.pt",)]
    assert all(found.reasons(item(*names)) for names in kept)
    assert not found.reasons(item("ultralytics:yolo11s.pt"))


def test_variants_add_what_they_name_and_other_files_of_the_configuration_count(tmp_path: Path) -> None:
    folder = workspace(
        tmp_path / "one",
        analyzer__a="name: a\n",
        tuning__a__plain="# @package _global_\nanalyzer: {net: torch_hub://checkpoints/plain.pth}\n",
        tuning__a__fast="# @package _global_\nanalyzer: {net: easyocr://fast.pth}\n",
        model__big="model: hf://org/big\n",
        model__off="enabled: false\nmodel: hf://org/off\n",
        model__several="a: hf://org/several\n---\nb: !mine {c: 'hf://org/tagged'}\n",
    )
    (folder / "conf" / "tuning" / "a").rename(tmp_path / "elsewhere")
    (folder / "conf" / "tuning" / "a").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(folder / "conf")
    found = resolve(registry(tmp_path, folder))
    assert chains(found, "torch_hub:plain.pth") == ["analyzer a, variant plain (enabled) > torch_hub:plain.pth"]
    assert chains(found, "easyocr:fast.pth") == ["analyzer a, variant fast (enabled) > easyocr:fast.pth"]
    assert chains(found, "hf:org/big") == ["configuration model/big.yaml (enabled) > hf:org/big"]
    assert chains(found, "hf:org/several") and chains(found, "hf:org/tagged")
    assert not chains(found, "hf:org/off")


def test_an_analyzer_that_is_switched_off_is_needed_by_one_that_takes_its_results(tmp_path: Path) -> None:
    folder = workspace(
        tmp_path / "one",
        analyzer__boxes="enabled: false\nnet: hf://org/boxes\n",
        tuning__boxes__fast="# @package _global_\n{}\n",
        analyzer__story="upstream: {boxes: fast}\n",
    )
    found = resolve(registry(tmp_path, folder))
    assert chains(found, "hf:org/boxes") == [
        "analyzer story (enabled) > takes the results of analyzer boxes, variant fast > hf:org/boxes"
    ]
    (folder / "conf" / "tuning" / "boxes" / "fast.yaml").unlink()
    with pytest.raises(UnresolvedRoot, match="boxes/fast"):
        resolve(registry(tmp_path, folder))


@pytest.mark.parametrize(
    "broken",
    [
        "defaults: [/analyzer/absent]\n",
        "net: ${nowhere}\n",
        "net: ???\n",
        "net: [\n",
        "enabled: maybe\n",
        "_target_: no.such.module.Class\n",
        "_target_: reelbench.analyzers.cut_analysis.CutAnalysis\nno_such_argument: 1\n",
    ],
)
def test_a_configuration_that_cannot_be_resolved_stops_everything_by_its_name(tmp_path: Path, broken: str) -> None:
    folder = workspace(tmp_path / "one", analyzer__good="net: hf://org/good\n", analyzer__bad=broken)
    with pytest.raises(UnresolvedRoot, match="analyzer bad") as caught:
        resolve(registry(tmp_path, folder))
    assert str(folder) in caught.value.message and caught.value.exit_code == 2


def test_weights_that_the_catalog_does_not_have_stop_everything(tmp_path: Path) -> None:
    own = "title: Mine\nlicence: MIT\nclass: refetchable\nartifacts:\n  mine/net.bin:\n    bytes: 3\n"
    own += f"    sha256: {'a' * 64}\n    sources: [{{https: 'https://example.org/net.bin'}}]\n"
    named = "_target_: support.disks_analyzers.Asks\nweights: [mine/net.bin]\n"
    folder = workspace(tmp_path / "one", analyzer__a=named, weights__mine=own)
    assert chains(resolve(registry(tmp_path, folder)), "weights:mine/net.bin")
    (folder / "conf" / "weights" / "mine.yaml").write_text(own.replace("net.bin:", "other.bin:"))
    with pytest.raises(UnresolvedRoot, match=r"mine/net\.bin"):
        resolve(registry(tmp_path, folder))
    (folder / "conf" / "weights" / "mine.yaml").write_text("title: [")
    with pytest.raises(UnresolvedRoot, match="catalog"):
        resolve(registry(tmp_path, folder))


def test_classes_beside_a_configuration_are_found_and_not_mistaken_for_those_of_another(tmp_path: Path) -> None:
    folders = []
    for name in ("minilm/tokenizer.json", "fonts/AmaticSC-Bold.ttf"):
        folder = workspace(tmp_path / name.partition("/")[0], analyzer__a="_target_: mine.Net\n")
        (folder / "mine.py").write_text(f"class Net:\n    weights = ({name!r},)\n")
        folders.append(folder)
    found = resolve(registry(tmp_path, *folders))
    assert [reason.chain[0] for reason in found.names["weights:minilm/tokenizer.json"]] == [f"workspace {folders[0]}"]
    assert [reason.chain[0] for reason in found.names["weights:fonts/AmaticSC-Bold.ttf"]] == [f"workspace {folders[1]}"]


def test_a_workspace_by_its_text_alone_needs_none_of_its_classes(tmp_path: Path) -> None:
    folder = workspace(tmp_path / "one", analyzer__a="_target_: far.away.Net\nnet: hf://org/net\n")
    found = Registry.load(tmp_path, with_shipped=False).add_workspace(folder, text_only=True)
    assert chains(resolve(found), "hf:org/net")


def test_a_workspace_that_is_not_mounted_or_on_another_disk_stops_everything(tmp_path: Path) -> None:
    folder = workspace(tmp_path / "one", analyzer__a="net: hf://org/net\n")
    found = registry(tmp_path, folder)
    raw = json.loads((tmp_path / FILE).read_text())
    raw["workspaces"][0]["device"] += 1
    (tmp_path / FILE).write_text(json.dumps(raw))
    with pytest.raises(UnresolvedRoot, match="another disk"):
        resolve(Registry.load(tmp_path, with_shipped=False))
    shutil.rmtree(folder)
    with pytest.raises(UnresolvedRoot, match="cannot be read"):
        resolve(found)
    (folder / "conf").mkdir(parents=True)
    with pytest.raises(UnresolvedRoot, match="no configuration"):
        resolve(found)
    (folder / "conf").rmdir()  # a mount point with nothing mounted
    with pytest.raises(UnresolvedRoot, match="cannot be read"):
        resolve(found)


def test_no_roots_at_all_stop_everything(tmp_path: Path) -> None:
    with pytest.raises(UnresolvedRoot, match="no configuration at all"):
        resolve(registry(tmp_path))
    folder = workspace(tmp_path / "one", analyzer__a="enabled: false\nnet: hf://org/net\n")
    with pytest.raises(UnresolvedRoot, match="no configuration at all"):
        resolve(registry(tmp_path, folder))


def test_pins_and_what_cannot_be_had_again_are_kept(tmp_path: Path) -> None:
    folder = workspace(tmp_path / "one", analyzer__a="name: a\n")
    found = resolve(registry(tmp_path, folder).pin("hf://org/net@main", "for the demo"))
    reasons = found.reasons(item("hf:org/net"))
    assert [(reason.kind, reason.chain[0]) for reason in reasons] == [("pin", "pinned (for the demo)")]
    assert found.reasons(item(class_="irreplaceable")) and not found.reasons(item(class_="regenerable"))


def test_the_page_of_dependencies_is_that_of_the_configurations() -> None:
    page = Path(__file__).parents[2] / "docs" / "model-dependencies.md"
    assert page.read_text() == dependencies_page(), "run: python scripts/dependencies_doc.py"


@pytest.fixture
def command_line(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The program on a disk of its own, where the shipped configuration has one analyzer."""
    shipped = workspace(
        disk.base / "shipped", config="defaults: [_self_, analyzer: plain]\n", analyzer__plain="name: plain\n"
    )
    (shipped / "conf" / "weights").mkdir()
    monkeypatch.setattr(paths, "conf_dir", lambda: shipped / "conf")
    monkeypatch.chdir(disk.base)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, list(arguments))

    return run


def test_the_commands_answer_why_and_what_is_unused(disk: Disk, command_line: Callable[..., Result]) -> None:
    project = workspace(
        disk.base / "project",
        analyzer__visual=f"weights: [hf://{CLIP}]\n",
        analyzer__streaming=f"enabled: false\nweights: [hf://{CLIP}, hf://Salesforce/blip2-opt-6.7b]\n",
    )
    shared = disk.repository(CLIP, [Revision({"model.safetensors": ("clip", 5000)})])
    disk.repository("Salesforce/blip2-opt-6.7b", [Revision({"model.safetensors": ("blip2", 50_000)}, whole=True)])
    assert command_line("workspace", "add", str(project)).exit_code == 0
    (blob,) = (shared / "blobs").iterdir()
    for what in (f"hf:{CLIP}", f"hf://{CLIP}@main", str(shared), str(blob)):
        (answer,) = json.loads(command_line("models", "why", what, "--json").output)
        assert ["analyzer visual (enabled)", f"hf:{CLIP}"] in [reason["chain"][1:] for reason in answer["needed"]]
        assert ["analyzer streaming (disabled)", f"hf:{CLIP}"] in [chain[1:] for chain in answer["named_by_disabled"]]
    said = command_line("models", "why", f"hf:{CLIP}").output
    assert ": needed\n" in said and "analyzer visual (enabled)" in said and "analyzer streaming (disabled)" in said
    unused = json.loads(command_line("models", "unused", "--json").output)
    assert [item["names"][-1] for item in unused["items"]] == ["hf:Salesforce/blip2-opt-6.7b"]
    assert unused["bytes_freed"] >= 50_000
    assert f"hf:{CLIP}" in json.loads(command_line("models", "refs", "--json").output)["names"]

    command_line("models", "pin", "hf://Salesforce/blip2-opt-6.7b", "--why", "the demo")
    assert json.loads(command_line("models", "unused", "--json").output)["items"] == []
    assert "pinned (the demo)" in command_line("models", "why", "hf:Salesforce/blip2-opt-6.7b").output
    command_line("models", "unpin", "hf:Salesforce/blip2-opt-6.7b")
    command_line("workspace", "remove", str(project))
    assert len(json.loads(command_line("models", "unused", "--json").output)["items"]) == 2


def test_a_workspace_that_does_not_compose_is_not_added(disk: Disk, command_line: Callable[..., Result]) -> None:
    project = workspace(disk.base / "project", analyzer__bad="net: ${nowhere}\n")
    failed = command_line("workspace", "add", str(project))
    assert isinstance(failed.exception, UnresolvedRoot) and "analyzer bad" in str(failed.exception)
    assert Registry.load(disk.store).registered == ()
