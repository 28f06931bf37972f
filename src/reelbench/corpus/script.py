"""The script of a synthetic clip: data that says what is shown when (docs/corpus.md is its tutorial).

Times are seconds of the clip, places are shares of the frame (0…1), sizes are pixels of the frame.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from reelbench.corpus.edit_script import Blink, CallKind, Degradation, Effect, Patch, Section, Stated, misplaced
from reelbench.corpus.materials import (
    Length,
    Library,
    Photograph,
    Side,
    Strict,
    Time,
    library,
    read_yaml,
    synthetic_dir,
)
from reelbench.corpus.sound_script import SoundScript
from reelbench.errors import InputError

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Zoom = Annotated[float, Field(ge=1, le=8)]
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


class CameraKey(Strict):
    """The camera at ``at`` seconds of the shot. What is left out is as in the key before (at first: centred, zoom 1).

    ``x`` and ``y`` are shares of the free travel: 0 shows the left (top) edge of the photograph, 1 the right (bottom) one, so no
    value shows anything beyond it. ``zoom`` 1 is the smallest scale that fills the window.
    """

    at: Time = 0.0
    x: Share | None = None
    y: Share | None = None
    zoom: Zoom | None = None


class Shake(Strict):
    """A hand-held camera: at most ``pixels`` of shift and ``degrees`` of rotation, at about ``hertz``."""

    pixels: float = Field(default=6.0, ge=0, le=200)
    degrees: float = Field(default=0.0, ge=0, le=10)
    hertz: float = Field(default=2.0, gt=0, le=15)


class Enter(Strict):
    """How a shot follows the one before. A dissolve starts with the shot; a fade (through black) lies half before it."""

    kind: Literal["cut", "fade", "dissolve"] = "cut"
    seconds: float = Field(default=0.0, ge=0, le=5)

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if (self.kind == "cut") != (self.seconds == 0):
            raise ValueError("a cut takes no seconds, a fade or dissolve wants some")
        return self


class Shot(Strict):
    """One photograph under one camera, or flat ``patches`` of colour. ``aspect`` (width / height) shapes the window of a letterbox;
    else the photograph's own. Successive shots with the same ``scene`` are one scene."""

    photograph: str | None = None
    patches: tuple[Patch, ...] = ()
    scene: str | None = Field(default=None, min_length=1)
    blinks: tuple[Blink, ...] = ()
    seconds: Length
    layout: Literal["cover", "letterbox"] = "cover"
    aspect: float | None = Field(default=None, ge=0.2, le=5)
    ease: Literal["smooth", "linear"] = "smooth"
    camera: tuple[CameraKey, ...] = (CameraKey(),)
    shake: Shake | None = None
    enter: Enter = Enter()

    @model_validator(mode="after")
    def _sane(self) -> Self:
        if self.aspect is not None and self.layout != "letterbox":
            raise ValueError("aspect is for layout: letterbox")
        if not self.camera:
            raise ValueError("camera wants at least one key; leave it out for a centred still")
        if any(a.at >= b.at for a, b in pairwise(self.camera)):
            raise ValueError("the keys of camera must ascend in time")
        if self.camera[-1].at > self.seconds:
            raise ValueError(f"a camera key at {self.camera[-1].at} s lies beyond the shot's {self.seconds} s")
        if (self.photograph is None) != bool(self.patches):
            raise ValueError("give either photograph or patches")
        if any(blink.at >= self.seconds for blink in self.blinks):
            raise ValueError(f"a blink lies beyond the shot's {self.seconds} s")
        if self.patches:
            if self.shake or self.blinks or self.layout != "cover" or self.camera != (CameraKey(),):
                raise ValueError("patches take no camera, shake, blinks or letterbox")
            if abs(sum(patch.share for patch in self.patches) - 1) > 0.001:
                raise ValueError("the shares of patches must add up to 1")
        return self


class Outline(Strict):
    colour: Colour = "#000000"
    width: int = Field(default=4, ge=1, le=40)


class Background(Strict):
    """A rounded box behind the text."""

    colour: Colour = "#000000"
    opacity: Share = 1.0
    padding: int = Field(default=18, ge=0, le=200)
    radius: int = Field(default=16, ge=0, le=200)


class Overlay(Strict):
    """A text on top of everything from ``start`` up to ``end``, centred at (``x``, ``y``); it wraps at ``width`` of the frame."""

    text: str = Field(min_length=1, max_length=400)
    font: str
    size: int = Field(ge=8, le=400)
    x: Share = 0.5
    y: Share = 0.5
    start: Time = 0.0
    end: Time
    width: float = Field(default=0.86, gt=0, le=1)
    colour: Colour = "#ffffff"
    outline: Outline | None = None
    background: Background | None = None
    call: CallKind | None = None

    @field_validator("text")
    @classmethod
    def _visible(cls, text: str) -> str:
        if not text.strip() or any(not c.isprintable() for c in text.replace("\n", "")):
            raise ValueError("the text must be visible characters and line breaks")
        return text

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end <= self.start:
            raise ValueError(f"end {self.end} does not lie after start {self.start}")
        return self


