"""One module for each library that executes networks. Each has ``checks()``, and is found; no list is edited."""
