"""CTranslate2's lowered weights are compared with FP32, once a machine; wrong ones are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reelbench.engines import ctranslate2_parity, whisper_random
from reelbench.engines.ctranslate2_parity import encode, prove
from reelbench.engines.parity import ParityError

pytest.importorskip("ctranslate2")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whisper")
    whisper_random.prepare(folder, "tiny")
    return folder / "model.bin"


def test_an_honest_network_is_proven_once(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = prove(tmp_path, model, "cpu", "int8", "int8")
    assert 1e-3 < record["relative"] < 0.4
    monkeypatch.setattr(ctranslate2_parity, "encode", lambda *_: pytest.fail("compared again"))
    assert prove(tmp_path, model, "cpu", "int8", "int8") == record


def test_a_wrong_one_is_refused_and_stays_so(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(folder: Path, device: str, compute: str, sound: np.ndarray) -> np.ndarray:
        # As a processor with a faulty 8-bit kernel would answer.
        return encode(folder, device, compute, sound) * (0.3 if compute == "int8" else 1)

    monkeypatch.setattr(ctranslate2_parity, "encode", faulty)
    with pytest.raises(ParityError, match=r"relative error 0.7 \(at most 0.4\)"):
        prove(tmp_path, model, "cpu", "int8", "int8")
    monkeypatch.undo()
    with pytest.raises(ParityError, match="does not compute here"):
        prove(tmp_path, model, "cpu", "int8", "int8")
