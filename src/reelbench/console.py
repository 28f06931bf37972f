"""What a command shows on a terminal: without passwords, and with control characters made visible.

Names of files, models and clips, recognized texts and messages of others come from outside: an escape code in one of them could hide
a line, or type a command. `guarded` puts both standard streams behind that rule, whoever writes to them; `console` gives the tables
and bars of Rich, whose own codes pass.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, TextIO

from reelbench.masking import masked

if TYPE_CHECKING:
    from rich.console import Console

# C0 without tab and line feed, delete, C1, line and paragraph separators, marks that change the direction, and halves of characters.
_HOSTILE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def escaped(text: str) -> str:
    """The text with each control character as ``\\x1b`` or ``\\u009b``; line breaks and tabs stay. What is JSON stays JSON."""
    return _HOSTILE.sub(_visible, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """`escaped`, and line breaks and tabs as well: for a name, which must not look like two lines."""
    return escaped(text).replace("\n", "\\n").replace("\t", "\\t")


def shown(text: str) -> str:
    """What a terminal is given for a text."""
    return escaped(masked(text))


def _visible(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x20 else f"\\u{code:04x}"


class GuardedStream:
    """A text stream that writes what `shown` makes of a text; all else is that of the stream behind it.

    It has no ``buffer``: bytes could not be looked at.
    """

    def __init__(self, behind: TextIO) -> None:
        self.behind = behind

    def write(self, text: str) -> int:
        self.behind.write(shown(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __iter__(self) -> Iterator[str]:
        return iter(self.behind)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self.behind, name)


@contextmanager
def guarded() -> Iterator[None]:
    """Guard standard output and standard error as long as a command runs. Within itself it changes nothing."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _guard(sys.stdout), _guard(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _guard(stream: TextIO) -> TextIO:
    return stream if isinstance(stream, GuardedStream) or stream is None else GuardedStream(stream)  # type: ignore[return-value]


def console(stream: TextIO | None = None, **settings: Any) -> Console:
    """Rich's console on ``stream`` (standard output): no markup in texts, and each text is shown as `shown` makes it."""
    target: Any = stream or sys.stdout
    behind = target.behind if isinstance(target, GuardedStream) else target
    how: dict[str, Any] = {"file": behind, "highlight": False, "markup": False, "emoji": False, **settings}
    return _console_class()(**how)


@cache
def _console_class() -> type[Console]:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.text import Text

    class GuardedConsole(Console):
        def render_str(self, text: str, **how: Any) -> Text:
            return super().render_str(shown(text), **how)

        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(shown(segment.text), segment.style)

    return GuardedConsole
