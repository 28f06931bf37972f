"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes says nothing about it being right, and a busy machine must not fail a test.
settings.register_profile("reelbench", deadline=None)
settings.load_profile("reelbench")
