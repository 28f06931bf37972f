"""``reelbench gate`` on changes that edit what judges them: the commit's is used, and the change's is listed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from reelbench.bench.environment import environment
from support.comparisons import make_calibration
from support.repositories import Repository

SPINNING = "src/reelbench/analyzers/spinning.py"
SLOWER = ("PAUSE_S = 0.06", "PAUSE_S = 0.6")
WORDS = ("gate", "bare", "--against", "base", "corpus.path=films", "tracking.uri=off")
TRUTH = json.dumps({"frames": [], "spans": []})


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Tagged 'base', with a corpus, its truth and this machine's calibration committed."""
    made = Repository(tmp_path_factory.mktemp("judging") / "checkout")
    made.clips_in(made.root / "films")
    fingerprint = environment()["fingerprint"]
    known = make_calibration().model_copy(update={"fingerprint": fingerprint})
    made.write(f"calibration/{fingerprint}.json", known.model_dump_json())
    made.commit("A corpus and a calibration")
    made.git("tag", "base")
    return made


@pytest.fixture
def checkout(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("REELBENCH_CALIBRATION", str(repository.root / "calibration"))
    repository.git("checkout", "-q", "--force", "--detach", "base")
    repository.git("clean", "-fdq")
    return repository


def gate(checkout: Repository, *more: str) -> tuple[int, dict[str, Any], subprocess.CompletedProcess[str]]:
    done = checkout.reelbench(*WORDS, *more, "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done


def listed(record: dict[str, Any]) -> dict[str, str]:
    return {file["path"]: f"{file['kind']}, {file['change']}" for file in record["judging"]["files"]}


def test_a_change_that_edits_everything_that_judges_it_is_judged_by_the_commit(
    checkout: Repository, tmp_path: Path
) -> None:
    calibration = next((checkout.root / "calibration").glob("*.json"))
    checkout.replace(SPINNING, *SLOWER)
    checkout.replace("src/reelbench/bench/one_pass.py", "total_s = ended - started", "total_s = 1e-3")
    checkout.replace("src/reelbench/comparison/gate/judge.py", '"failed" if effect.low', '"passed" if effect.low')
    checkout.replace("conf/gate/bare.yaml", "largest_slow_down: 3.0", "largest_slow_down: 9.0")
    checkout.write("conf/measure/small.yaml", (checkout.root / "conf/measure/small.yaml").read_text() + "# looser\n")
    checkout.replace(
        "src/reelbench/quality/detection.py", "class DetectionQuality", "X = 1\n\n\nclass DetectionQuality"
    )
    checkout.replace("conf/analyzer/spinning.yaml", "detection.DetectionQuality", "ages.AgeQuality")
    checkout.write("films/one.truth.json", "no truth at all")
    (checkout.root / "films" / "two.mp4").unlink()
    found = json.loads(calibration.read_text())
    calibration.write_text(json.dumps({**found, "floor": 9.0}))
    outputs = [tmp_path / name for name in ("gate.md", "gate.xml", "gate.html")]
    flags = [
        word
        for flag, file in zip(("--markdown", "--junit", "--html"), outputs, strict=True)
        for word in (flag, str(file))
    ]

    code, record, done = gate(checkout, *flags)
    assert (code, record["status"]) == (1, "failed"), done.stderr
    (check,) = record["checks"]
    speed = next(answer for answer in check["answers"] if answer["question"] == "speed")
    assert speed["status"] == "failed" and speed["limit"] == 3.0
    assert record["calibration"]["floor"] == 0.012 and record["judging"]["by"] == "commit"
    comparison = json.loads((checkout.root / check["comparison"] / "comparison.json").read_text())
    assert {pair["clip"] for pair in comparison["pairs"]} == {"one.mp4", "two.mp4"}
    expected = {
        "src/reelbench/bench/one_pass.py": "measuring code, changed",
        "src/reelbench/comparison/gate/judge.py": "judging code, changed",
        "conf/gate/bare.yaml": "gate policy, changed",
        "conf/measure/small.yaml": "measuring settings, changed",
        "src/reelbench/quality/detection.py": "metric code, changed",
        "conf/analyzer/spinning.yaml": "metric settings, changed",
        "films/one.truth.json": "ground truth, added",
        "films/two.mp4": "clip of the corpus, removed",
        f"calibration/{calibration.name}": "calibration, changed",
    }
    assert listed(record) == expected
    assert "9 files of the change take part in judging" in record["sentence"]
    markdown, junit, page = (file.read_text() for file in outputs)
    for path in expected:
        assert path in page and path in junit and path.replace("_", "\\_") in markdown
    suites = ElementTree.fromstring(junit.encode())
    assert suites.find("testsuite[@name='judging']/testcase/skipped") is not None


def test_a_policy_that_says_fail_fails_a_change_of_what_judges_and_no_other(checkout: Repository) -> None:
    checkout.write(
        "conf/gate/bare.yaml", (checkout.root / "conf/gate/bare.yaml").read_text() + "on_changed_judge: fail\n"
    )
    checkout.commit("Strict")
    checkout.git("tag", "-f", "strict")
    words = [word if word != "base" else "strict" for word in WORDS]
    checkout.write("README.md", "of no importance\n")
    assert checkout.reelbench(*words).returncode == 0
    checkout.write("films/one.truth.json", "no truth at all")
    done = checkout.reelbench(*words)
    assert done.returncode == 1 and "FAILED" in done.stdout, done.stderr
    assert "ground truth: films/one.truth.json (added)" in done.stdout and "speed: passed" in done.stdout


def test_a_commit_that_cannot_judge_is_judged_against_and_that_is_said(checkout: Repository) -> None:
    checkout.replace("src/reelbench/comparison/gate/judging.py", "\nJUDGE = ", "\n_JUDGE = ")
    checkout.commit("Before a commit could judge")
    checkout.git("tag", "-f", "old")
    checkout.git("checkout", "-q", "--detach", "base")
    done = checkout.reelbench(*[word if word != "base" else "old" for word in WORDS])
    assert done.returncode == 0, done.stderr
    assert "The change judged itself: the commit's code is from before" in " ".join(done.stdout.split()), done.stdout


def test_measuring_code_that_the_analyzers_need_cannot_come_with_them(checkout: Repository) -> None:
    checkout.write("src/reelbench/bench/novel.py", "NEW = 1\n")
    checkout.replace(SPINNING, "import time", "import time\n\nfrom reelbench.bench.novel import NEW")
    code, record, done = gate(checkout)
    assert code == 4, done.stderr
    assert "novel" in record["checks"][0]["text"] and listed(record) == {
        "src/reelbench/bench/novel.py": "measuring code, added"
    }


def test_a_variant_of_the_change_cannot_set_its_limits(checkout: Repository) -> None:
    checkout.write(
        "conf/tuning/spinning/plain.yaml", "# @package _global_\nanalyzer: {}\nmedia: {limits: {max_frames: 1}}\n"
    )
    done = checkout.reelbench(*WORDS)
    assert done.returncode == 2 and "a variant may not set 'media.limits'" in done.stderr, done.stderr


def test_the_judge_can_be_started_from_a_checkout_of_the_commit(checkout: Repository, tmp_path: Path) -> None:
    change = tmp_path / "change"
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{checkout.root}", str(change)], check=True)
    (change / SPINNING).write_text((change / SPINNING).read_text().replace(*SLOWER))
    (change / "src/reelbench/cli/gate.py").write_text("raise SystemExit(0)\n")
    words = ("gate", "bare", "--change", str(change), f"corpus.path={change / 'films'}", "tracking.uri=off")
    done = checkout.reelbench(*words)
    assert done.returncode == 1, done.stderr
    assert "judging code: src/reelbench/cli/gate.py (changed)" in done.stdout

    checkout.replace(SPINNING, *SLOWER)
    done = checkout.reelbench(*words)
    assert done.returncode == 2 and "was edited: src/reelbench/analyzers/spinning.py" in done.stderr
    done = checkout.reelbench("gate", "bare", "--change", str(checkout.root))
    assert done.returncode == 2 and "cannot judge itself" in done.stderr


def test_a_shallow_change_without_the_commit_is_one_line(checkout: Repository, tmp_path: Path) -> None:
    checkout.git("checkout", "-q", "-B", "later")
    checkout.write("README.md", "later\n")
    checkout.commit("Later")
    change = tmp_path / "shallow"
    source = f"file://{checkout.root}"
    subprocess.run(["git", "clone", "-q", "--depth", "1", "-b", "later", source, str(change)], check=True)
    checkout.git("checkout", "-q", "--detach", "base")
    done = checkout.reelbench("gate", "bare", "--change", str(change), "corpus.path=films", "tracking.uri=off")
    assert done.returncode == 2 and "git fetch --unshallow" in done.stderr
