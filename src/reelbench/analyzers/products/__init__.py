"""Products: the taxonomy, and what a picture of a thing is taken for."""
