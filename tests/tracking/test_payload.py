"""What MLflow is told: names that it takes, no passwords, no figure that was not measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelbench.bench.run_folder import RunFolder
from reelbench.errors import InputError
from reelbench.tracking.naming import NAME_LENGTH, PARAM_LENGTH, flatten, safe_keys
from reelbench.tracking.payload import read_payload
from support.runs import make_quality, make_run


@given(st.lists(st.text(min_size=1), unique=True, max_size=8))
def test_every_clip_has_a_name_of_its_own_that_mlflow_takes(clips: list[str]):
    keys = safe_keys(clips)
    assert list(keys) == clips and len(set(keys.values())) == len(clips)
    assert all(re.fullmatch(r"[A-Za-z0-9_. -]+", key) and len(key) <= NAME_LENGTH for key in keys.values())


def test_the_configuration_becomes_flat_bounded_parameters():
    tree = {
        "a": {"b": {"c": 2}, "empty": {}},
        "list": [1, "x"],
        "none": None,
        "on": True,
        "text": "2",
        "long": "y" * 9000,
    }
    flat = flatten(tree)
    assert len(flat.pop("long")) == PARAM_LENGTH
    assert flat == {"a.b.c": "2", "a.empty": "{}", "list": '[1, "x"]', "none": "null", "on": "true", "text": "2"}


def test_figures_of_a_run(tmp_path: Path):
    record = make_run(
        tmp_path / "r", clips=("a b", "ä", "ö"), failed_clips={"x": "it crashed"}, quality=make_quality(("a b", "ä"))
    )
    folder = RunFolder.open(tmp_path / "r")
    text = (tmp_path / "r/run.json").read_text()
    (tmp_path / "r/run.json").write_text(text.replace('"summary": {', '"summary": {"vram_peak_bytes": NaN,'))
    with pytest.raises(InputError):
        read_payload(tmp_path)
    metrics = read_payload(tmp_path / "r").metrics
    assert metrics["infer_s_p95"] == record.summary["infer_s_p95"]
    assert "vram_peak_bytes" not in metrics
    assert metrics["quality.map50"] == metrics["clip.a b.quality.map50"] == 0.71
    assert metrics["agreement.f1"] == 0.92
    timed = sorted(row["total_s"] for row in folder.samples if row["clip"] == "a b" and row["kind"] == "timed")
    assert metrics["clip.a b.total_s_median"] == timed[1]
    assert len([name for name in metrics if name.endswith(".x_realtime")]) == 3
    assert not [name for name in metrics if name.startswith("clip.x.")]


def test_a_run_that_fell_back_is_named_after_what_it_really_is(tmp_path: Path):
    make_run(tmp_path / "r", variant="trt", effective="baseline", invalid="the evidence says CPU")
    payload = read_payload(tmp_path / "r")
    assert "trt" not in payload.name
    assert (payload.tags["requested"], payload.tags["effective"]) == ("trt", "baseline")
    assert payload.tags["invalid"] == "the evidence says CPU"
    assert "GPU" in payload.tags["fallback_reason"]
    assert payload.tags["evidence.device"] == "CPU"


def test_a_run_that_was_cut_off_early_is_read_and_a_damaged_one_refused(tmp_path: Path):
    make_run(tmp_path / "r", status="interrupted")
    for name in ("config.yaml", "environment.json", "samples.parquet", "frames.parquet"):
        (tmp_path / "r" / name).unlink()
    payload = read_payload(tmp_path / "r")
    assert payload.params == {"requested": "baseline", "effective": "baseline"} and payload.status == "KILLED"
    for name, text in (
        ("config.yaml", "a: [1"),
        ("config.yaml", "- 1"),
        ("environment.json", "{"),
        ("samples.parquet", "PAR"),
    ):
        (tmp_path / "r" / name).write_text(text)
        with pytest.raises(InputError, match=name.split(".")[0]):
            read_payload(tmp_path / "r")
        (tmp_path / "r" / name).unlink()
