"""Puts together what is true of a whole clip. A part is left None where the script does not say that it tells all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from reelbench.corpus.clip import Truth, TruthFrame, TruthPalette, TruthSpan
from reelbench.corpus.patches import shares

if TYPE_CHECKING:
    from reelbench.corpus.camera import Camera
    from reelbench.corpus.scene import Scene
    from reelbench.corpus.timeline import Part

BRIDGED_S = 0.25
"""A product that is hidden for no longer than this, as by a flash, is one span."""
_Known = TypeVar("_Known")


def truth(scene: Scene, every: int) -> Truth:
    """All parts; see ``Scene.truth``."""
    seconds, sound, states = scene.timeline.seconds, scene.sound, scene.script.states
    numbers = range(0, scene.timeline.frames, every)
    return Truth(
        source=f"synthetic script {scene.name}, seed {scene.script.seed}".replace(" ,", ","),
        objects=tuple(TruthFrame(t_s=seconds(number), objects=scene.objects(number)) for number in numbers),
        overlays=tuple(
            TruthSpan(start_s=seconds(start), end_s=seconds(end), label="overlay", text=text.text, box=text.box)
            for (start, end), text in zip(scene.timeline.overlays, scene.letterings, strict=True)
        ),
        camera=tuple(_moves(scene)),
        cuts=scene.timeline.cuts(),
        words=sound and sound.words,
        speech=sound and sound.speech,
        sounds=sound and sound.sounds,
        music=sound and sound.music,
        loudness_lufs=sound and sound.loudness_lufs,
        effects=scene.effects.truth(),
        scenes=_scenes(scene),
        products=_products(scene) if "products" in states else None,
        faces=_known(scene.faces, sorted({*numbers, *_blinking(scene)})) if "faces" in states else None,
        masks=_known(scene.mask, numbers) if "masks" in states else None,
        palettes=_palettes(scene),
        degradations=scene.degrader.truth(),
        calls=_calls(scene),
        structure=_structure(scene),
        prosody=_prosody(scene),
    )


def _known(what: Callable[[int], _Known | None], numbers: Iterable[int]) -> tuple[_Known, ...]:
    return tuple(found for number in numbers if (found := what(number)) is not None)


def _moves(scene: Scene) -> list[TruthSpan]:
    fps = scene.script.fps
    spans = []
    for part, camera in zip(scene.timeline.parts, scene.cameras, strict=True):
        if scene.effects.paced:
            spans += _paced_moves(scene, part, camera)
            continue
        offset, end = part.start / fps, part.end / fps
        for start_s, end_s, label in camera.moves():
            span = (round(offset + start_s, 6), round(min(offset + end_s, end), 6))
            spans.append(TruthSpan(start_s=span[0], end_s=max(span), label=label))
    return spans


def _paced_moves(scene: Scene, part: Part, camera: Camera) -> list[TruthSpan]:
    """The moves as they show, where the picture is slowed or stands still: frame by frame."""
    begun: dict[str, int] = {}
    spans, moves = [], camera.moves()
    for number in range(part.start, part.end + 1):
        t = scene.local(part, number) if number < part.end else -1.0
        labels = {label for start, end, label in moves if start <= t < end}
        if number < part.end and (scene.effects.frozen(number) or not labels):
            labels = {"still"}
        for label in [label for label in begun if label not in labels]:
            start, end = scene.timeline.seconds(begun.pop(label)), scene.timeline.seconds(number)
            spans.append(TruthSpan(start_s=start, end_s=end, label=label))
        for label in labels:
            begun.setdefault(label, number)
    return sorted(spans, key=lambda span: (span.start_s, span.label))


def _scenes(scene: Scene) -> tuple[TruthSpan, ...] | None:
    """Successive shots of one scene are one span; it changes in the middle of a dissolve or fade."""
    names = [str(shot.scene) for shot in scene.script.shots]
    if scene.script.shots[0].scene is None:
        return None
    middles = [(cut.start_s + cut.end_s) / 2 for cut in scene.timeline.cuts()]
    changes = [index for index in range(1, len(names)) if names[index] != names[index - 1]]
    starts = [0.0, *(round(middles[index - 1], 6) for index in changes)]
    ends = [*starts[1:], scene.timeline.seconds(scene.timeline.frames)]
    shown = [names[index] for index in (0, *changes)]
    return tuple(TruthSpan(start_s=a, end_s=b, label=name) for a, b, name in zip(starts, ends, shown, strict=True))


def _products(scene: Scene) -> tuple[TruthSpan, ...]:
    """For each object with a product category the spans in which enough of it is in view, frame by frame."""
    seconds, gap = scene.timeline.seconds, round(BRIDGED_S * scene.script.fps)
    spans: dict[tuple[str, int, str], list[list[int]]] = {}
    for number in range(scene.timeline.frames):
        for seen in scene.seen(number):
            if seen.known.product is None or not seen.clear:
                continue
            mine = spans.setdefault((seen.photograph, seen.number, seen.known.product), [])
            if mine and number - mine[-1][1] <= gap:
                mine[-1][1] = number + 1
            else:
                mine.append([number, number + 1])
    found = [
        TruthSpan(start_s=seconds(start), end_s=seconds(end), label=product)
        for (_, _, product), mine in spans.items()
        for start, end in mine
    ]
    return tuple(sorted(found, key=lambda span: (span.start_s, span.label, span.end_s)))


def _blinking(scene: Scene) -> set[int]:
    """The frames of blinks, with the one before and the one after."""
    shut = [
        number
        for part in scene.timeline.parts
        if scene.script.shots[part.index].blinks
        for number in range(part.start, part.end)
        if scene.shut(part, number)
    ]
    around = {number + step for number in shut for step in (-1, 0, 1)}
    return {number for number in around if 0 <= number < scene.timeline.frames}


def _palettes(scene: Scene) -> tuple[TruthPalette, ...] | None:
    """The colours of shots of patches, while nothing else is mixed in."""
    seconds, found = scene.timeline.seconds, []
    for part, content in zip(scene.timeline.parts, scene.contents, strict=True):
        whole = [n for n in range(part.start, part.end) if scene.timeline.layers(n) == [(part, 1.0)]]
        if content.name is None and whole:
            colours = shares(content.picture)
            found.append(TruthPalette(start_s=seconds(whole[0]), end_s=seconds(whole[-1] + 1), colours=colours))
    return tuple(found) or None


def _calls(scene: Scene) -> tuple[TruthSpan, ...] | None:
    seconds = scene.timeline.seconds
    written = [
        TruthSpan(start_s=seconds(start), end_s=seconds(end), label=overlay.call, text=" ".join(overlay.text.split()))
        for overlay, (start, end) in zip(scene.script.overlays, scene.timeline.overlays, strict=True)
        if overlay.call
    ]
    spoken = [
        TruthSpan(start_s=said.start_s, end_s=said.end_s, label=said.line.call, text=said.line.text)
        for said in (scene.sound.said if scene.sound else ())
        if said.line.call
    ]
    if not (written or spoken or "calls" in scene.script.states):
        return None
    return tuple(sorted([*written, *spoken], key=lambda span: (span.start_s, span.end_s)))


def _structure(scene: Scene) -> tuple[TruthSpan, ...] | None:
    snapped = scene.timeline.frame, scene.timeline.seconds
    spans = tuple(
        TruthSpan(start_s=snapped[1](snapped[0](item.start)), end_s=snapped[1](snapped[0](item.end)), label=item.part)
        for item in scene.script.structure
    )
    return spans or None


def _prosody(scene: Scene) -> tuple[TruthSpan, ...] | None:
    said = scene.sound.said if scene.sound else ()
    spans = tuple(
        TruthSpan(start_s=item.start_s, end_s=item.end_s, label=item.line.prosody) for item in said if item.line.prosody
    )
    return spans or None
