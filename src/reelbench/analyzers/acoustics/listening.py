"""What the analyzers have in common that may hear with YAMNet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reelbench.analyzers.acoustics.sounds import read_names, read_sounds, unnamed
from reelbench.analyzers.acoustics.yamnet import PATCH, Hearing
from reelbench.analyzers.base import WeightsSource, naming
from reelbench.analyzers.networks import WithNetworks, given
from reelbench.engines.base import Availability
from reelbench.engines.openvino_small import Feed
from reelbench.engines.random_weights import RANDOM

NETWORK = "yamnet"
_NAMES = "classes"


class MayListen(WithNetworks):
    """Hears with YAMNet where ``weights`` names its files, {yamnet: …, classes: …}, and has no network where that is null. With
    the network 'random' the file of the classes' names is not asked for, and they are called by their numbers.

    ``hearing``: arguments of `yamnet.Hearing`; ``sounds``: a file like ``conf/sounds.yaml``, null: that one. Raises ConfigError where
    one of them makes no sense."""

    def __init__(
        self,
        weights: Mapping[str, str | None] | None,
        architecture: Mapping[str, str] | None,
        hearing: Mapping[str, Any] | None,
        sounds: str | None,
        threads: int,
    ) -> None:
        files = given(weights or {})
        if files.get(NETWORK) == RANDOM:
            files.pop(_NAMES, None)
        names = (_NAMES,) if files and files.get(NETWORK) != RANDOM else ()
        super().__init__(files, {NETWORK: Feed(shape=(PATCH,))} if files else {}, threads, architecture, names)
        self.listens = bool(files)
        self.names: list[str] = []
        with naming("hearing"):
            self.hearing = Hearing(**(hearing or {}))
        self.sounds = read_sounds(None if sounds is None else Path(sounds)) if files else None

    def available(self) -> Availability:
        return super().available() if self.listens else Availability(True)

    def load(self, store: WeightsSource) -> None:
        import scipy.ndimage  # noqa: F401 - it belongs to the start

        super().load(store)
        if self.listens:
            self.names = unnamed() if _NAMES not in self._files else read_names(self._file(store, _NAMES))
