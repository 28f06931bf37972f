"""The whole system under load: all clips at once, one after the other, or arriving as they want (docs/load.md)."""
