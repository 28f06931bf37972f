"""CTranslate2's lowered weights are compared with FP32, once a machine; wrong ones are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reelbench.engines import ctranslate2_parity, whisper_random
from reelbench.engines.lowered import LoweredNetwork, prove
from reelbench.engines.parity import ParityError

pytest.importorskip("ctranslate2")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whisper")
    whisper_random.prepare(folder, "tiny")
    return folder / "model.bin"


def _network(folder: Path, model: Path) -> LoweredNetwork:
    return ctranslate2_parity.lowered(folder, model, "cpu", "int8", "int8")


def test_an_honest_network_is_proven_once(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = prove(_network(tmp_path, model))
    assert 1e-3 < record["relative"] < 0.4
    monkeypatch.setattr(ctranslate2_parity, "open_whisper", lambda *_: pytest.fail("compared again"))
    assert prove(_network(tmp_path, model)) == record


@pytest.mark.parametrize(("part", "said"), [("encode", "encoder"), ("_first_step", "decoder")])
def test_a_wrong_one_is_refused_and_stays_so(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, part: str, said: str
) -> None:
    honest = getattr(ctranslate2_parity, part)

    def faulty(network: Any, given: Any) -> Any:
        # As a processor with a faulty 8-bit kernel would answer.
        return np.asarray(honest(network, given)) * (0.3 if network.compute_type == "int8_float32" else 1)

    monkeypatch.setattr(ctranslate2_parity, part, faulty)
    if part == "encode":  # the decoder takes nothing but CTranslate2's own arrays
        monkeypatch.setattr(ctranslate2_parity, "_first_step", lambda *_: np.ones(3, np.float32))
    with pytest.raises(ParityError, match=rf"relative error 0.7 \(at most 0.4\).* at output {said}"):
        prove(_network(tmp_path, model))
    monkeypatch.undo()
    with pytest.raises(ParityError, match="does not compute here"):
        prove(_network(tmp_path, model))
