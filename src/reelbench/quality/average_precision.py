"""COCO's mean average precision, by faster-coco-eval, from boxes in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reelbench.quality.instants import Instant, Seen

MOST_BOXES = 100
"""COCO's own bound: of each label, at each instant, the best 100 boxes count."""


def average_precision(instants: Sequence[Instant]) -> dict[str, float]:
    """``map50`` (IoU 0.5) and ``map`` (mean over IoU 0.50, 0.55 … 0.95), each the mean over the labels that the truth holds.

    Every instant is one image. ``ignore`` is COCO's ``iscrowd``. Empty where the truth holds no judged object: there is no such
    figure then.
    """
    labels = sorted({one.label for instant in instants for one in instant.expected if not one.ignore})
    if not labels:
        return {}
    precision = _evaluate(instants, {label: index for index, label in enumerate(labels, start=1)})
    # T×R×K: IoU thresholds, recall levels, labels.
    return {"map50": float(precision[0].mean()), "map": float(precision.mean())}


def _evaluate(instants: Sequence[Instant], ids: dict[str, int]) -> Any:
    import numpy as np
    from faster_coco_eval import COCO, COCOeval_faster

    truth = COCO(
        {
            "info": {},
            "images": [{"id": index} for index in range(1, len(instants) + 1)],
            "categories": [{"id": number, "name": label} for label, number in ids.items()],
            "annotations": _number(
                {**_annotation(one, image, ids), "iscrowd": int(one.ignore)}
                for image, instant in enumerate(instants, start=1)
                for one in instant.expected
                if one.label in ids
            ),
        },
        print_function=_silent,
    )
    found = truth.loadRes(
        [
            {**_annotation(one, image, ids), "score": one.score}
            for image, instant in enumerate(instants, start=1)
            for one in instant.found
            if one.label in ids
        ]
    )
    evaluation = COCOeval_faster(truth, found, iouType="bbox", print_function=_silent)
    # Only what is read below: objects of every size, the best MOST_BOXES boxes.
    evaluation.params.areaRng, evaluation.params.areaRngLbl = evaluation.params.areaRng[:1], ["all"]
    evaluation.params.maxDets = [MOST_BOXES]
    evaluation.evaluate()
    evaluation.accumulate()
    return np.asarray(evaluation.eval["precision"])[:, :, :, 0, 0]


def _annotation(one: Seen, image: int, ids: dict[str, int]) -> dict[str, Any]:
    x1, y1, x2, y2 = one.box
    width, height = max(0.0, x2 - x1), max(0.0, y2 - y1)
    box = [x1, y1, width, height]
    return {"image_id": image, "category_id": ids[one.label], "bbox": box, "area": width * height}


def _number(annotations: Any) -> list[dict[str, Any]]:
    # From 1: the evaluation reads id 0 as 'not matched'.
    return [{**annotation, "id": number} for number, annotation in enumerate(annotations, start=1)]


def _silent(*_: object) -> None:
    pass
