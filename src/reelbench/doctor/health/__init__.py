"""One module for each thing about a machine that makes figures unreliable or commands fail. Each has ``findings()``, and is found."""
