"""``reelbench gate`` on a small checkout of this project: real commits, real workers, planted changes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from reelbench.bench.manifest import unseal
from reelbench.cli import cli
from reelbench.errors import ReelBenchError
from support.repositories import Repository

SPINNING = "src/reelbench/analyzers/spinning.py"
QUICK = ("corpus.path=clips", "tracking.uri=off", "--uncalibrated")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Tagged 'fast'; then 'slow', where a frame takes many times as long; then 'old', whose code cannot judge; then 'mute', whose
    workers speak nothing, and 'foreign', whose workers speak another version of the messages, which cannot judge either."""
    made = Repository(tmp_path_factory.mktemp("gate") / "checkout")
    made.clips()
    made.git("tag", "fast")
    made.replace(SPINNING, "PAUSE_S = 0.06", "PAUSE_S = 0.6")
    made.commit("Many times the time")
    made.git("tag", "slow")
    made.git("checkout", "-q", "--detach", "fast")
    made.replace("src/reelbench/comparison/gate/judging.py", "\nJUDGE = ", "\n_JUDGE = ")
    made.commit("Before a commit could judge")
    made.git("tag", "old")
    made.replace("src/reelbench/bench/worker.py", 'if __name__ == "__main__":\n    main()\n', "")
    made.commit("No protocol")
    made.git("tag", "mute")
    made.replace("src/reelbench/bench/worker.py", "\nWIRE = ", "\nWIRE = 90")
    made.commit("Another protocol")
    made.git("tag", "foreign")
    return made


