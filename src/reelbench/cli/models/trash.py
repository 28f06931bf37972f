"""``reelbench models trash``: the same as ``reelbench disk trash``."""

from reelbench.cli.disk.trash import command

__all__ = ["command"]
