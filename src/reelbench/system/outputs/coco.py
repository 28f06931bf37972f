"""The boxes of object detection as one COCO file: an image for each sampled instant, an annotation for each object in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from reelbench.analyzers.detection.coco import INDEX_BY_CATEGORY, NAMES
from reelbench.paths import write_text
from reelbench.results import Event
from reelbench.system.folder import SystemFolder
from reelbench.system.outputs.reading import Export, clip_outputs
from reelbench.system.outputs.records import ClipOutput, Done

OBJECTS = "object_detection"
FILE = "coco.json"
# COCO's own numbers end at 90; other labels are numbered from here in alphabetical order.
_FIRST_OTHER = 1001


def write_coco(folder: SystemFolder, out: Path) -> Export:
    """``out``/coco.json. A clip on which object detection did not finish has no images, and a note. OutputError: cannot be written."""
    done = Export([out / FILE])
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for clip in clip_outputs(folder):
        found = clip.done(OBJECTS)
        if found is None:
            done.notes.append(f"{clip.clip.name}: not in {FILE}: {clip.why_not(OBJECTS)}")
            continue
        for image, boxes in _instants(clip, found):
            image["id"] = len(images) + 1
            images.append(image)
            annotations += [
                box | {"id": len(annotations) + n, "image_id": image["id"]} for n, box in enumerate(boxes, 1)
            ]
    numbers = category_numbers({one["label"] for one in annotations})
    for one in annotations:
        one["category_id"] = numbers[one.pop("label")]
    whole = {
        "info": {"description": f"{OBJECTS} of run {folder.record.id}", "version": "1", "missing": done.notes},
        "licenses": [],
        "images": images,
        "categories": [{"id": number, "name": label} for label, number in numbers.items()],
        "annotations": annotations,
    }
    write_text(done.files[0], to_json(whole, inf_nan_mode="null").decode(), exact=True)
    return done


def category_numbers(labels: set[str]) -> dict[str, int]:
    """COCO's number of each of its 80 names, and of each other label one beyond them."""
    official = {NAMES[index]: number for number, index in enumerate(INDEX_BY_CATEGORY.tolist()) if index >= 0}
    others = sorted(labels - official.keys())
    return official | {label: number for number, label in enumerate(others, start=_FIRST_OTHER)}


def _instants(clip: ClipOutput, found: Done) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Every sampled instant with the boxes that are known of it.

    ``key`` is 1 where the detector saw the object in that very frame, 0 where its place follows from the frames around it.
    """
    for t_s in found.sampled_s:
        image = {
            "file_name": f"{clip.clip.name}@{t_s:.3f}",
            "width": clip.clip.width,
            "height": clip.clip.height,
            "clip": clip.clip.name,
            "t_s": t_s,
        }
        yield image, [box for event in found.events if (box := _annotation(event, t_s)) is not None]


def _annotation(event: Event, t_s: float) -> dict[str, Any] | None:
    at = event.box_at(t_s)
    if at is None:
        return None
    x1, y1, x2, y2 = at.box
    width, height = x2 - x1, y2 - y1
    return {
        "label": event.label,
        "bbox": [x1, y1, width, height],
        "area": width * height,
        "iscrowd": 0,
        "score": at.score,
        "key": int(not event.track or any(key.t_s == t_s for key in event.track)),
    }
