"""Fixtures of the tests of the disk."""

from support.disks import disk
from support.pruning import world

__all__ = ["disk", "world"]
