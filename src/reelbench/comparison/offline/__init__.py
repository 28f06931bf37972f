"""Compare runs that were made before, as far as their measurements allow."""
