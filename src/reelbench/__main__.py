"""``python -m reelbench``: the same as ``reelbench``."""

from reelbench.cli import main

if __name__ == "__main__":
    main()
