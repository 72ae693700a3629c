import io
import sys

import numpy as np
import pytest
from PIL import Image

from stylegan_core.data.layouts.lsun import list_lsun, unpack_lsun
from stylegan_core.data.sources import PathDisplay, SourceError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path / "cache"))


def encoded(seed, kind):
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 20, 3), np.uint8)).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("chosen", ["", "tower_val_lmdb"])
def test_databases_are_unpacked_byte_for_byte_and_name_their_splits(tmp_path, chosen):
    lmdb = pytest.importorskip("lmdb")
    expected = {}
    for name, kind, suffix in (("tower_train_lmdb", "WEBP", "webp"), ("tower_val_lmdb", "JPEG", "jpg")):
        place = tmp_path / "lsun" / name
        place.mkdir(parents=True)
        with lmdb.open(str(place), map_size=1 << 20) as database, database.begin(write=True) as transaction:
            for index in range(3):
                value = encoded(index, kind)
                transaction.put(f"key{index}".encode(), value)
                expected[f"{name}/0000/{index:08}.{suffix}"] = value
    folder = tmp_path / "lsun" / chosen
    unpacked = unpack_lsun(folder)
    display = PathDisplay(tmp_path).with_moved(unpacked.files, tmp_path / "prepared")
    sources = list_lsun(folder, unpacked, "content", "auto", display)
    wanted = {name: value for name, value in expected.items() if name.startswith(chosen)}
    assert {s.name: s.path.read_bytes() for s in sources} == wanted
    for source in sources:
        assert source.listed_split == ("" if "train" in source.name else "validation")
        assert source.display_path == f"prepared/{source.name}"


def test_a_database_without_the_package_says_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "tower_train_lmdb").mkdir()
    (tmp_path / "tower_train_lmdb" / "data.mdb").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(SourceError, match=r"pip install lmdb.*or export the pictures"):
        unpack_lsun(tmp_path)


def test_a_damaged_database_is_named(tmp_path):
    pytest.importorskip("lmdb")
    (tmp_path / "tower_train_lmdb").mkdir()
    (tmp_path / "tower_train_lmdb" / "data.mdb").write_bytes(b"\x00" * 8192)
    with pytest.raises(SourceError, match="tower_train_lmdb cannot be read"):
        unpack_lsun(tmp_path)


def test_exported_pictures_are_listed_as_they_lie(tmp_path):
    for name in ("tower_train/0/a.webp", "tower_val/b.webp", "c.webp"):
        (tmp_path / "lsun" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lsun" / name).write_bytes(encoded(0, "WEBP"))
    assert unpack_lsun(tmp_path / "lsun") is None
    sources = list_lsun(tmp_path / "lsun", None, "content", "auto", PathDisplay(tmp_path))
    assert [(s.display_path, s.listed_split) for s in sources] == [
        ("lsun/c.webp", ""),
        ("lsun/tower_train/0/a.webp", ""),
        ("lsun/tower_val/b.webp", "validation"),
    ]
