"""Whatever fills a derived folder through the recorder leaves the record from which it can be made again."""

from __future__ import annotations

from pathlib import Path

from reelbench.models import provenance
from reelbench.models.store import ModelStore
from support.weights import MakeCatalog, entry


def store_with(tmp_path: Path, catalog_of: MakeCatalog) -> ModelStore:
    (tmp_path / "mirror/net").mkdir(parents=True)
    (tmp_path / "mirror/net/a.bin").write_bytes(b"net")
    source = {"file": str(tmp_path / "mirror")}
    store = ModelStore(tmp_path / "store", catalog_of(a=entry(b"net", source), b=entry(b"other", source)))
    store.ensure(["net/a.bin"])
    return store


def test_what_was_read_while_a_folder_was_filled_is_its_source(tmp_path: Path, catalog_of: MakeCatalog) -> None:
    store = store_with(tmp_path, catalog_of)
    with provenance.recorded(store, "prepare of net") as seen:
        folder = seen.derived("openvino-1")
        (folder / "network.xml").write_bytes(seen.path("net/a.bin").read_bytes())
        seen.derived("empty-1")
    found = provenance.read(folder)
    assert found is not None
    assert (found.made_by, found.artifacts) == ("prepare of net", {"net/a.bin": store.catalog["net/a.bin"].sha256})
    assert "reelbench" in found.versions
    assert provenance.read(store.derived("empty-1")) is None

    with provenance.recorded(store, "a second start") as seen:
        assert seen.derived("openvino-1") == folder
    assert provenance.read(folder) == found


def test_what_was_filled_before_is_not_claimed_and_a_broken_record_is_none(
    tmp_path: Path, catalog_of: MakeCatalog
) -> None:
    store = store_with(tmp_path, catalog_of)
    folder = store.derived("old-1")
    (folder / "network.xml").write_text("<net/>")
    with provenance.recorded(store, "prepare of net") as seen:
        seen.derived("old-1")
        seen.path("net/a.bin")
    assert provenance.read(folder) is None
    for text in ("", "[]", "{", '{"schema": 2}', '{"schema": 1, "made_by": "x"}'):
        (folder / provenance.FILE).write_text(text)
        assert provenance.read(folder) is None


def test_a_worker_records_what_it_prepares(tmp_path: Path, catalog_of: MakeCatalog) -> None:
    from reelbench.bench.worker import _Worker

    store = store_with(tmp_path, catalog_of)

    class Analyzer:
        def prepare(self, given: provenance.Recorder) -> None:
            (given.derived("made-1") / "network.xml").write_bytes(given.path("net/a.bin").read_bytes())

    worker = _Worker.__new__(_Worker)
    worker._job = type("Job", (), {"analyzer": {"_target_": "some.Analyzer"}})()  # type: ignore[assignment]
    worker._build = lambda: (Analyzer(), store)  # type: ignore[method-assign]
    assert worker._prepare(None)[0] == "done"
    found = provenance.read(store.derived("made-1"))
    assert found is not None
    assert (found.made_by, list(found.artifacts)) == ("prepare of some.Analyzer", ["net/a.bin"])