@pytest.fixture
def checkout(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """The same, checked out clean at 'fast'; worktrees and environments go to a folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("REELBENCH_CALIBRATION", str(tmp_path / "calibration"))
    repository.git("checkout", "-q", "--force", "--detach", "fast")
    repository.git("clean", "-fdq")
    return repository


def record_of(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def test_unchanged_code_passes_and_leaves_the_checkout_alone(checkout: Repository, tmp_path: Path) -> None:
    checkout.write("README.md", "an uncommitted change of no importance\n")
    before = checkout.git("status", "--porcelain"), checkout.git("stash", "list")
    outputs = [tmp_path / name for name in ("comment.md", "gate.xml", "gate.html")]
    flags = [
        word
        for flag, file in zip(("--markdown", "--junit", "--html"), outputs, strict=True)
        for word in (flag, str(file))
    ]
    done = checkout.reelbench("gate", "small", "--against", "HEAD", *QUICK, "--json", *flags)
    assert done.returncode == 0, done.stderr + done.stdout
    assert (checkout.git("status", "--porcelain"), checkout.git("stash", "list")) == before
    assert len(checkout.git("worktree", "list").splitlines()) == 1
    assert not list((tmp_path / "cache" / "reelbench" / "gate" / "worktrees").iterdir())

    record = record_of(done)
    assert record["status"] == "passed" and record["exit_code"] == 0
    assert record["a"]["commit"] == checkout.git("rev-parse", "HEAD") and record["b"]["dirty"] is True  # type: ignore[index,call-overload]
    (check,) = record["checks"]  # type: ignore[misc,attr-defined]
    assert [answer["status"] for answer in check["answers"]] == ["passed"] * 4
    comparison = json.loads((checkout.root / check["comparison"] / "comparison.json").read_text())
    assert comparison["design"] == "code" and comparison["speed"]["statistic"] == "min"
    code = {audit["arm"]: audit["text"] for audit in comparison["audits"] if audit["name"] == "code"}
    assert "worktrees" in code["a"] and "/change/src" in code["b"]
    head = checkout.git("rev-parse", "HEAD")
    for arm, dirty in (("a", False), ("b", True)):
        ran = json.loads((checkout.root / check["comparison"] / arm / "environment.json").read_text())
        assert (ran["code"]["commit"], ran["code"]["dirty"]) == (head, dirty)
    assert record["judging"] == {"by": "commit", "why": "", "action": "warn", "files": []}
    assert record["command"].startswith("reelbench gate small --against HEAD")  # type: ignore[attr-defined]
    assert "6 starts each" in check["answers"][3]["text"]

    markdown, junit, page = (file.read_text() for file in outputs)
    assert "| spinning plain | **passed** |" in markdown and "never calibrated" in markdown
    suites = ElementTree.fromstring(junit.encode())
    assert (suites.attrib["tests"], suites.attrib["failures"], suites.attrib["errors"]) == ("4", "0", "0")
    assert "never calibrated" in page and "page of plain" in page


def test_a_slow_down_in_the_working_tree_fails_and_one_that_was_mended_passes(checkout: Repository) -> None:
    checkout.replace(SPINNING, "PAUSE_S = 0.06", "PAUSE_S = 0.6")
    done = checkout.reelbench("gate", "bare", "--against", "fast", *QUICK)
    assert done.returncode == 1, done.stderr
    assert "FAILED (exit 1: a limit is broken)" in done.stdout
    assert "speed: failed: time" in done.stdout and "at most +300 % allowed" in done.stdout
    assert "quality: passed" in done.stdout and "with uncommitted changes" in done.stdout

    checkout.git("checkout", "-q", "--force", "fast")
    done = checkout.reelbench("gate", "bare", "--against", "slow", *QUICK)
    assert done.returncode == 0, done.stderr
    assert "Many times the time" in done.stdout


def test_a_variant_that_crashes_or_is_new_fails_unless_the_policy_says_otherwise(checkout: Repository) -> None:
    checkout.replace(SPINNING, "        events, frames = [], 0", '        raise ValueError("planted")')
    done = checkout.reelbench("gate", "bare", "--against", "fast", *QUICK)
    assert done.returncode == 5 and "INVALID" in done.stdout and "planted" in done.stdout

    checkout.git("checkout", "-q", "--force", "fast")
    checkout.write("mine/tuning/spinning/novel.yaml", "# @package _global_\nanalyzer: {}\n")
    policy = (checkout.root / "conf/gate/bare.yaml").read_text().replace("[plain]", "[novel]")
    checkout.write("mine/gate/novel.yaml", policy)
    done = checkout.reelbench("gate", "novel", "--against", "fast", "--config-dir", "mine", *QUICK)
    assert done.returncode == 4 and "spinning novel does not exist at" in done.stdout
    checkout.write("mine/gate/novel.yaml", policy + "on_unavailable: warn\n")
    done = checkout.reelbench("gate", "novel", "--against", "fast", "--config-dir", "mine", *QUICK)
    assert done.returncode == 0 and "warning: spinning novel is unavailable, which the policy allows" in done.stdout


def test_what_cannot_be_gated_is_refused_in_one_line(checkout: Repository, tmp_path: Path) -> None:
    def refusal(code: int, *arguments: str) -> str:
        done = checkout.reelbench("gate", *arguments)
        assert done.returncode == code, done.stderr
        assert done.stdout == ""
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        return line

    assert "has no commit 'nosuch'" in refusal(2, "small", "--against", "nosuch", *QUICK)
    assert "never calibrated" in refusal(4, "small", "--against", "fast", "corpus.path=clips")
    assert "its worker does not answer" in refusal(4, "small", "--against", "mute", *QUICK)
    assert "its workers speak version 90" in refusal(4, "small", "--against", "foreign", *QUICK)

    checkout.git("checkout", "-q", "-B", "pinned", "fast")
    checkout.write("constraints.txt", "")
    checkout.replace(
        "pyproject.toml", "dependencies = [\n", f'dependencies = [\n  "absent @ file://{tmp_path}/absent.whl",\n'
    )
    checkout.commit("Wants what cannot be had")
    checkout.git("checkout", "-q", "--detach", "fast")
    assert "cannot install what that commit needs: ERROR" in refusal(4, "small", "--against", "pinned", *QUICK)

    (checkout.root / ".git").rename(tmp_path / "git")
    try:
        assert "is in no git repository" in refusal(2, "small", "--against", "fast", *QUICK)
    finally:
        (tmp_path / "git").rename(checkout.root / ".git")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--against GITREF, or --baseline DIR"),
        (("--against", "HEAD", "--baseline", "x"), "--against GITREF, or --baseline DIR"),
        (("--baseline", "x", "--merge-base"), "--merge-base belongs to --against"),
        (("nosuch", "--against", "HEAD"), "there is no gate policy 'nosuch'"),
        (("absent/policy.yaml", "--against", "HEAD"), "there is no such policy file"),
        (("default", "thorough", "--against", "HEAD"), "cannot read 'default thorough'"),
        (("--against", "HEAD", "--config-dir", "absent"), "absent: there is no such folder"),
        (("--baseline", "absent", "--uncalibrated"), "is no baseline"),
    ],
)
def test_a_mistake_in_the_command_is_one_line(arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(ReelBenchError) as refused:
        cli.main(["gate", *arguments], standalone_mode=False)
    assert said in refused.value.message and refused.value.exit_code == 2


def test_a_stored_baseline_is_held_against_on_the_same_machine_only(checkout: Repository, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    done = checkout.reelbench("gate", "small", "--save-baseline", str(kept), *QUICK)
    assert done.returncode == 0, done.stderr
    done = checkout.reelbench("gate", "small", "--save-baseline", str(kept), *QUICK)
    assert done.returncode == 2 and "is there already" in done.stderr

    done = checkout.reelbench("gate", "small", "--baseline", str(kept), *QUICK, "--json")
    assert done.returncode == 3, done.stderr  # nobody knows how far identical code differs between runs here
    record = record_of(done)
    (check,) = record["checks"]  # type: ignore[misc,attr-defined]
    answers = {answer["question"]: answer for answer in check["answers"]}
    assert answers["speed"]["status"] == "inconclusive" and "differs between runs" in answers["speed"]["text"]
    assert answers["quality"]["status"] == answers["memory"]["status"] == "passed"
    assert (checkout.root / check["page"]).is_file()

    manifest = kept / "baseline.json"
    found = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**found, "fingerprint": "another"}))
    done = checkout.reelbench("gate", "small", "--baseline", str(kept), *QUICK)
    assert done.returncode == 2 and "the manifest says" in done.stderr
    unseal(kept)
    done = checkout.reelbench("gate", "small", "--baseline", str(kept), *QUICK)
    assert done.returncode == 4 and "was measured on another machine (another" in done.stderr


def test_the_module_runs_without_the_programs_name() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "reelbench", "gate", "--help"], capture_output=True, text=True, check=True
    )
    assert "--against GITREF" in done.stdout
