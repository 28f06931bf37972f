"""Passwords and tokens: masked in every kind of text, whatever they hold, and nothing else is; the address stays usable."""

from __future__ import annotations

import html
import json
import shlex
import sys
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reelbench import masking
from reelbench.masking import masked, masked_file

_VISIBLE = st.characters(min_codepoint=0x21, max_codepoint=0x17F, exclude_categories=("C", "Z"))
PASSWORDS = st.text(_VISIBLE, min_size=1, max_size=24).map(lambda text: f"s3{text}cret")
SCHEMES = st.sampled_from(["postgresql+psycopg2", "http", "https", "mysql"])


@given(SCHEMES, PASSWORDS)
def test_a_password_of_any_characters_is_masked_in_every_kind_of_text(scheme: str, password: str) -> None:
    address = f"{scheme}://bench:{password}@db.example:5432/x"
    shown = f"{scheme}://bench:***@db.example:5432/x"
    assert masked(f"sent to {address}, and kept") == f"sent to {shown}, and kept"
    record = {
        "uri": address,
        "command": shlex.join(["run.py", f"tracking.uri={address}", "seed=1"]),
        "note": repr(address),
    }
    for text in (json.dumps(record), json.dumps(record, ensure_ascii=False, indent=1)):
        found = json.loads(masked_file("run.json", text))
        assert found["uri"] == shown
        assert password not in found["command"] and "s3" not in found["note"]
        assert found["command"].startswith("run.py ")
    found = yaml.safe_load(masked_file("config.yaml", yaml.safe_dump({"uri": address, "seed": 1}, width=sys.maxsize)))
    assert (found["uri"], found["seed"]) == (shown, 1)
    page = f'<a href="http://host:5000/x">{html.escape(address)}</a><a title="me@example.com">x</a>'
    assert html.unescape(masked_file("report.html", page)) == html.unescape(page).replace(address, shown)


@given(st.text(max_size=60), PASSWORDS)
def test_masking_again_changes_nothing(text: str, password: str) -> None:
    for whole in (text, f"{text}http://u:{password}@h/?token={password}&x={text}"):
        assert masked(masked(whole)) == masked(whole)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("uri: https://u:p%40x@host/a and http://host:80/b", "uri: https://u:***@host/a and http://host:80/b"),
        ("postgresql://user:p@ss/w0rd@host/db", "postgresql://user:***@host/db"),
        ("https://me@corp.example:pw@host/x", "https://***@corp.example:***@host/x"),
        ("/none/http:/u:p@ss/w0rd@host/db", "/none/http:/u:***@host/db"),
        ("https://1a2b3c@git.example/x", "https://***@git.example/x"),
        ("https://1a2b3c:x-oauth-basic@git.example/x", "https://***@git.example/x"),
        ("http://h/a?token=abc&page=2", "http://h/a?token=***&page=2"),
        ("http://h/a?page=2&X-Amz-Signature=abc#top", "http://h/a?page=2&X-Amz-Signature=***#top"),
        ("Max retries: /health?api_key=abc (Caused by x)", "Max retries: /health?api_key=*** (Caused by x)"),
        ("http://h/a?key=abc", "http://h/a?key=***"),
        ("host=db user=me password=abc port=1", "host=db user=me password=*** port=1"),
        ("Authorization: Bearer abcdefgh12345678", "Authorization: Bearer ***"),
        ("HTTP 401 for hf_abcdefghijklmnopqrst", "HTTP 401 for ***"),
    ],
)
def test_secrets_of_known_shape_are_masked(text: str, clean: str) -> None:
    assert masked(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:///mlflow.db",
        "http://localhost:5000/#/experiments/1",
        "postgresql://bench@db:5432/x",
        "s3://bucket/a:b@c",
        "settings are key=value, max_new_tokens=64, tokens=3",
        "ssh://git@host/x",
        "basic information about me@example.com at 10:30",
        'a="http://host:80/x","b@c"',
    ],
)
def test_what_holds_no_secret_is_left_alone(text: str) -> None:
    assert masked(text, "json") == text


def test_a_token_of_the_environment_is_masked_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SERVICE_TOKEN", "correct-horse-battery")
    monkeypatch.setenv("OTHER_PASSWORD", "short")
    assert masked("it said correct-horse-battery is short") == "it said *** is short"


@given(SCHEMES, PASSWORDS)
def test_an_address_becomes_one_that_its_reader_splits_right(scheme: str, password: str) -> None:
    found = urlsplit(masking.usable(f"{scheme}://bench:{password}@db.example:5432/x"))
    assert (found.username, found.hostname, found.port, found.path) == ("bench", "db.example", 5432, "/x")
    assert unquote(found.password or "") == unquote(password)


@pytest.mark.parametrize(
    "address",
    [
        "http://host:5000/a@b",
        "sqlite:///x@y.db",
        "postgresql://u:p%40x@host/db?options=a@b",
        "http://host:5000",
        "off",
        "http://u@host:80/x",
    ],
)
def test_a_right_address_is_not_changed(address: str) -> None:
    assert masking.usable(address) == address


def test_the_real_address_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_originals", {})
    address = "http://u:secret@host/x"
    assert masking.original(masked(address)) == masked(address)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    assert masking.original(masked(address)) == address
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    masking.remember(address)
    assert masking.original(masked(address)) == address
