"""product_detection: the taxonomy, who is believed, when it looks; a real cup and a real motorcycle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from reelbench.analyzers.base import Material
from reelbench.analyzers.products.taxonomy import CLASSES, Taxonomy, read_taxonomy
from reelbench.analyzers.products.things import Deciding, Thing, judge, scene_events
from reelbench.errors import ConfigError
from reelbench.media.types import ClipInfo, Frame
from reelbench.models.store import ModelStore
from reelbench.results import AnalyzerResult, Event
from support.contract import StrictPhases, ready

ESPRESSO, MOPED, LIPSTICK, TABBY = 967, 665, 629, 281
NAMES = [str(number) for number in range(CLASSES)]


@pytest.fixture(scope="module")
def taxonomy() -> Taxonomy:
    return read_taxonomy()


def _taken_for(number: int, share: float) -> NDArray[np.float32]:
    probabilities = np.zeros(CLASSES, np.float32)
    probabilities[number] = share
    return probabilities


def _object(label: str, score: float = 0.6) -> Event:
    return Event(start_s=1.0, end_s=3.0, label=label, score=score, box=(0, 0, 10, 10))


def test_the_shipped_taxonomy_knows_objects_and_classes(taxonomy: Taxonomy) -> None:
    assert taxonomy.of_coco["cup"] == "drinkware" and "person" not in taxonomy.of_coco
    assert taxonomy.best(_taken_for(LIPSTICK, 0.7)) == ("cosmetics", pytest.approx(0.7))
    assert taxonomy.best(_taken_for(TABBY, 0.9))[1] == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: {coco: [cup]}\nb: {coco: [cup]}", "'cup' is in a and in b"),
        ("a: {imagenet: [3]}\nb: {imagenet: [3]}", "class 3 is in two"),
        ("a: {imagenet: [1000]}", "imagenet"),
        ("a: {colour: red}", "colour"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_wrong_taxonomy_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_taxonomy(file)


def test_name_and_picture_agree_disagree_or_say_nothing(taxonomy: Taxonomy) -> None:
    how = Deciding()

    def judged(label: str, score: float, *seen: NDArray[np.float32]) -> tuple[str, float] | None:
        event = judge(Thing(_object(label, score), list(seen)), taxonomy, how, NAMES)
        return (event.label, round(event.score, 2)) if event else None

    assert judged("cup", 0.6) == ("drinkware", 0.6)
    assert judged("cup", 0.6, _taken_for(ESPRESSO, 0.5)) == ("drinkware", 0.8)
    assert judged("bowl", 0.4, _taken_for(ESPRESSO, 0.9)) == ("drinkware", 0.9)
    assert judged("bowl", 0.6, _taken_for(ESPRESSO, 0.9)) == ("tableware", 0.6)
    assert judged("bowl", 0.6, _taken_for(ESPRESSO, 0.4)) == ("tableware", 0.6)
    assert judged("cup", 0.2) is None  # too unsure of its name, and never looked at
    assert judged("bus", 0.9, _taken_for(TABBY, 0.9)) is None
    assert judged("bus", 0.9, _taken_for(MOPED, 0.8)) == ("vehicle", 0.8)


def test_the_whole_picture_tells_what_no_object_does(taxonomy: Taxonomy) -> None:
    looks = [(0.0, _taken_for(LIPSTICK, 0.8)), (2.0, _taken_for(LIPSTICK, 0.9)), (4.0, _taken_for(TABBY, 0.9))]
    (event,) = scene_events(looks, taxonomy, 0.5, 6.0, [], NAMES)
    assert (event.label, event.start_s, event.end_s, event.attributes["looks"]) == ("cosmetics", 0.0, 4.0, 2)
    told = Event(start_s=0, end_s=6, label="cosmetics", score=0.5)
    assert scene_events(looks, taxonomy, 0.5, 6.0, [told], NAMES) == []


def test_an_object_is_looked_at_at_once_and_then_at_equal_shares_of_its_time() -> None:
    thing, when = Thing(_object("cup")), []
    for t_s in (0.5, 1.2, 1.5, 2.0, 2.5, 3.5):
        if thing.due(t_s, 2) is not None:
            when.append(t_s)
            thing.seen.append(_taken_for(ESPRESSO, 1.0))
    assert when == [1.2, 2.0]


@pytest.mark.parametrize(
    ("photograph", "label", "box", "category", "name"),
    [
        ("coffee.png", "cup", (173, 18, 409, 307), "drinkware", "espresso"),
        ("motorcycle_left.png", "motorcycle", (91, 16, 685, 453), "vehicle", "moped"),
    ],
)
def test_real_things(photograph: str, label: str, box: tuple[float, ...], category: str, name: str) -> None:
    artifact = f"photographs/{photograph}"
    with Image.open(ModelStore().ensure([artifact])[artifact]) as image:
        picture = np.asarray(image.convert("RGB"))
    info = ClipInfo(Path("clip.mp4"), picture.shape[1], picture.shape[0], 2.0, 30.0, "h264", "yuv420p")
    found = Event(start_s=0, end_s=2.0, label=label, score=0.4, box=box)  # type: ignore[arg-type]
    given = {
        "object_detection": AnalyzerResult(analyzer="object_detection", clip="clip", duration_s=2.0, events=(found,))
    }
    shown = (Frame(picture, float(at), at) for at in range(2))
    result = ready("product_detection", "optimized").analyzer.analyze(
        Material("clip", info, StrictPhases(), shown, upstream=given)
    )
    event = next(one for one in result.events if one.attributes["object"] == label)
    assert (event.label, event.attributes["name"]) == (category, name)
    assert event.score > 0.8 and event.box == found.box
