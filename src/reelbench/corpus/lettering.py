"""Overlay texts, drawn once and laid over every frame of their interval."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reelbench.corpus.script import Overlay
from reelbench.errors import InputError
from reelbench.media.types import Image
from reelbench.results import Box


@dataclass(frozen=True, slots=True)
class Lettering:
    """One overlay. ``text`` is as wrapped, ``box`` surrounds the glyphs with their outline, ``cover`` everything painted.

    ``paint`` (h×w×3, colour times opacity, 0…255·255) and ``keep`` (h×w×1, 255 − opacity) lie at (``left``, ``top``).
    """

    text: str
    box: Box
    cover: Box
    opaque: bool
    left: int
    top: int
    paint: NDArray[np.uint32]
    keep: NDArray[np.uint32]

    def lay_over(self, image: Image) -> None:
        """Paint onto an H×W×3 frame in place."""
        height, width = self.keep.shape[:2]
        part = image[self.top : self.top + height, self.left : self.left + width]
        part[:] = ((part * self.keep + self.paint + 127) // 255).astype(np.uint8)


def letter(overlay: Overlay, font_file: Path, frame: tuple[int, int], where: str) -> Lettering:
    """Draw one overlay. InputError (naming ``where``): a glyph that the font lacks, or a text that leaves the frame."""
    from PIL import Image as Pictures
    from PIL import ImageDraw

    font = _font(font_file, overlay.size)
    _check_glyphs(overlay, font, where)
    text = wrap(overlay.text, font, overlay.width * frame[0])
    stroke = overlay.outline.width if overlay.outline else 0
    place = {"xy": (overlay.x * frame[0], overlay.y * frame[1]), "text": text, "font": font, "anchor": "mm"}
    layout = {**place, "align": "center", "spacing": overlay.size * 0.15, "stroke_width": stroke}
    canvas = Pictures.new("RGBA", frame, (0, 0, 0, 0))
    draw = ImageDraw.Draw(canvas)
    x1, y1, x2, y2 = draw.multiline_textbbox(**layout)
    padding = overlay.background.padding if overlay.background else 0
    if x1 - padding < 0 or y1 - padding < 0 or x2 + padding > frame[0] or y2 + padding > frame[1]:
        raise InputError(
            f"{where}: the text leaves the frame: x {x1 - padding:.0f}…{x2 + padding:.0f}, "
            f"y {y1 - padding:.0f}…{y2 + padding:.0f} of {frame[0]}×{frame[1]}",
            "make it smaller, or move it",
        )
    if overlay.background:
        fill = (*rgb(overlay.background.colour), round(255 * overlay.background.opacity))
        panel = (x1 - padding, y1 - padding, x2 + padding, y2 + padding)
        draw.rounded_rectangle(panel, radius=overlay.background.radius, fill=fill)
    glyphs = Pictures.new("RGBA", frame, (0, 0, 0, 0))
    edge = (*rgb(overlay.outline.colour), 255) if overlay.outline else None
    ImageDraw.Draw(glyphs).multiline_text(**layout, fill=(*rgb(overlay.colour), 255), stroke_fill=edge)
    ink = glyphs.getchannel("A").getbbox()
    canvas.alpha_composite(glyphs)
    cover = canvas.getchannel("A").getbbox()
    if ink is None or cover is None:
        raise InputError(f"{where}: the text draws nothing with this font")
    opaque = overlay.background is not None and overlay.background.opacity >= 0.5
    painted = np.asarray(canvas.crop(cover)).astype(np.uint32)
    alpha = painted[:, :, 3:]
    return Lettering(
        text, _floats(ink), _floats(cover), opaque, cover[0], cover[1], painted[:, :, :3] * alpha, 255 - alpha
    )


def wrap(text: str, font: Any, width: float) -> str:
    """Break lines between words so that none is wider than ``width`` pixels, where words allow it, and all are about as long."""
    wrapped = []
    for paragraph in text.split("\n"):
        words = paragraph.split()
        widest, count = int(width), len(_fill(words, font, width))
        narrowest = 1
        while narrowest < widest:  # the narrowest column that takes no more lines
            middle = (narrowest + widest) // 2
            if len(_fill(words, font, middle)) <= count:
                widest = middle
            else:
                narrowest = middle + 1
        wrapped += _fill(words, font, widest)
    return "\n".join(wrapped)


def _fill(words: list[str], font: Any, width: float) -> list[str]:
    lines, line = [], ""
    for word in words:
        longer = f"{line} {word}".strip()
        if line and font.getlength(longer) > width:
            lines.append(line)
            line = word
        else:
            line = longer
    return [*lines, line]


def rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


@lru_cache(maxsize=32)
def _font(path: Path, size: int) -> Any:
    from PIL import ImageFont

    # The basic layout needs no optional library, so a text looks the same everywhere.
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def _check_glyphs(overlay: Overlay, font: Any, where: str) -> None:
    def shape(character: str) -> tuple[Any, bytes]:
        mask = font.getmask(character)
        return mask.size, bytes(mask)

    missing = shape("\U0010fffd")
    for character in sorted(set(overlay.text) - set(" \n")):
        if shape(character) == missing:
            raise InputError(f"{where}: font '{overlay.font}' has no glyph for '{character}'", "choose another font")


def _floats(box: tuple[int, int, int, int]) -> Box:
    return float(box[0]), float(box[1]), float(box[2]), float(box[3])
