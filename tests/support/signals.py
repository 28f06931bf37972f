"""How a program that a test starts takes signals, whatever the test itself inherited.

A shell ignores SIGINT in what it starts in the background, nohup ignores SIGHUP, and both are
inherited: a test that sends a signal says how its child takes it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from signal import SIGHUP, SIGINT, Signals

_LAUNCHER = """
import os, signal, sys
for word in sys.argv[1].split(","):
    number, _, ignored = word.partition("=")
    signal.signal(int(number), signal.SIG_IGN if ignored == "ignored" else signal.SIG_DFL)
os.execv(sys.argv[2], sys.argv[2:])
"""


def taking_signals(command: Sequence[str], *, ignored: Sequence[Signals] = ()) -> list[str]:
    """The command line that runs ``command`` with SIGINT and SIGHUP as usual, or ``ignored``."""
    words = [f"{int(one)}={'ignored' if one in ignored else 'usual'}" for one in (SIGINT, SIGHUP)]
    return [sys.executable, "-I", "-S", "-c", _LAUNCHER, ",".join(words), *command]
