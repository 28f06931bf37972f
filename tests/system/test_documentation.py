"""What the documentation says is so: commands compose, every command has help and a page, every shipped configuration can be built."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from reelbench.cli import cli
from reelbench.config import compose, instantiate
from reelbench.report.analyzers_doc import analyzers_page
from reelbench.results import json_schema
from reelbench.system.records import SystemRecord

from .conftest import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
VARIANTS = sorted(
    p.relative_to(ROOT / "conf" / "tuning").with_suffix("").parts for p in ROOT.glob("conf/tuning/*/*.yaml")
)
HEAVY = (
    "cv2",
    "av",
    "openvino",
    "onnxruntime",
    "nncf",
    "torch",
    "mlflow",
    "pyarrow",
    "PIL",
    "pandas",
    "faster_coco_eval",
)


def blocks(page: Path) -> list[str]:
    """The lines of a page's shell blocks."""
    found = re.findall(r"```(?:bash|sh|console)\n(.*?)```", page.read_text(), re.S)
    return [line.strip().removeprefix("$ ") for block in found for line in block.splitlines()]


@pytest.mark.parametrize(("analyzer", "variant"), VARIANTS)
def test_every_shipped_variant_composes_and_instantiates(analyzer: str, variant: str) -> None:
    config = compose([f"analyzer={analyzer}", f"variant={variant}"])
    built = instantiate(config.analyzer.constructor)
    verdict = built.available()
    assert verdict.ok or (verdict.reason and verdict.mend)
    assert isinstance(built.weights, tuple) and built.step >= 1
    assert instantiate(config.quality).primary
    for name in (config.analyzer.reference, config.analyzer.fallback):
        assert compose([f"analyzer={analyzer}", f"variant={name}"]).variant == name


@pytest.mark.parametrize("corpus", [path.stem for path in sorted((ROOT / "conf" / "corpus").glob("*.yaml"))])
def test_every_shipped_corpus_composes_and_instantiates(corpus: str, tmp_path: Path) -> None:
    more = [f"corpus.path={tmp_path}"] if corpus == "folder" else []
    assert instantiate(compose([f"corpus={corpus}", *more]).corpus).name == corpus


def test_every_run_command_in_the_documentation_composes() -> None:
    commands = [
        shlex.split(line.split("#")[0])[2:]
        for page in PAGES
        for line in blocks(page)
        if line.startswith("python run.py")
    ]
    assert commands
    for arguments in commands:
        overrides = [word for word in arguments if "=" in word and "…" not in word]
        names = [word for word in overrides if word.startswith("variant=")]
        rest = [word for word in overrides if word not in names]
        for name in names[0].removeprefix("variant=").split(",") if names else ["optimized"]:
            assert compose([*rest, f"variant={name}"]).variant == name


def test_every_command_has_help_and_is_in_the_documentation() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    for name, command in cli.commands.items():
        assert command.get_short_help_str(), name
        subcommands = command.commands if isinstance(command, click.Group) else {}
        for sub, inner in subcommands.items():
            assert inner.help, f"{name} {sub}"
            assert re.search(rf"reelbench {name} (\S+\|)*{sub}", text), f"no page shows: reelbench {name} {sub}"
        assert f"reelbench {name}" in text


def test_run_py_is_the_command_line_too() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "run.py"), "system", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "Run every analyzer" in done.stdout


def test_the_table_of_analyzers_is_that_of_the_configurations_and_the_committed_run() -> None:
    record = SystemRecord.model_validate_json((ROOT / "reports" / "system.json").read_bytes())
    expected = analyzers_page(record, ROOT / "docs")
    assert (ROOT / "docs" / "analyzers.md").read_text() == expected, "run: python scripts/analyzers_doc.py"


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_exported_schema_is_that_of_the_code() -> None:
    assert json.loads((ROOT / "docs" / "result.schema.json").read_text()) == json.loads(json.dumps(json_schema()))


@pytest.mark.parametrize("program", ["from reelbench.cli import main; main", "from reelbench.main import main; main"])
def test_help_imports_nothing_heavy(program: str) -> None:
    code = f"import sys\ntry:\n {program}(['--help'])\nexcept SystemExit: pass\nprint('loaded:', *sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    text, _, loaded = done.stdout.rpartition("loaded:")
    assert len(text) > 300
    assert not set(HEAVY) & set(loaded.split())


def test_a_wheel_installed_elsewhere_works_from_an_empty_folder(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    code = "import reelbench; print(reelbench.__file__); from reelbench.cli import main; main(['run', '--cfg', 'job'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=empty,
        env={"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(site) in done.stdout.splitlines()[0]
    assert "reelbench.analyzers.object_detection.ObjectDetection" in done.stdout
    packed = {path.relative_to(site).as_posix() for path in (site / "reelbench").rglob("*")}
    assert {"reelbench/conf/synthetic/photographs.yaml", "reelbench/py.typed"} <= packed
    assert any(name.startswith("reelbench/report/templates/") for name in packed)
