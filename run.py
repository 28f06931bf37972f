"""The main job: ``python run.py analyzer=object_detection variant=optimized`` (``--help`` shows every setting).

``python run.py COMMAND …`` is ``reelbench COMMAND …``: ``python run.py system corpus=demo`` runs the whole system.
"""

import sys

if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments and arguments[0].isidentifier():
        from reelbench.cli import cli
        from reelbench.cli import main as command

        if arguments[0] in cli.commands:
            command(arguments)  # ends the process
    from reelbench.main import main

    sys.exit(main(arguments))
