"""Passwords and tokens are masked in every text that is written or shown: addresses, query parameters, tokens of known shape.

`reelbench.paths.write_text` masks what it writes, `reelbench.console` what a command prints, and `reelbench.tracking` what it sends.
The address itself stays usable: `remember` keeps it in this process, and `original` gives it back for a masked one.
"""

from __future__ import annotations

import os
import re
from typing import Literal
from urllib.parse import quote

MASK = "***"

Form = Literal["text", "json", "html"]
"""Where a value may end: at white space; in JSON also at a quote that is not escaped, in HTML also at '<' and '>'."""

_ENDS: dict[Form, str] = {"text": "", "json": '"', "html": '"<>'}
_SUFFIXES: dict[str, Form] = {".json": "json", ".jsonl": "json", ".html": "html", ".svg": "html", ".xml": "html"}

_SECRET_NAME = r"[\w.\-]*(?:token|password|passwd|passphrase|pwd|secret|signature|credentials?|api[_-]?key)"
_IN_QUERY = rf"(?:{_SECRET_NAME}|(?:[\w.\-]*[_.\-])?(?:key|sig|auth|pass|pw))"
_PARAMETER = re.compile(rf"(?i)(?P<name>[?&;#]{_IN_QUERY}=)[^&\s\"'<>#;]+")
_SETTING = re.compile(rf"(?i)(?P<name>(?:^|(?<=[\s'\",(\[{{])){_SECRET_NAME}=)[^&\s\"'<>;,)\]}}]+")
_HEADER = re.compile(r"(?i)(?P<name>\bauthorization['\"]?\s*[:=]\s*['\"]?(?:\w+\s+)?|\bbearer\s+)[\w.~+/=\-]{8,}")
_TOKEN = re.compile(r"\b(?:hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w\-]{16,})")

_WORDS = ("token", "pass", "pw", "secret", "signature", "credential", "key", "sig", "auth")
"""One of these is in every name that `_SETTING` and `_PARAMETER` find."""

_VARIABLE = re.compile(r"(?:TOKEN|PASSWORD|PASSWD|SECRET|SECRET_ACCESS_KEY|API_KEY)$")
_SHORTEST = 8
"""Characters that a variable's value must have before it is masked wherever it stands: shorter ones are words, too."""

# They begin with a literal, so that a page full of pictures is searched fast. A path in which an address stands has one slash of it.
_USER: dict[Form, re.Pattern[str]] = {
    form: re.compile(rf":(?<=[A-Za-z0-9+.\-]:)/{{1,2}}(?P<user>[^\s:/\\{ends}]{{0,200}}):")
    for form, ends in _ENDS.items()
}
_RUN: dict[Form, re.Pattern[str]] = {form: re.compile(rf"(?:\\.|[^\s\\{ends}])*") for form, ends in _ENDS.items()}
_LONE_TOKEN = re.compile(r"(?P<scheme>https?:/{1,2})[^\s/@:?#\"'<>]{1,500}@")

_originals: dict[str, str] = {}


def masked(text: str, form: Form = "text") -> str:
    """The text with '***' in place of each password and token. Masking it again changes nothing."""
    if ":/" in text and "@" in text:
        text = _LONE_TOKEN.sub(rf"\g<scheme>{MASK}@", _without_passwords(text, form))
    lower = text.lower()
    if "=" in text and any(word in lower for word in _WORDS):
        text = _SETTING.sub(rf"\g<name>{MASK}", _PARAMETER.sub(rf"\g<name>{MASK}", text))
    if "authorization" in lower or "bearer" in lower:
        text = _HEADER.sub(rf"\g<name>{MASK}", text)
    if "_" in text or "glpat-" in text:
        text = _TOKEN.sub(MASK, text)
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
    found = _USER["text"].search(head)
    at = head.rfind("@")
    if found is None or not found.end() <= at:
        return address
    password, before = head[found.end() : at], head[found.start("user") : at + 1]
    if "@" not in before.split("/")[0] and re.match(r"\d+/", password):
        return address
    encoded = quote(password, safe="%!$&'()*+,;=-._~")
    return f"{head[: found.end()]}{encoded}{head[at:]}{mark}{tail}"


def _without_passwords(text: str, form: Form) -> str:
    """Each address without its password, which reaches to the last '@' before the value ends: it may hold '@', '/' and '?'."""
    kept: list[str] = []
    done = run_end = 0
    for found in _USER[form].finditer(text):
        if found.end() <= max(done, run_end):
            continue  # inside a password, or where no '@' follows
        ran = _RUN[form].match(text, found.end())
        run_end = ran.end() if ran else found.end()
        at = text.rfind("@", found.end(), run_end)
        if at < 0:
            continue
        # GitHub takes a token as the user, with this password or none.
        only_user = text[found.end() : at] in ("", "x-oauth-basic")
        kept += [text[done : found.start("user") if only_user else found.end()], MASK]
        done = run_end = at
    return "".join([*kept, text[done:]])


def _of_environment() -> list[str]:
    return [value for name, value in os.environ.items() if _VARIABLE.search(name) and len(value) >= _SHORTEST]
