"""Addresses of models: what is written is read back the same, and nonsense is one line and never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reelbench.errors import ConfigError
from reelbench.models.addresses import HubAddress, LocalAddress, WebAddress, parse

_NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,20}[A-Za-z0-9])?", fullmatch=True)
_PARTS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._ +@-]{0,15}", fullmatch=True)
_REVISIONS = st.one_of(st.just(""), _NAMES, st.builds("refs/pr/{}".format, st.integers(1, 99)), st.just("a" * 40))


@given(st.builds("{}/{}".format, _NAMES, _NAMES), _REVISIONS, st.lists(_PARTS, max_size=3).map("/".join))
def test_an_address_of_the_hub_is_read_back_as_it_is_written(repository: str, revision: str, file: str) -> None:
    address = HubAddress(repository, revision, file)
    assert parse(str(address)) == address
    assert address.is_pinned == (revision == "a" * 40)


@given(
    st.one_of(
        st.text(), st.text().map("hf://".__add__), st.text().map("https://".__add__), st.text().map("file://".__add__)
    )
)
@example("http://[")
@example("hf://a/b/../../etc/passwd")
@example("file:///a%00b")
def test_any_text_is_an_address_or_one_line(text: str) -> None:
    try:
        address = parse(text)
    except ConfigError as error:
        assert len(str(error).splitlines()) == 1
    else:
        if isinstance(address, HubAddress):
            assert ".." not in address.file.split("/")
            assert address.repository.count("/") == 1
        elif isinstance(address, LocalAddress):
            assert address.path.is_absolute()
            assert str(address.path).isprintable()
        else:
            assert address.url == text
            assert not set(text) & set(" \n\t")


def test_what_each_form_means() -> None:
    assert parse("hf://Qwen/Qwen2-VL@main/model.safetensors") == HubAddress(
        "Qwen/Qwen2-VL", "main", "model.safetensors"
    )
    assert parse("hf://Qwen/Qwen2-VL@refs%2Fpr%2F1").revision == "refs/pr/1"
    assert parse("https://example.org/a%20b.onnx?x=1") == WebAddress("https://example.org/a%20b.onnx?x=1")
    assert parse("https://example.org/a%20b.onnx?x=1").name == "a b.onnx"
    assert parse("file:///a%20b.pt") == LocalAddress(Path("/a b.pt"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "net.onnx",
        "hf://net",
        "hf://a/b/../c",
        "hf://a/b@../x",
        "ftp://a/b",
        "file://relative",
        "https://user:secret@host/x",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert "secret" not in str(caught.value)
