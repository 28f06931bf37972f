"""Two ways to run the whole system against each other: how long each takes, and every analyzer's quality (docs/ab.md)."""
