"""The rules: which words are a call to action."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from reelbench.errors import ConfigError


@dataclass(frozen=True)
class Rules:
    """``patterns``: kind -> expressions; ``examples``: kind -> sentences; ``none``: sentences that are no call."""

    patterns: dict[str, list[re.Pattern[str]]]
    examples: dict[str, list[str]]
    none: list[str]

    @classmethod
    def read(cls, path: Path) -> Rules:
        """ConfigError names the file and what is wrong in it."""
        import yaml

        try:
            found: dict[str, Any] = yaml.safe_load(path.read_text())
            calls = found["calls"]
            patterns = {
                kind: [re.compile(one, re.IGNORECASE) for one in call["patterns"]] for kind, call in calls.items()
            }
            return cls(patterns, {kind: list(call["examples"]) for kind, call in calls.items()}, list(found["none"]))
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error
        except (yaml.YAMLError, KeyError, TypeError, AttributeError, re.error) as error:
            raise ConfigError(f"{path.name}: {error}", "conf/calls.yaml of the package shows its form") from error

    def kind_of(self, sentence: str) -> str:
        """What the sentence asks for first: the kind of the rule that it meets earliest; '' for none."""
        plain = sentence.replace("’", "'").strip()
        met = [
            (found.start(), rank, kind)
            for rank, (kind, ways) in enumerate(self.patterns.items())
            for way in ways
            if (found := way.search(plain))
        ]
        return min(met)[2] if met else ""

    @cached_property
    def labelled(self) -> list[tuple[str, str]]:
        """All examples as (kind, sentence); kind '' for those that are none."""
        known = [(kind, sentence) for kind, sentences in self.examples.items() for sentence in sentences]
        return known + [("", sentence) for sentence in self.none]
