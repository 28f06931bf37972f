"""An edited row of the database and an edited folder are seen: by `track verify` with both values, by the history alone."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from click.testing import CliRunner

from reelbench.bench.run_folder import RunFolder
from reelbench.cli.track import command
from reelbench.errors import EXIT_FAILED, EXIT_OK, EXIT_UNAVAILABLE
from reelbench.report.history import history_page
from reelbench.tracking.folders import log_folder
from reelbench.tracking.history import read_history
from reelbench.tracking.verify import Answer, verify
from support.runs import make_run
from support.tracked import tracked_comparison


def sealed(folder: Path, **options: str) -> Path:
    """A finished run as a measurement leaves it, with its manifest."""
    make_run(folder, **options)  # type: ignore[arg-type]
    RunFolder.open(folder).save()
    return folder


def answers(runs: Path, uri: str) -> dict[str, Answer]:
    return {Path(one.folder).name: one for one in verify(runs, uri)}


def rows(uri: str, statement: str, *values: object) -> None:
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as database:
        assert database.execute(statement, values).rowcount > 0


def test_an_edited_metric_is_seen(tmp_path: Path, uri: str) -> None:
    name = "edited"
    mlflow_run = log_folder(sealed(tmp_path / name), uri, name)
    assert answers(tmp_path, uri)[name].status == "agrees"
    [point] = [one for one in read_history(uri).points if one.run_id == name]
    assert not point.invalid
    rows(uri, "UPDATE latest_metrics SET value = value * 10 WHERE run_uuid = ? AND key = 'x_realtime'", mlflow_run)
    found = answers(tmp_path, uri)[name]
    value = RunFolder.open(tmp_path / name).record.summary["x_realtime"]
    assert found.status == "differs"
    assert f"x_realtime is {10 * value:.6g} in MLflow, and {value:.6g} in the folder" == found.text
    history = read_history(uri)
    [point] = [one for one in history.points if one.run_id == name]
    assert "were changed after they were sent" in point.invalid
    assert "were changed after they were sent" in history_page(history)


def test_an_edited_tag_and_an_edited_manifest_are_seen(tmp_path: Path, uri: str) -> None:
    for name, key in (("tag", "corpus"), ("manifest", "reelbench.manifest")):
        mlflow_run = log_folder(sealed(tmp_path / f"other-{name}"), uri, "tags")
        rows(uri, "UPDATE tags SET value = 'other' WHERE run_uuid = ? AND key = ?", mlflow_run, key)
    found = answers(tmp_path, uri)
    assert found["other-tag"].text == "tag corpus is 'other' in MLflow, and 'demo' in the folder"
    assert found["other-manifest"].status == "differs" and "manifest" in found["other-manifest"].text


def test_a_folder_that_was_measured_again_or_forged_with_its_manifest_is_seen(tmp_path: Path, uri: str) -> None:
    """A result that no figure rests on, with the manifest written again: only the database knows."""
    folder = sealed(tmp_path / "forged")
    log_folder(folder, uri, "forged")
    result = next((folder / "results").glob("*.json"))
    result.write_text(json.dumps({**json.loads(result.read_text()), "frames_sampled": 7}))
    refused = answers(tmp_path, uri)["forged"]
    assert refused.status == "refused" and f"results/{result.name} was changed after it was finished" in refused.text
    (folder / "manifest.json").unlink()
    RunFolder.open(folder).save()
    found = answers(tmp_path, uri)["forged"]
    assert found.status == "differs" and "the manifest's sha256 is" in found.text


def test_the_arms_of_a_comparison_are_asked_for_too(tmp_path: Path, uri: str) -> None:
    folder = tracked_comparison(tmp_path / "comparisons", "asked", calibrated=False)
    log_folder(folder, uri, "asked")
    arm = RunFolder.open(folder / "b").record.mlflow_run_id
    assert {one.status for one in answers(tmp_path, uri).values()} == {"agrees"}
    rows(uri, "UPDATE latest_metrics SET value = 1e6 WHERE run_uuid = ? AND key = 'frames_per_s'", arm)
    found = answers(tmp_path, uri)
    assert found["asked"].status == found["a"].status == "agrees"
    assert found["b"].status == "differs" and found["b"].text.startswith("frames_per_s is 1e+06 in MLflow")


def test_the_command_says_what_differs_and_ends_with_its_code(tmp_path: Path, uri: str, closed_port: str) -> None:
    mlflow_run = log_folder(sealed(tmp_path / "said"), uri, "said")
    make_run(tmp_path / "never-sent")
    words = ["verify", "--runs-dir", str(tmp_path), "--uri", uri]
    done = CliRunner().invoke(command, words, standalone_mode=False)
    assert done.return_value == EXIT_OK and "1 agrees" in done.output and "1 not sent" in done.output
    rows(uri, "UPDATE latest_metrics SET value = 0.001 WHERE run_uuid = ? AND key = 'cold_start_s'", mlflow_run)
    done = CliRunner().invoke(command, [*words, "--json"], standalone_mode=False)
    assert done.return_value == EXIT_FAILED
    assert {one["status"] for one in json.loads(done.output)} == {"differs", "not sent"}
    done = CliRunner().invoke(
        command, ["verify", "--runs-dir", str(tmp_path), "--uri", closed_port], standalone_mode=False
    )
    assert done.return_value == EXIT_UNAVAILABLE
