"""Check claims that somebody made against measurements."""
