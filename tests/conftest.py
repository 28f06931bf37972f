"""What holds for all tests."""

from __future__ import annotations

from signal import SIG_DFL, SIGHUP, SIGINT, default_int_handler, signal

from hypothesis import settings

# How long an example takes says nothing about it being right, and a busy machine must not fail a test.
settings.register_profile("reelbench", deadline=None)
settings.load_profile("reelbench")

# A shell ignores SIGINT in what it starts in the background, and nohup ignores SIGHUP: the commands
# that the tests start would inherit that, and say so.
signal(SIGINT, default_int_handler)
signal(SIGHUP, SIG_DFL)
