"""Passwords and tokens are masked in every text that is written or shown: addresses, query parameters, tokens of known shape.

`reelbench.paths.write_text` masks what it writes, `reelbench.console` what a command prints, and `reelbench.tracking` what it sends.
The address itself stays usable: `remember` keeps it in this process, and `original` gives it back for a masked one.
"""

from __future__ import annotations

import os
import re
from functools import cache
from typing import Literal
from urllib.parse import quote

MASK = "***"

Form = Literal["text", "json", "html"]
"""Where a value may end: at white space; in JSON also at a quote that is not escaped, in HTML also at '<' and '>'."""

_ENDS: dict[Form, str] = {"text": "", "json": '"', "html": '"<>'}
_SUFFIXES: dict[str, Form] = {".json": "json", ".jsonl": "json", ".html": "html"}

_SECRET_NAME = r"(?:[\w.\-]*[\w.\-])?(?:token|password|passwd|passphrase|pwd|secret|signature|credentials?|api[_-]?key)"
_IN_QUERY = rf"(?:{_SECRET_NAME}|(?:[\w.\-]*[_.\-])?(?:key|sig|auth|pass|pw))"
_PARAMETER = re.compile(rf"(?i)(?P<name>[?&;#]{_IN_QUERY}=)[^&\s\"'<>#;]+")
_SETTING = re.compile(rf"(?i)(?P<name>(?:^|(?<=[\s'\",(\[{{])){_SECRET_NAME}=)[^&\s\"'<>;,)\]}}]+")
_HEADER = re.compile(r"(?i)(?P<name>\bauthorization['\"]?\s*[:=]\s*['\"]?(?:\w+\s+)?|\bbearer\s+)[\w.~+/=\-]{8,}")
_TOKEN = re.compile(r"\b(?:hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w\-]{16,})")

_VARIABLE = re.compile(r"(?:TOKEN|PASSWORD|PASSWD|SECRET|SECRET_ACCESS_KEY|API_KEY)$")
_SHORTEST = 8
"""Characters that a variable's value must have before it is masked wherever it stands: shorter ones are words, too."""

_originals: dict[str, str] = {}


@cache
def _address(form: Form) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """An address with a password, and one with a lone token. A password reaches to the last '@': it may hold '@', '/' and '?'."""
    ends = _ENDS[form]
    run = rf"(?:\\.|[^\s\\{ends}])"
    scheme = r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*:/{1,2})"  # a path in which it stands has one slash of it
    return (
        re.compile(rf"{scheme}(?P<user>[^\s:/\\{ends}]*):(?P<password>{run}*)@"),
        re.compile(r"(?P<scheme>\b(?:git\+)?https?://)[^\s/@:?#\"'<>]+@"),
    )


def masked(text: str, form: Form = "text") -> str:
    """The text with '***' in place of each password and token. Masking it again changes nothing."""
    if ":/" in text:
        with_password, with_token = _address(form)
        text = with_token.sub(rf"\g<scheme>{MASK}@", with_password.sub(_without_password, text))
    if "=" in text:
        text = _SETTING.sub(rf"\g<name>{MASK}", _PARAMETER.sub(rf"\g<name>{MASK}", text))
    text = _TOKEN.sub(MASK, _HEADER.sub(rf"\g<name>{MASK}", text))
    for secret in _of_environment():
        text = text.replace(secret, MASK)
    return text


def masked_file(name: str, text: str) -> str:
    """`masked` for the content of a file of this name: JSON stays JSON, and a page stays a page."""
    return masked(text, _SUFFIXES.get(os.path.splitext(name)[1].lower(), "text"))  # noqa: PTH122


def remember(address: str) -> None:
    """Keep a real address for `original`, as long as this process lives."""
    if (shown := masked(address)) != address:
        _originals[shown] = address


def original(address: str) -> str:
    """The real address for a masked one: as this process was given it, or as ``MLFLOW_TRACKING_URI`` says it."""
    if MASK not in address:
        return address
    given = os.environ.get("MLFLOW_TRACKING_URI", "")
    return _originals.get(address) or (given if masked(given) == address else address)


def usable(address: str) -> str:
    """The address with its password percent-encoded where it holds what ends a host name, such as '@' and '/'.

    What stands before a '?' is looked at first: an '@' behind it belongs to a parameter. A port is no password.
    """
    head, mark, tail = address.partition("?")
    if "@" not in head:
        head, mark, tail = address, "", ""
    found = _address("text")[0].match(head)
    if found is None or ("@" not in head[found.end("scheme") :].split("/")[0] and re.match(r"\d+/", found["password"])):
        return address
    encoded = quote(found["password"], safe="%!$&'()*+,;=-._~")
    return f"{found['scheme']}{found['user']}:{encoded}@{head[found.end() :]}{mark}{tail}"


def _without_password(found: re.Match[str]) -> str:
    # GitHub takes a token as the user, with this password or none.
    if found["password"] in ("", "x-oauth-basic"):
        return f"{found['scheme']}{MASK}@"
    return f"{found['scheme']}{found['user']}:{MASK}@"


def _of_environment() -> list[str]:
    return [value for name, value in os.environ.items() if _VARIABLE.search(name) and len(value) >= _SHORTEST]
