"""Calls to action in what is said and shown."""
