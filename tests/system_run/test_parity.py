"""A network that computes something else here than in FP32 is refused, or its fallback runs and whoever reads it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from reelbench.bench.progress import Silent
from reelbench.engines.lowered import MEND
from reelbench.errors import UnavailableError
from reelbench.load.config import compose_load
from reelbench.load.run import run_load
from reelbench.report.system_terminal import print_system, reasons
from reelbench.system.ab.arms import read_arm
from reelbench.system.ab.run import carry_out_both
from reelbench.system.config import compose_system
from reelbench.system.runner import run_system
from support.clips import make_clip

CONF = Path(__file__).parents[1] / "conf"
WRONG, RIGHT = "system.variants.brightness=wrong_here", "system.variants.brightness=plain"
FALLBACK = "on_unavailable=fallback"


@pytest.fixture
def settings(tmp_path: Path) -> list[str]:
    (tmp_path / "clips").mkdir()
    make_clip(tmp_path / "clips" / "a.mp4", frames=12)
    return [
        f"hydra.searchpath=['file://{CONF}']", "corpus=folder", f"corpus.path={tmp_path / 'clips'}",
        f"runs_dir={tmp_path / 'runs'}", "tracking.uri=off", "system.analyzers=[brightness,echo]", "system.variant=plain",
    ]  # fmt: skip


def test_a_system_run_refuses_the_variant(settings: list[str]) -> None:
    found = run_system(compose_system([*settings, WRONG]), "test", Silent()).record
    assert found.analyzers["brightness"].unavailable.startswith("brightness.onnx in int8 (numpy ")
    assert "relative error 1 (at most 0.4)" in found.analyzers["brightness"].unavailable
    assert found.analyzers["brightness"].mend == MEND
    assert found.analyzers["echo"].status == "skipped", "it needs brightness"


def test_a_system_run_takes_the_fallback_and_says_so(settings: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    found = run_system(compose_system([*settings, WRONG, FALLBACK]), "test", Silent()).record
    item = found.analyzers["brightness"]
    assert (item.requested, item.variant, item.status) == ("wrong_here", "plain", "done")
    assert item.fallback in found.notes and item.fallback in reasons(found) and "in FP32" in item.fallback
    print_system(found)
    assert "wrong_here → plain" in " ".join(capsys.readouterr().out.split())


def test_a_load_run_takes_the_fallback_and_says_so(settings: list[str]) -> None:
    load = ["scenario=offline", "load.queries=1", "load.warmup=0"]
    found = run_load(compose_load([*settings, *load, WRONG, FALLBACK]), "test", Silent()).record
    assert found.figures.queries == 1 and "wrong_here was requested, plain ran" in "".join(found.notes)


def test_a_comparison_of_systems_never_judges_a_fallback(settings: list[str]) -> None:
    common = [*settings, "measure=system"]
    arms = read_arm("a", RIGHT, common), read_arm("b", WRONG, common)
    with pytest.raises(UnavailableError, match=r"arm b .* cannot run brightness here: brightness.onnx in int8"):
        carry_out_both(arms, "test", Silent(), most_pairs=2)
    arms = read_arm("a", RIGHT, [*common, FALLBACK]), read_arm("b", WRONG, [*common, FALLBACK])
    found = carry_out_both(arms, "test", Silent(), most_pairs=2).record
    assert (found.verdict, len(found.pairs)) == ("invalid", 1)
    assert "arm b" in found.sentence and "asked for wrong_here, ran plain" in found.sentence
