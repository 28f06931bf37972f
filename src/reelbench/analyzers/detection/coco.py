"""COCO's 80 object names, and where they sit among the 91 category numbers that TensorFlow's detection models answer with."""

from __future__ import annotations

import numpy as np

_CATEGORIES = """
person bicycle car motorcycle airplane bus train truck boat traffic_light fire_hydrant - stop_sign parking_meter bench bird
cat dog horse sheep cow elephant bear zebra giraffe - backpack umbrella - - handbag tie suitcase frisbee skis snowboard
sports_ball kite baseball_bat baseball_glove skateboard surfboard tennis_racket bottle - wine_glass cup fork knife spoon bowl
banana apple sandwich orange broccoli carrot hot_dog pizza donut cake chair couch potted_plant bed - dining_table - - toilet
- tv laptop mouse remote keyboard cell_phone microwave oven toaster sink refrigerator - book clock vase scissors teddy_bear
hair_drier toothbrush
"""
_BY_CATEGORY = tuple(_CATEGORIES.split())

NAMES: tuple[str, ...] = tuple(name.replace("_", " ") for name in _BY_CATEGORY if name != "-")
"""The 80 names, in COCO's order."""


def _index_by_category() -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    table = np.full(len(_BY_CATEGORY) + 1, -1, np.int64)
    used = [number for number, name in enumerate(_BY_CATEGORY, start=1) if name != "-"]
    table[used] = np.arange(len(used))
    return table


INDEX_BY_CATEGORY = _index_by_category()
"""(91,) integers: category number 1…90 to an index into `NAMES`; -1 for the background (0) and for numbers that COCO left empty."""
