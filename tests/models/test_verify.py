"""``models verify``: three ways to look, damaged files put aside instead of lost, and fetched again."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save

from reelbench.cli.models.verify import command
from reelbench.errors import OutputError, WeightsError
from reelbench.models import leases, quarantine
from reelbench.models.store import ModelStore
from support.weights import MakeCatalog, entry

NET = save({"a": np.arange(1000, dtype=np.float32)})
PLAIN = os.urandom(5000)


@pytest.fixture
def store(tmp_path: Path, catalog_of: MakeCatalog, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """A store that holds net/a.bin and net/b.bin, and a mirror that has them too."""
    for name, content in (("a", NET), ("b", PLAIN)):
        (tmp_path / "mirror/net").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"mirror/net/{name}.bin").write_bytes(content)
    source = {"file": str(tmp_path / "mirror")}
    catalog = catalog_of(a=entry(NET, source), b=entry(PLAIN, source))
    made = ModelStore(tmp_path / "store", catalog)
    made.ensure(["net/a.bin", "net/b.bin"])
    monkeypatch.setenv("REELBENCH_MODEL_STORE", str(made.root))
    monkeypatch.setenv("REELBENCH_CATALOG", str(tmp_path / "conf"))
    return made


def damage(path: Path) -> None:
    """The same size, another byte in the middle."""
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)


def states(store: ModelStore, how: str) -> list[str]:
    return [status.state for status in store.verify(["net/a.bin", "net/b.bin"], how)]  # type: ignore[arg-type]


def test_changed_reads_only_what_changed(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from reelbench.models import hashes

    damage(store.root / "net/b.bin")
    real, read = hashes.sha256_of, []
    monkeypatch.setattr(hashes, "sha256_of", lambda path: (read.append(path.name), real(path))[1])
    assert states(store, "changed") == ["verified", "damaged"]
    assert read == ["b.bin"]
    assert states(store, "all") == ["verified", "damaged"]
    assert read == ["b.bin", "a.bin", "b.bin"]


def test_header_finds_a_broken_safetensors_without_reading_it(tmp_path: Path, catalog_of: MakeCatalog) -> None:
    catalog_of(a=entry(NET, {"file": "/nowhere"}))
    file = tmp_path / "conf/weights/net.yaml"
    file.write_text(file.read_text().replace("net/a.bin", "net/a.safetensors"))
    from reelbench.models.catalog import Catalog

    store = ModelStore(tmp_path / "store", Catalog.load(tmp_path / "conf"))
    target = store.root / "net/a.safetensors"
    target.parent.mkdir(parents=True)
    target.write_bytes(NET)
    assert [one.state for one in store.verify(["net/a.safetensors"], "header")] == ["present"]
    target.write_bytes(b"\xff" * len(NET))
    (found,) = store.verify(["net/a.safetensors"], "header")
    assert (found.state, "safetensors" in found.found) == ("damaged", True)
    target.write_bytes(NET[:-1])
    assert "bytes instead of" in store.verify(["net/a.safetensors"], "header")[0].found


def test_a_damaged_file_is_put_aside_with_its_reason_and_fetched_again(store: ModelStore) -> None:
    damage(store.root / "net/b.bin")
    wrong = (store.root / "net/b.bin").read_bytes()
    done = CliRunner().invoke(command, ["net/a.bin", "net/b.bin", "--refetch", "--json"])
    assert done.exit_code == 0, done.output
    answer = {one["id"]: one for one in json.loads(done.stdout)["artifacts"]}
    assert [answer[name]["state"] for name in ("net/a.bin", "net/b.bin")] == ["verified", "verified"]
    assert answer["net/a.bin"]["put_aside"] is None
    aside = Path(answer["net/b.bin"]["put_aside"])
    assert aside.read_bytes() == wrong
    assert "sha256" in json.loads((aside.parents[1] / "why.json").read_text())["found"]
    assert (store.root / "net/b.bin").read_bytes() == PLAIN


def test_quarantine_alone_says_what_to_do_and_ends_with_4(store: ModelStore) -> None:
    damage(store.root / "net/b.bin")
    done = CliRunner().invoke(command, ["net", "--quarantine"])
    assert isinstance(done.exception, WeightsError)
    assert "1 put aside into" in done.exception.message
    assert done.exception.hint == "run 'reelbench models pull net/b.bin'"
    assert store.status("net/b.bin").state == "missing"
    assert states(store, "all") == ["verified", "missing"]


def test_a_file_that_a_run_holds_or_that_was_mended_stays(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "_WAIT_S", 0.2)
    damage(store.root / "net/b.bin")
    found = store.verify(["net/b.bin"])
    with leases.hold([store.root / "net/b.bin"]), pytest.raises(WeightsError, match="a run is using it"):
        store.quarantine(found)
    time.sleep(0.06)
    (store.root / "net/b.bin").write_bytes(PLAIN)
    assert store.quarantine(found) == []
    assert store.verify(["net/b.bin"])[0].ok


def test_a_link_is_left_where_it_is(store: ModelStore, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"x")
    (store.root / "net/b.bin").unlink()
    (store.root / "net/b.bin").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="no plain file"):
        store.quarantine(store.verify(["net/b.bin"]))
    assert (tmp_path / "elsewhere").read_bytes() == b"x"
