"""Near-duplicates: noise is none, something small that appears is news."""

from __future__ import annotations

import numpy as np
import pytest

from reelbench.media import NearDuplicates


@pytest.fixture
def scene() -> np.ndarray:
    x = np.linspace(40, 200, 300)
    return np.repeat((x[:, None] / 2 + x[None, :] / 2)[..., None], 3, axis=2).astype(np.uint8)


def test_noise_is_a_duplicate(scene: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    near = NearDuplicates(2.0)
    assert not near.is_duplicate(scene)
    for _ in range(5):
        noisy = (scene.astype(int) + rng.integers(-6, 7, scene.shape)).clip(0, 255).astype(np.uint8)
        assert near.is_duplicate(noisy)


@pytest.mark.parametrize("place", [(0, 0), (133, 91), (270, 270)])
@pytest.mark.parametrize("layout", ["colour", "gray"])
def test_a_small_thing_that_appears_is_noticed(place: tuple[int, int], layout: str, scene: np.ndarray) -> None:
    near = NearDuplicates(2.0)
    after = scene.copy()
    after[place[0] : place[0] + 24, place[1] : place[1] + 24] ^= 128
    before, after = (scene, after) if layout == "colour" else (scene[..., 0], after[..., 0])
    assert not near.is_duplicate(before)
    assert near.is_duplicate(before.copy())
    assert abs(after.astype(float) - before).mean() < 1.5, "the mean alone would miss it"
    assert not near.is_duplicate(after)
    assert near.is_duplicate(after)


def test_slow_change_adds_up() -> None:
    """Each frame is compared with the last one kept, not with the last one seen."""
    near = NearDuplicates(2.0)
    kept = [step for step in range(20) if not near.is_duplicate(np.full((300, 300, 3), 100 + step, np.uint8))]
    assert kept == [0, 3, 6, 9, 12, 15, 18]


def test_reset_and_zero(scene: np.ndarray) -> None:
    near = NearDuplicates(0.0)
    assert [near.is_duplicate(scene), near.is_duplicate(scene), near.is_duplicate(scene + 1)] == [False, True, False]
    near.reset()
    assert not near.is_duplicate(scene + 1)
    with pytest.raises(ValueError, match="0 or more"):
        NearDuplicates(-1.0)
