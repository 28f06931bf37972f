"""Pickles: known by their bytes, refused unless their sha256 is pinned; the scanner advises and decides nothing."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reelbench.cli.models.scan import command
from reelbench.errors import ConfigError, WeightsError
from reelbench.models import pickles
from reelbench.models.pickles import is_pickle, looks_like, scan


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("exit 1",)


def zipped(name: str, content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(name, content)
    return made.getvalue()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.integers(2, 5), st.recursive(st.integers() | st.text(max_size=5), lambda one: st.lists(one, max_size=3)))
def test_a_pickle_is_known_whatever_its_name(tmp_path: Path, protocol: int, value: object) -> None:
    (tmp_path / "net.onnx").write_bytes(pickle.dumps(value, protocol))
    assert is_pickle(tmp_path / "net.onnx")
    (tmp_path / "net.onnx").write_bytes(zipped("archive/data.pkl", pickle.dumps(value, protocol)))
    assert is_pickle(tmp_path / "net.onnx")


def test_what_is_no_pickle(tmp_path: Path) -> None:
    for content in (b"", b"\x80", b"\x08\x01onnx", zipped("a.txt", b"x"), b"PK\x03\x04broken"):
        (tmp_path / "net").write_bytes(content)
        assert not is_pickle(tmp_path / "net")
    assert [looks_like(name) for name in ("a/x.PT", "pytorch_model-00001.bin", "model.bin", "a.safetensors")] == [
        True,
        True,
        False,
        False,
    ]


def test_a_network_is_not_built_from_an_unpinned_file() -> None:
    from reelbench.analyzers.object_detection import _weights

    with pytest.raises(ConfigError, match=r"evil\.pt"):
        _weights("random", "/somewhere/evil.pt")


def test_the_command_refuses_what_is_not_pinned(tmp_path: Path) -> None:
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(_Evil()))
    (tmp_path / "plain.txt").write_bytes(b"text")
    done = CliRunner().invoke(command, ["--json", str(tmp_path / "plain.txt"), str(tmp_path / "evil.pt")])
    assert isinstance(done.exception, WeightsError)
    found = json.loads(done.stdout)["files"]
    assert [(one["pickle"], one["pinned"]) for one in found] == [(False, None), (True, None)]


def test_without_the_scanner_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "_SCANNER", "no_such_scanner")
    advice = scan(tmp_path / "any")
    assert (advice.scanned, "pip install" in advice.text) == (False, True)


def test_the_scanners_advice(tmp_path: Path) -> None:
    pytest.importorskip("picklescan", reason="the scanner is optional: pip install picklescan")
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(_Evil()))
    (tmp_path / "good.pt").write_bytes(pickle.dumps([1]))
    assert scan(tmp_path / "evil.pt").dangerous == ("posix.system",)
    assert scan(tmp_path / "good.pt").dangerous == ()
    assert scan(tmp_path / "good.pt").scanned
