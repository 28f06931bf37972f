"""The main job: ``python run.py analyzer=object_detection variant=optimized`` (``--help`` shows every setting)."""

import sys

from reelbench.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
