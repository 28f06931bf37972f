"""An analyzer is handed what others found, in a run of its own too."""

from __future__ import annotations

from pathlib import Path

import pytest

from reelbench.bench.run_folder import RunFolder
from reelbench.bench.runner import measure
from reelbench.config import compose
from reelbench.errors import ConfigError, UnavailableError
from support.clips import make_clip
from support.run_configs import Told

CONF = Path(__file__).parents[1] / "conf"


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    make_clip(folder / "a.mp4", frames=20)
    return folder


def run(clips: Path, *settings: str) -> RunFolder:
    overrides = [
        f"hydra.searchpath=['file://{CONF}']", "analyzer=echo", "variant=plain", "corpus=folder", f"corpus.path={clips}",
        "measure=quick", "tracking.uri=off", f"runs_dir={clips.parent / 'runs'}", *settings,
    ]  # fmt: skip
    return measure(compose(overrides), overrides, "test", Told())


def test_it_is_handed_the_results_of_those_upstream(clips: Path) -> None:
    folder = run(clips)
    result = folder.read_results()["a.mp4"]
    cost = folder.record.upstream["brightness"]
    assert cost.clips == 1 and cost.seconds > 0 and cost.cpu_s > 0
    assert cost.text("brightness") in folder.record.notes
    assert run(clips).record.upstream["brightness"] == cost, "it is kept with the results"
    assert result.analyzer == "echo"
    assert [event.label for event in result.events] == ["brightness"] * 10
    kept = list((clips.parent / "runs" / "reference").rglob("*.json"))
    assert len(kept) == 1, "brightness ran once and its result was kept"


def test_what_it_needs_must_be_named(clips: Path) -> None:
    with pytest.raises(ConfigError, match="echo needs the results of colours") as raised:
        run(clips, "analyzer.needed=[colours]")
    assert "+analyzer.upstream.colours=" in raised.value.hint


def test_unavailable_upstream_makes_it_unavailable_unless_it_is_merely_welcome(clips: Path) -> None:
    with pytest.raises(UnavailableError, match="brightness, upstream, is unavailable here"):
        run(clips, "analyzer.upstream.brightness=exotic")
    merely = ("analyzer.upstream.brightness=exotic", "analyzer.needed=[]", "analyzer.welcome=[brightness]")
    assert run(clips, *merely).read_results()["a.mp4"].events == ()
