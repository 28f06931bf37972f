"""What analyzers have in common that run several small networks."""

from __future__ import annotations

from collections.abc import Mapping

from reelbench.analyzers.base import Plain, WeightsSource
from reelbench.engines.base import Availability
from reelbench.engines.openvino_small import Feed, SmallNetwork, available
from reelbench.errors import ConfigError


class WithNetworks(Plain):
    """Several small networks in OpenVINO, each with a role. Between `load` and `close`, ``networks`` has them by role.

    ``weights`` names the catalog entry of each role, ``roles`` how each is fed. Raises ConfigError where the roles are others."""

    def __init__(self, weights: Mapping[str, str], roles: Mapping[str, Feed], threads: int) -> None:
        if set(weights) != set(roles):
            raise ConfigError(f"analyzer.weights names {', '.join(sorted(weights))}", f"give {', '.join(roles)}")
        self.weights = tuple(weights[role] for role in roles)
        self.networks: dict[str, SmallNetwork] = {}
        self._files, self._roles, self._threads = dict(weights), roles, threads

    def available(self) -> Availability:
        return available()

    def load(self, store: WeightsSource) -> None:
        self.networks = {
            role: SmallNetwork(store.path(self._files[role]), feed, self._threads) for role, feed in self._roles.items()
        }

    def close(self) -> None:
        self.networks = {}
