"""Gates: decide by a policy whether a change may pass."""
