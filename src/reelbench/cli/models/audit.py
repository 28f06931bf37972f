"""``reelbench models audit``: the same as ``reelbench disk audit``."""

from reelbench.cli.disk.audit import command

__all__ = ["command"]
