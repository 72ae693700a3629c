import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylegan_core.data.layouts.cifar10 import list_cifar10, unpack_cifar10
from stylegan_core.data.sources import PathDisplay, SourceError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path / "cache"))


def write(folder, counts=(("data_batch_1", 3), ("data_batch_2", 2), ("test_batch", 2))):
    """Records as the data set's page describes them: a class, then 1024 red, 1024 green and 1024 blue bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "batches.meta.txt").write_text("airplane\nautomobile\nbird\n\n")
    pictures = {}
    for seed, (batch, count) in enumerate(counts):
        content = b""
        for index in range(count):
            picture = np.random.default_rng([seed, index]).integers(0, 256, (32, 32, 3), np.uint8)
            pictures[f"{batch}/{index:05}.png"] = picture
            content += bytes([index]) + b"".join(picture[..., channel].tobytes() for channel in range(3))
        (folder / f"{batch}.bin").write_bytes(content)
    return pictures


@pytest.mark.parametrize("inner", ["", "cifar-10-batches-bin"])
def test_every_record_is_its_picture_with_its_class_and_its_split(tmp_path, inner):
    expected = write(tmp_path / "cifar" / inner)
    unpacked = unpack_cifar10(tmp_path / "cifar")
    display = PathDisplay(tmp_path).with_moved(unpacked.files, tmp_path / "prepared")
    sources = list_cifar10(tmp_path / "cifar", unpacked, "content", "auto", display)
    assert [s.name for s in sources] == list(expected)
    assert json.loads((unpacked.files.parent / "facts.json").read_bytes()) == {
        "classes": ["airplane", "automobile", "bird"],
        "of": {"data_batch_1": [0, 1, 2], "data_batch_2": [0, 1], "test_batch": [0, 1]},
    }
    for source in sources:
        with Image.open(source.path) as picture:
            np.testing.assert_array_equal(picture, expected[source.name])
        assert source.labels == ("airplane=1", "automobile=1", "bird=1")[int(Path(source.name).stem)]
        assert source.listed_split == ("test" if source.name.startswith("test_batch") else "")
        assert source.display_path == f"prepared/{source.name}"
        assert source.group == "the content collection cifar"


@pytest.mark.parametrize("missing", ["batches.meta.txt", "data_batch_1.bin"])
def test_a_folder_that_is_no_cifar10_says_what_is_expected(tmp_path, missing):
    write(tmp_path, (("data_batch_1", 1), ("test_batch", 1)))
    (tmp_path / missing).unlink()
    with pytest.raises(FileNotFoundError, match=r"is not a binary CIFAR-10 folder: expected data_batch_\*\.bin"):
        unpack_cifar10(tmp_path)


def test_damaged_batches_are_named(tmp_path):
    write(tmp_path)
    batch = tmp_path / "data_batch_2.bin"
    content = batch.read_bytes()
    batch.write_bytes(content[:-1])
    with pytest.raises(SourceError, match=r"data_batch_2\.bin has 6145 bytes, which is not a multiple of 3073"):
        unpack_cifar10(tmp_path)
    batch.write_bytes(b"\x09" + content[1:])
    with pytest.raises(SourceError, match=r"has 1 pictures of class 9, but batches\.meta\.txt names 3 classes"):
        unpack_cifar10(tmp_path)
