"""Measure how often this machine's noise leads to a wrong verdict."""
