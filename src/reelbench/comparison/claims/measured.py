"""Find this machine's measurement of a claim: the newest valid comparison of both variants, or why there is none."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any, Literal

from reelbench.bench.record_folder import remarks_on
from reelbench.comparison.folder import FILE, comparisons_dir, read_comparison
from reelbench.comparison.records import Arm, ComparisonRecord
from reelbench.config import compose, instantiate
from reelbench.errors import ConfigError, InputError
from reelbench.paths import conf_dir

_OF_THE_VARIANT = ("analyzer.", "media.")


@dataclass(frozen=True, slots=True)
class SpeedUp:
    """Times faster, 1 / ratio, with its interval. ``high`` is infinite and ``low`` 0 where too few pairs give no bound."""

    point: float
    low: float
    high: float
    confidence: float
    pairs: int

    @property
    def bounded(self) -> bool:
        return self.low > 0 and self.high < inf


@dataclass(frozen=True, slots=True)
class Here:
    """This machine and this code. ``code`` is the commit with its change, ``machine`` a line for readers."""

    fingerprint: str
    code: str
    machine: str


@dataclass(frozen=True, slots=True)
class Measured:
    """A comparison that counts. ``notes`` are what a reader should know of it."""

    record: ComparisonRecord
    notes: tuple[str, ...] = ()

    @property
    def speed_up(self) -> SpeedUp:
        assert self.record.speed is not None
        effect = self.record.speed.effect
        low = 1 / effect.high if effect.high > 0 else 0.0
        high = 1 / effect.low if effect.low > 0 else inf
        return SpeedUp(1 / effect.ratio, low, high, self.record.speed.confidence, effect.pairs)

    @property
    def quality(self) -> str:
        return self.record.quality.verdict if self.record.quality else "not judged"


@dataclass(frozen=True, slots=True)
class Missing:
    """Nothing that counts was measured: the analyzer does not exist, the variant cannot run here, or it was not compared yet."""

    kind: Literal["analyzer", "variant", "comparison"]
    reason: str


@dataclass(slots=True)
class Comparisons:
    """The comparisons of ``runs_dir`` on one of ``corpora``, newest first. ``damaged`` are lines about folders that could not be
    read."""

    corpora: tuple[str, ...]
    here: Here
    found: list[tuple[Path, ComparisonRecord]] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    def read(self, runs_dir: Path) -> Comparisons:
        """Take in every finished comparison below ``runs_dir``; none where the folder does not exist."""
        for file in sorted(comparisons_dir(runs_dir).glob(f"*/{FILE}")):
            try:
                record = read_comparison(file.parent)
            except (InputError, OSError) as error:
                self.damaged.append(f"left out: {error.message if isinstance(error, InputError) else error}")
                continue
            if record.status == "finished" and record.corpus in self.corpora:
                self.found.append((file.parent, record))
        self.found.sort(key=lambda found: (found[1].created, found[1].id), reverse=True)
        return self

    def newest(self, analyzer: str, a: str, b: str) -> Measured | Missing:
        """The newest valid one of these two variants as they are shipped, interleaved, on this machine."""
        same = [found for found in self.found if _is_of(found[1], analyzer, a, b)]
        mine = [found for found in same if found[1].fingerprint == self.here.fingerprint]
        notes = []
        for folder, record in mine:
            if record.invalid or record.verdict in ("invalid", None) or record.speed is None:
                notes.append(f"comparison {record.id} does not count: {record.invalid or 'it has no verdict'}")
                continue
            notes += [f"comparison {record.id}: {remark}" for remark in remarks_on(folder, record)]
            if other := _other_code(folder, self.here.code):
                notes.append(other)
            return Measured(record, tuple(notes))
        return self._missing(analyzer, a, b, notes, elsewhere=len(same) - len(mine))

    def _missing(self, analyzer: str, a: str, b: str, notes: Sequence[str], elsewhere: int) -> Missing:
        if problem := cannot_run(analyzer, a, b):
            return problem
        if notes:
            return Missing("comparison", "; ".join(notes))
        command = f"reelbench ab analyzer={analyzer} a={a} b={b} corpus={self.corpora[0]}"
        where = " (only on another machine)" if elsewhere else ""
        return Missing("comparison", f"no comparison yet{where}: {command}")


def cannot_run(analyzer: str, a: str, b: str) -> Missing | None:
    """Why these variants cannot be compared on this machine at all; None where they can. Loads no network."""
    if not (conf_dir() / "analyzer" / f"{analyzer}.yaml").is_file():
        return Missing("analyzer", f"the analyzer {analyzer} does not exist yet")
    for variant in (a, b):
        try:
            config = compose([f"analyzer={analyzer}", f"variant={variant}"])
        except ConfigError as error:
            return Missing("variant", str(error))
        state = instantiate(config.analyzer.constructor).available()
        if not state.ok:
            return Missing("variant", f"variant {variant} is unavailable here: {state.reason} ({state.mend})")
    return None


def this_machine() -> Here:
    """The machine and the code that this process runs on."""
    from reelbench.bench.environment import environment

    found = environment(workspace=False)
    machine = found["machine"]
    gpus = "".join(f", {gpu['name']}" for gpu in machine["gpus"])
    described = f"{machine['cpu']}, {machine['usable_threads']} usable threads{gpus} ({found['fingerprint']})"
    return Here(found["fingerprint"], code_of(found), described)


def code_of(environment: Mapping[str, Any]) -> str:
    """The version, the commit and the digest of what was not committed: '0.1.0 1a2b3c4 with changes 5d6e7f'."""
    code = environment.get("code") or {}
    commit = f" {code['commit'][:7]}" if code.get("commit") else ""
    changes = f" with changes {code['change'][:6]}" if code.get("change") else ""
    return f"{environment.get('reelbench', 'unknown')}{commit}{changes}"


def together(measured: Sequence[Measured]) -> SpeedUp | None:
    """Of analyzers one after the other: the sum of A's corpus times over the sum of B's. None where they share no clip.

    A's corpus time T_i is the sum over the clips that all measured of the median over that clip's pairs; B's is T_i times the measured
    ratio r_i. So the total ratio is the mean of r_i weighted with T_i. Its bounds are the same mean of the single bounds: at least as
    wide as an interval of the sum would be if the analyzers' errors were independent.
    """
    clips = set.intersection(*({pair.clip for pair in one.record.pairs} for one in measured))
    if not clips:
        return None
    times = [_corpus_time(one.record, clips) for one in measured]
    effects = [one.record.speed.effect for one in measured if one.record.speed]
    ratio, low, high = (
        sum(time * value for time, value in zip(times, values, strict=True)) / sum(times)
        for values in (
            [effect.ratio for effect in effects],
            [effect.low for effect in effects],
            [effect.high for effect in effects],
        )
    )
    confidence = min(one.speed_up.confidence for one in measured)
    pairs = sum(effect.pairs for effect in effects)
    return SpeedUp(1 / ratio, 1 / high, 1 / low if low > 0 else inf, confidence, pairs)


def _corpus_time(record: ComparisonRecord, clips: set[str]) -> float:
    return sum(statistics.median(pair.a_s for pair in record.pairs if pair.clip == clip) for clip in clips)


def _is_of(record: ComparisonRecord, analyzer: str, a: str, b: str) -> bool:
    """Of these variants as they are shipped, both alive at once, and both really executed."""
    arms = ((record.a, a), (record.b, b))
    return (
        record.analyzer == analyzer
        and record.design == "interleaved"
        and all(arm.variant == arm.effective == variant and not _altered(arm) for arm, variant in arms)
    )


def _altered(arm: Arm) -> bool:
    """Whether the network or the decoding was set to something else than the variant's own."""
    return any(setting.lstrip("+~").startswith(_OF_THE_VARIANT) for setting in arm.overrides)


def _other_code(folder: Path, code: str) -> str:
    try:
        then = code_of(json.loads((folder / "environment.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return "it is not known with which code this was measured"
    return "" if then == code else f"measured with other code: {then}; this is {code}"
