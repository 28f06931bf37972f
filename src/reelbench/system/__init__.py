"""The whole system: all analyzers on all clips, each clip decoded once, by a plan, with nothing lost."""
