"""Following faces from frame to frame: the landmarks of one frame say where to look in the next, and the detector
runs only when needed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from reelbench.analyzers.blaze.crops import Picture, Square
from reelbench.analyzers.blaze.ssd import Detector, overlap
from reelbench.analyzers.faces.looks import Look, look
from reelbench.analyzers.faces.networks import Mesh, read_eyes, read_mesh, square_of_detection, square_of_mesh
from reelbench.engines.openvino_small import SmallNetwork

_SAME = 0.3
"""Two boxes that overlap by more are one face."""


@dataclass(frozen=True, slots=True)
class Following:
    """``every_s``: the detector looks for further faces so often while some are followed; ``search_s``: so often
    while there is none. A face that was just lost is looked for at once. ``most``: so many faces at a time, the
    surest ones. ``face``: least score of a mesh. ``sure``: a face begins only where the detector or the mesh is so
    sure of it; the two agree on few things that are no face. ``forget_s``: a face that was lost for longer comes back
    as another one."""

    every_s: float = 1.0
    search_s: float = 0.3
    most: int = 4
    face: float = 0.25
    sure: float = 0.8
    forget_s: float = 0.5

    def __post_init__(self) -> None:
        if min(self.every_s, self.search_s, self.forget_s) < 0 or self.most < 1 or not 0 < self.face <= self.sure < 1:
            raise ValueError("follow wants seconds of 0 or more, most of 1 or more and 0 < face <= sure < 1")


@dataclass(slots=True)
class Track:
    """One face over time."""

    looks: list[Look] = field(default_factory=list)
    mesh: Mesh | None = None
    """The landmarks in the last frame; None once it was lost."""


class Faces:
    """Faces of one clip. Without ``remember`` the detector runs on every frame, as in a system without memory."""

    def __init__(
        self, detector: Detector, mesh: SmallNetwork, iris: SmallNetwork, how: Following, remember: bool, closer: bool
    ) -> None:
        self._detector, self._mesh, self._iris = detector, mesh, iris
        self._how, self._remember, self._closer = how, remember, closer
        self._tracks: list[Track] = []
        self._looked_s = float("-inf")
        self.detections = 0

    @property
    def tracks(self) -> list[Track]:
        """All faces so far, in order of appearance."""
        return self._tracks

    def step(self, picture: Picture, t_s: float) -> None:
        """Take the next frame."""
        live = [track for track in self._tracks if track.mesh is not None]
        seen = self._followed(picture, live) if self._remember else []
        lost = len(seen) < len(live)
        wait = self._how.every_s if seen else self._how.search_s
        if not self._remember or lost or t_s - self._looked_s >= wait - 1e-6:
            self._looked_s = t_s
            self.detections += 1
            seen += self._found(picture, t_s, seen)
        for track in live:
            track.mesh = None
        for track, mesh in seen:
            track.mesh = mesh
            track.looks.append(look(t_s, mesh, read_eyes(self._iris, picture, mesh)))
            if len(track.looks) == 1:
                self._tracks.append(track)

    def _followed(self, picture: Picture, live: list[Track]) -> list[tuple[Track, Mesh]]:
        seen: list[tuple[Track, Mesh]] = []
        for track in live:
            assert track.mesh is not None
            mesh = self._read(picture, square_of_mesh(track.mesh))
            if mesh is not None and not any(overlap(mesh.box, other.box) > _SAME for _, other in seen):
                seen.append((track, mesh))
        return seen

    def _found(self, picture: Picture, t_s: float, there: list[tuple[Track, Mesh]]) -> list[tuple[Track, Mesh]]:
        """Faces that are not ``there``; each continues the face that was there a moment ago, or is a new one."""
        seen = list(there)
        for detected in self._detector.find(picture, self._closer):
            if len(seen) >= self._how.most or any(overlap(detected.box, other.box) > _SAME for _, other in seen):
                continue
            mesh = self._read(picture, square_of_detection(detected))
            if mesh is None or max(detected.score, mesh.score) < self._how.sure:
                continue
            if not any(overlap(mesh.box, other.box) > _SAME for _, other in seen):
                seen.append((self._known(mesh, t_s, [track for track, _ in seen]) or Track(), mesh))
        return seen[len(there) :]

    def _known(self, mesh: Mesh, t_s: float, taken: list[Track]) -> Track | None:
        for track in reversed(self._tracks):
            last = track.looks[-1]
            recent = last.t_s < t_s <= last.t_s + self._how.forget_s
            if recent and track not in taken and overlap(np.array(last.box), mesh.box) > _SAME:
                return track
        return None

    def _read(self, picture: Picture, square: Square) -> Mesh | None:
        mesh = read_mesh(self._mesh, picture, square)
        return mesh if mesh.score >= self._how.face else None
