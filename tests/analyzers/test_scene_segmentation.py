"""What is special about scene_segmentation: how the network's answers become shots, and shots scenes; and the network itself."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from reelbench.analyzers.shots.detectors import Change, read
from reelbench.analyzers.shots.network import build, histograms
from reelbench.analyzers.shots.scenes import look, scenes, shots
from reelbench.engines.torch_file import read_tensors
from reelbench.errors import WeightsError
from reelbench.models.store import ModelStore
from support.moving import texture, window

TIMES = [i / 30 for i in range(100)]


def test_a_peak_is_a_cut_at_the_next_frame_and_a_plateau_a_gradual_change() -> None:
    single, many = np.zeros(100, np.float32), np.zeros(100, np.float32)
    single[19], many[19] = 0.9, 0.8
    many[50:62], single[55] = 0.9, 0.6
    cut, gradual = read(TIMES, single, many, 0.35, 0.5, 0.15)
    assert (cut.kind, cut.start_s, cut.end_s) == ("cut", 20 / 30, 20 / 30)
    assert (gradual.kind, gradual.start_s, gradual.end_s) == ("gradual", 50 / 30, 61 / 30)


def test_shots_of_one_place_are_one_scene_and_a_return_is_a_scene_of_the_same_place() -> None:
    street, kitchen = texture(1), texture(2) // 5
    views = [(street, 50), (street, 70), (kitchen, 50), (street, 60)]
    pictures = [window(picture, x) for picture, x in views for _ in range(25)]
    found = shots(TIMES, [Change(i * 25 / 30, i * 25 / 30, "cut", 1.0) for i in (1, 2, 3)], 100 / 30)
    looks = [look(pictures, shot) for shot in found]
    how = {"alike": 0.8, "reach_shots": 3, "layout_share": 0.2}
    groups = scenes(found, looks, reach_s=0.5, cutaway_s=1.0, **how)
    assert [scene.shots for scene in groups] == [(0, 1), (2,), (3,)]
    assert [scene.place for scene in groups] == [0, 1, 0]
    # Within reach the return closes the scene around a short cutaway (0.83 s), but not around more.
    assert len(scenes(found, looks, reach_s=2.0, cutaway_s=1.0, **how)) == 1
    assert [scene.shots for scene in scenes(found, looks, reach_s=2.0, cutaway_s=0.5, **how)] == [(0, 1), (2,), (3,)]
    # Two who speak in turn are one scene, however long each does.
    turns = [looks[0], looks[2], looks[1], looks[2]]
    assert [scene.shots for scene in scenes(found, turns, reach_s=2.0, cutaway_s=0.5, **how)] == [(0, 1, 2, 3)]


def test_a_weights_file_that_wants_to_run_something_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (print, ("ran",))

    file = tmp_path / "evil.pth"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"weight": Evil()}, protocol=2))
    with pytest.raises(WeightsError, match=r"evil\.pth .* asks for __builtin__\.print"):
        read_tensors(file)


@pytest.mark.torch
def test_the_graph_answers_as_the_published_network_does() -> None:
    """The same layers in PyTorch, written from the paper's description and filled with the same weights."""
    torch = pytest.importorskip("torch", reason="the extra 'torch' is not installed")
    import openvino as ov

    name = "transnetv2/transnetv2-pytorch-weights.pth"
    weights = read_tensors(ModelStore().ensure([name])[name])
    frames = np.stack([window(texture(1 + i // 30), 60 + i)[:27, :48] for i in range(100)])
    compiled = ov.compile_model(build(weights, 100), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    mine = list(compiled([frames, histograms(frames)]).values())
    theirs = _published(torch, {key: torch.from_numpy(value.copy()) for key, value in weights.items()}, frames)
    assert max(float(np.abs(a - b).max()) for a, b in zip(mine, theirs, strict=True)) < 1e-3


def _published(torch, weights, frames):  # type: ignore[no-untyped-def]
    functional = torch.nn.functional
    x = torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 255
    means = []
    for block in range(3):
        first = None
        for cell in range(2):
            name = f"SDDCNN.{block}.DDCNN.{cell}"
            ways = []
            for dilation in (1, 2, 4, 8):
                space, time = (weights[f"{name}.Conv3D_{dilation}.layers.{i}.weight"] for i in (0, 1))
                over = functional.conv3d(x, space, padding=(0, 1, 1))
                ways.append(functional.conv3d(over, time, padding=(dilation, 0, 0), dilation=(dilation, 1, 1)))
            norm = [weights[f"{name}.bn.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
            x = functional.relu(functional.batch_norm(torch.cat(ways, 1), *norm, eps=1e-3))
            first = x if first is None else first
        x = functional.avg_pool3d(x + first, (1, 2, 2))
        means.append(x.mean(dim=(3, 4)))
    seen = x.permute(0, 2, 3, 4, 1).reshape(len(frames), -1)

    def linear(value, name):  # type: ignore[no-untyped-def]
        return functional.linear(value, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def around(value, name):  # type: ignore[no-untyped-def]
        like = functional.pad(value @ value.T, (50, 50))
        return functional.relu(linear(torch.stack([row[i : i + 101] for i, row in enumerate(like)]), name))

    projected = functional.normalize(linear(torch.cat(means, 1)[0].T, "frame_sim_layer.projection"), dim=1)
    alike = around(torch.from_numpy(histograms(frames)), "color_hist_layer.fc")
    hidden = functional.relu(linear(torch.cat([alike, around(projected, "frame_sim_layer.fc"), seen], 1), "fc1"))
    return [torch.sigmoid(linear(hidden, name))[:, 0].numpy() for name in ("cls_layer1", "cls_layer2")]