class Script(Strict):
    """A whole clip. ``noise`` is the standard deviation of the sensor noise in levels of 255, ``light`` the share of the photographs'
    light that the camera gets (texts are laid over and keep theirs), ``crf`` x264's quality.

    Without ``sound`` the clip has a silent track that the truth says nothing of. ``states`` names what the truth is to tell all of,
    be it nothing: of the photographs (faces, masks, products), and of what this script could hold and does not.
    """

    title: str = ""
    seed: int = Field(default=0, ge=0)
    size: tuple[Side, Side] = (720, 1280)
    fps: int = Field(default=30, ge=1, le=120)
    crf: int = Field(default=23, ge=0, le=51)
    noise: float = Field(default=1.0, ge=0, le=20)
    light: float = Field(default=1.0, gt=0, le=1)
    shots: tuple[Shot, ...] = Field(min_length=1)
    overlays: tuple[Overlay, ...] = ()
    sound: SoundScript | None = None
    effects: tuple[Effect, ...] = ()
    degrade: tuple[Degradation, ...] = ()
    structure: tuple[Section, ...] = ()
    states: tuple[Stated, ...] = ()
    photographs: dict[str, Photograph] = Field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return sum(shot.seconds for shot in self.shots)

    @model_validator(mode="after")
    def _sane(self) -> Self:
        if any(side % 2 for side in self.size):
            raise ValueError(f"size {list(self.size)}: both sides must be even")
        if self.seconds > 600:
            raise ValueError("a clip lasts at most 600 s")
        if self.shots[0].enter.kind != "cut":
            raise ValueError("shots[0].enter: the first shot follows nothing")
        for index, (before, shot) in enumerate(pairwise(self.shots), start=1):
            half = shot.enter.seconds / 2 if shot.enter.kind == "fade" else 0.0
            if before.enter.seconds + half > before.seconds or shot.enter.seconds > shot.seconds:
                raise ValueError(f"shots[{index}].enter: longer than the shots that it joins")
        for index, overlay in enumerate(self.overlays):
            if overlay.end > self.seconds + 1e-9:
                raise ValueError(f"overlays[{index}].end: {overlay.end} lies beyond the clip's {self.seconds:g} s")
        if self.sound and (outside := self.sound.outside(self.seconds)):
            raise ValueError(f"sound.{outside}")
        begins = [0.0, *accumulate(shot.seconds for shot in self.shots)]
        if wrong := misplaced(self.effects, self.degrade, self.structure, begins, self.fps):
            raise ValueError(wrong)
        if len({shot.scene is None for shot in self.shots}) > 1:
            raise ValueError("shots: either all of them name a scene, or none")
        self._check_patches(begins)
        return self

    def _check_patches(self, begins: list[float]) -> None:
        """A palette is only true of colours that nothing changes."""
        over: list[Overlay | Effect | Degradation] = [*self.overlays, *self.effects, *self.degrade]
        for index, (shot, (start, end)) in enumerate(zip(self.shots, pairwise(begins), strict=True)):
            if shot.patches and (self.light < 1 or any(item.start < end and item.end > start for item in over)):
                raise ValueError(f"shots[{index}]: patches take no overlay, effect, degradation or light")

    def photograph(self, name: str) -> Photograph:
        return self.photographs[name] if name in self.photographs else library().photographs[name]

    @property
    def pictured(self) -> tuple[str, ...]:
        """The photographs that are shown, by name."""
        return tuple(dict.fromkeys(shot.photograph for shot in self.shots if shot.photograph))

    def artifacts(self) -> tuple[str, ...]:
        """The catalog entries that rendering needs."""
        pictures = [self.photograph(name).artifact for name in self.pictured]
        fonts = [library().fonts[overlay.font] for overlay in self.overlays]
        return tuple(dict.fromkeys(name for name in [*pictures, *fonts] if name))


def shipped_scripts() -> list[str]:
    return sorted(path.stem for path in (synthetic_dir() / "scripts").glob("*.yaml"))


def find_script(script: str | Path) -> Path:
    """The file of a script: a path that exists, or the name of a shipped one. InputError lists what is shipped."""
    path = Path(script).expanduser()
    if path.is_file():
        return path
    shipped = synthetic_dir() / "scripts" / f"{script}.yaml"
    if Path(script).name == str(script) and shipped.is_file():
        return shipped
    raise InputError(f"{script}: no such script", f"shipped ones: {', '.join(shipped_scripts())}; or give a file")


def load_script(script: str | Path) -> Script:
    """Read and validate a script. Files of its own photographs are taken relative to it. InputError: one line."""
    path = find_script(script)
    parsed = read_yaml(Script, path)
    _check_names(parsed, path, library())
    photographs = {
        name: own.model_copy(update={"file": path.parent / own.file}) if own.file else own
        for name, own in parsed.photographs.items()
    }
    for name, own in photographs.items():
        if own.file and not own.file.is_file():
            raise InputError(f"{path}: photographs.{name}.file: no such file {own.file}")
    return parsed.model_copy(update={"photographs": photographs})


def _check_names(script: Script, path: Path, shipped: Library) -> None:
    photographs = sorted({*script.photographs, *shipped.photographs})
    for index, shot in enumerate(script.shots):
        if shot.photograph and shot.photograph not in photographs:
            raise InputError(
                f"{path}: shots[{index}].photograph: no photograph '{shot.photograph}'",
                f"there are: {', '.join(photographs)}",
            )
    for index, overlay in enumerate(script.overlays):
        if overlay.font not in shipped.fonts:
            raise InputError(
                f"{path}: overlays[{index}].font: no font '{overlay.font}'",
                f"there are: {', '.join(sorted(shipped.fonts))}",
            )
