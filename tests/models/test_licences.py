"""What a licence's name says, and the report that marks what may not be used freely."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from reelbench.cli.models.licences import command
from reelbench.errors import ConfigError
from reelbench.models.licences import KINDS, kind_of


@pytest.mark.parametrize(
    ("licence", "kind"),
    [
        ("MIT", "permissive"),
        ("apache-2.0", "permissive"),
        ("Apache-2.0 WITH LLVM-exception", "permissive"),
        ("CC-BY-4.0", "permissive"),
        ("public domain", "permissive"),
        ("GPL-3.0-only", "copyleft"),
        ("LGPL-2.1", "copyleft"),
        ("CC-BY-SA-4.0", "copyleft"),
        ("AGPL-3.0", "agpl"),
        ("MIT AND AGPL-3.0-only", "agpl"),
        ("AGPL-3.0-only OR MIT", "permissive"),
        ("mit, cc-by-nc-4.0", "non-commercial"),
        ("cc-by-nc-sa-4.0", "non-commercial"),
        ("CC-BY-ND-4.0", "restricted"),
        ("llama3.1", "restricted"),
        ("openrail++", "restricted"),
        ("other", "unknown"),
        ("unknown", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_kind_of_a_licence(licence: str, kind: str) -> None:
    assert kind_of(licence) == kind


_LICENCES = st.sampled_from(["MIT", "GPL-3.0-only", "AGPL-3.0", "CC-BY-NC-4.0", "llama3", "nobody knows"])


@given(st.text(max_size=40))
def test_any_name_has_a_kind(name: str) -> None:
    assert kind_of(name) in KINDS


@given(st.lists(_LICENCES, min_size=1, max_size=4))
def test_together_the_strictest_holds_and_of_a_choice_the_freest(names: list[str]) -> None:
    ranks = [KINDS.index(kind_of(name)) for name in names]
    assert KINDS.index(kind_of(" AND ".join(names))) == max(ranks)
    assert KINDS.index(kind_of(" OR ".join(names))) == min(ranks)


def test_the_shipped_catalog_and_the_gate() -> None:
    run = CliRunner()
    answer = json.loads(run.invoke(command, ["--json"]).stdout)
    kinds = {line["licence"]: line["kind"] for line in answer["licences"]}
    assert kinds["AGPL-3.0"] == "agpl"
    assert "unknown" not in kinds.values(), "every shipped artifact's licence is known"
    assert run.invoke(command, ["fonts", "--fail-on", "agpl,non-commercial,unknown"]).exit_code == 0
    refused = run.invoke(command, ["yolo", "--fail-on", "agpl"])
    assert refused.exit_code == 1
    assert "AGPL-3.0 (agpl: yolo/yolo11n.pt)" in refused.output
    assert isinstance(run.invoke(command, ["--fail-on", "gpl"]).exception, ConfigError)
