"""Every error that ReelBench raises on purpose.

    ReelBenchError                    exit 5
    ├── UsageError                    exit 2   the command, the configuration or the input is wrong
    │   ├── ConfigError                        unknown key, wrong type, no such analyzer, variant or corpus
    │   ├── InputError                         a folder or clip that cannot be used
    │   │   └── MediaError                     a clip that cannot be opened or decoded safely
    │   ├── OutputError                        an output folder that cannot be written, or a full disk
    │   └── UnresolvedRoot                     what is needed cannot be told, so nothing may be deleted
    ├── UnavailableError              exit 4   what was asked for cannot run on this machine
    │   └── WeightsError                       weights that cannot be had, or whose hash is wrong
    ├── AnalyzerError                 exit 5   an analyzer failed, crashed, hung or ran out of memory
    └── UnexpectedError               exit 70  an exception that nobody expected; a crash report was written

Each carries one line that says what was wrong and where, and a hint that says what to do. Nothing else is shown to the
user for one of these: no traceback for a user's mistake.
"""

from __future__ import annotations

from typing import ClassVar

from reelbench.encoding import readable

EXIT_OK = 0
EXIT_REGRESSION = 1
EXIT_USAGE = 2
EXIT_INCONCLUSIVE = 3
EXIT_UNAVAILABLE = 4
EXIT_FAILED = 5
EXIT_UNEXPECTED = 70  # EX_SOFTWARE of sysexits.h
EXIT_INTERRUPTED = 130


class ReelBenchError(Exception):
    """The root of the tree. ``message`` says what and where in one line; ``hint`` says what to do."""

    exit_code: ClassVar[int] = EXIT_FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = readable(" ".join(message.split()))
        self.hint = readable(" ".join(hint.split()))

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[type[ReelBenchError], tuple[str, str]]:
        return type(self), (self.message, self.hint)


class UsageError(ReelBenchError):
    exit_code = EXIT_USAGE


class ConfigError(UsageError):
    pass


class InputError(UsageError):
    pass


class MediaError(InputError):
    pass


class OutputError(UsageError):
    pass


class UnresolvedRoot(UsageError):
    pass


class UnavailableError(ReelBenchError):
    exit_code = EXIT_UNAVAILABLE


class WeightsError(UnavailableError):
    pass


class AnalyzerError(ReelBenchError):
    exit_code = EXIT_FAILED


class UnexpectedError(ReelBenchError):
    exit_code = EXIT_UNEXPECTED
