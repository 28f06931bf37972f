"""What analyzers have in common that run several small networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from reelbench.analyzers.base import Plain, WeightsSource
from reelbench.engines import random_weights
from reelbench.engines.base import Availability
from reelbench.engines.fingerprint import fingerprint
from reelbench.engines.lowered import LoweredNetwork
from reelbench.engines.openvino_parity import published
from reelbench.engines.openvino_small import Feed, SmallNetwork, available
from reelbench.engines.random_weights import RANDOM
from reelbench.errors import ConfigError


def given(weights: Mapping[str, str | None]) -> dict[str, str]:
    """The roles that have a catalog entry. ConfigError where ``weights`` is no mapping."""
    if not isinstance(weights, Mapping):
        raise ConfigError(f"analyzer.weights is '{weights}'", "give {role: catalog entry}")
    return {role: file for role, file in weights.items() if file is not None}


class WithNetworks(Plain):
    """Several small networks in OpenVINO, each with a role. Between `load` and `close`, ``networks`` has them by role.

    ``weights`` names the catalog entry of each role (null: a role that this variant does without), ``roles`` how each is fed;
    ``files`` are roles of further catalog entries that are no networks. A role of ``architecture`` can be 'random' instead: that
    module of `engines.architectures`, with random weights. Raises ConfigError where the roles are others."""

    def __init__(
        self,
        weights: Mapping[str, str | None],
        roles: Mapping[str, Feed],
        threads: int,
        architecture: Mapping[str, str] | None = None,
        files: tuple[str, ...] = (),
    ) -> None:
        self._files = given(weights)
        if set(self._files) != {*roles, *files}:
            raise ConfigError(
                f"analyzer.weights names {', '.join(sorted(self._files))}", f"give {', '.join([*roles, *files])}"
            )
        self._random = {role: name for role, name in (architecture or {}).items() if self._files.get(role) == RANDOM}
        for role, file in self._files.items():
            if file == RANDOM and role not in self._random:
                raise ConfigError(f"analyzer.weights.{role} cannot be random", "name a catalog entry")
        self.weights = tuple(self._files[role] for role in (*roles, *files) if self._files[role] != RANDOM)
        self.networks: dict[str, SmallNetwork] = {}
        self._roles, self._threads = roles, threads

    @property
    def quality_absent_reason(self) -> str:
        """Why the results must not be scored; empty where they may be."""
        return random_weights.REASON if self._random else ""

    def available(self) -> Availability:
        state = available()
        return random_weights.available() if state.ok and self._random else state

    def prepare(self, store: WeightsSource) -> None:
        for architecture in self._random.values():
            random_weights.prepare(store.derived(random_weights.key(architecture)), architecture)

    def lowered(self, store: WeightsSource) -> Iterator[LoweredNetwork]:
        for role, feed in self._roles.items():
            if feed.precision != "fp32":
                model = self._file(store, role)
                yield published(store.derived(f"parity-openvino-{fingerprint(model)}"), model)

    def load(self, store: WeightsSource) -> None:
        self.networks = {
            role: SmallNetwork(self._file(store, role), feed, self._threads) for role, feed in self._roles.items()
        }

    def close(self) -> None:
        self.networks = {}

    def _file(self, store: WeightsSource, role: str) -> Path:
        if role in self._random:
            return random_weights.graph(store.derived(random_weights.key(self._random[role])))
        return store.path(self._files[role])
