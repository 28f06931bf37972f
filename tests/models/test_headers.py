"""The quick look at a file's header finds what a truncated, grown or overwritten file looks like, and never falls over."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from reelbench.models.headers import quick_check

WHOLE = save({"a": np.arange(12, dtype=np.float32).reshape(3, 4), "b": np.ones(5, np.int64)}, {"format": "pt"})
_same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def checked(folder: Path, content: bytes, name: str = "net.safetensors") -> str:
    (folder / name).write_bytes(content)
    return quick_check(folder / name)


def test_a_whole_file_passes(tmp_path: Path) -> None:
    assert checked(tmp_path, WHOLE) == ""


@_same_folder
@given(st.integers(0, len(WHOLE) - 1))
def test_any_truncated_file_is_found(tmp_path: Path, size: int) -> None:
    assert checked(tmp_path, WHOLE[:size])


@_same_folder
@given(st.binary(min_size=1, max_size=20))
def test_any_longer_file_is_found(tmp_path: Path, more: bytes) -> None:
    assert checked(tmp_path, WHOLE + more)


@_same_folder
@given(
    st.one_of(
        st.binary(max_size=200),
        st.tuples(st.integers(0, 2**64 - 1), st.binary(max_size=100)).map(
            lambda made: made[0].to_bytes(8, "little") + made[1]
        ),
    )
)
def test_no_content_makes_it_fall_over(tmp_path: Path, content: bytes) -> None:
    assert isinstance(checked(tmp_path, content), str)


@_same_folder
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_what_passes_is_what_safetensors_loads(tmp_path: Path, at: int, byte: int) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    changed = WHOLE[:at] + bytes([byte]) + WHOLE[at + 1 :]
    try:
        load(changed)
        loads = True
    except (SafetensorError, ValueError, KeyError, TypeError):
        loads = False
    if loads:
        assert checked(tmp_path, changed) == ""


@pytest.mark.parametrize("name", ["net.pth", "net.npz"])
def test_an_archive_that_is_cut_off(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", bytes(1000))
    assert quick_check(path) == ""
    path.write_bytes(path.read_bytes()[:-50])
    assert "cut off" in quick_check(path)
