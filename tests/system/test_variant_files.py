"""A variant's file sets the analyzer and its decoding, and nothing that it is judged by."""

from __future__ import annotations

from pathlib import Path

import pytest

from reelbench.cli import cli
from reelbench.config import compose, search_path
from reelbench.errors import ConfigError
from reelbench.main import main

GLOBAL = "# @package _global_\n"


def variant(folder: Path, text: str, name: str = "mine") -> list[str]:
    file = folder / "tuning" / "object_detection" / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return [*search_path(folder), "analyzer=object_detection", "variant=mine"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (GLOBAL + "media: {limits: {max_frames: 3}}", "media.limits"),
        (GLOBAL + "media: {decode: {threads: 2}, limits: {max_frames: 3}}", "media.limits"),
        (GLOBAL + "corpus: {scripts: [street]}", "corpus"),
        (GLOBAL + "quality: {_target_: reelbench.quality.ages.AgeQuality}", "quality"),
        (GLOBAL + "comparison: {quality_margin: 0.5}", "comparison"),
        (GLOBAL + "measure: {warmup_max: 1}", "measure"),
        (GLOBAL + "seed: 7", "seed"),
        (GLOBAL + "analyzer: {reference: mine}", "analyzer.reference"),
        ("# @package comparison\nquality_margin: 0.5", "comparison"),
        ("# @package media\nlimits: {max_frames: 3}", "media.limits"),
        ("# @package media.limits\nmax_frames: 3", "media.limits"),
        (GLOBAL + "defaults: [/corpus/shipped@corpus, _self_]", "/corpus/shipped@corpus"),
        (GLOBAL + "defaults: [/measure/quick@measure, _self_]", "/measure/quick@measure"),
    ],
)
def test_what_a_variant_is_judged_by_is_refused_in_one_line_that_names_it(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        compose(variant(tmp_path, text))
    assert f"'{key}'" in refused.value.message and "mine.yaml" in refused.value.message
    assert "\n" not in refused.value.message and refused.value.exit_code == 2


def test_it_is_found_in_the_variants_that_a_variant_builds_on(tmp_path: Path) -> None:
    variant(tmp_path, GLOBAL + "comparison: {smallest_change: 0.5}", "below")
    for way in ("/tuning/object_detection/below", "object_detection/below"):
        with pytest.raises(ConfigError, match=r"below\.yaml: a variant may not set 'comparison'"):
            compose(variant(tmp_path, GLOBAL + f"defaults: [{way}, _self_]\nanalyzer: {{}}"))


def test_the_analyzer_and_its_decoding_are_a_variants_own(tmp_path: Path) -> None:
    text = GLOBAL + "defaults: [/tuning/object_detection/baseline, _self_]\nmedia: {decode: {prefetch: 3}}\n"
    assert compose(variant(tmp_path, text)).media.decode.prefetch == 3


def test_every_command_refuses_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    variant(tmp_path, GLOBAL + "media: {limits: {max_frames: 3}}")
    own = ["--config-dir", str(tmp_path)]
    for words in (["ab", "a=baseline", "b=mine"], ["calibrate", "variant=mine"]):
        with pytest.raises(ConfigError, match=r"may not set 'media\.limits'"):
            cli.main([words[0], "analyzer=object_detection", *words[1:], *own], standalone_mode=False)
    assert main(["analyzer=object_detection", "variant=mine", *own]) == 2
    assert "may not set 'media.limits'" in capsys.readouterr().err


def test_two_arms_have_one_set_of_limits() -> None:
    from reelbench.comparison.arms import check_alike, plan

    common = ["analyzer=color_analysis"]
    a, b = plan("a", "baseline", common), plan("b", "'baseline' media.limits.max_frames=3", common)
    with pytest.raises(ConfigError, match=r"differ in media\.limits"):
        check_alike(a, b)
