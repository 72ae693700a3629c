import json

import numpy as np
import pytest

from stylegan_core.data.store import SampleStore, StoreError, StoreWriter, to_samples, to_unit


def picture(height=5, width=7, channels=3, seed=0):
    return np.random.default_rng(seed).random((height, width, channels), np.float32)


@pytest.mark.parametrize(("sample_type", "error"), [("uint8", 0.5 / 255), ("uint16", 0.5 / 65535), ("half", 2**-12)])
def test_pictures_come_back_within_the_precision_of_the_sample_type(tmp_path, sample_type, error):
    pictures = [picture(5, 7), picture(3, 2, 1, seed=1), picture(64, 9, seed=2)]
    with StoreWriter(tmp_path, "srgb", sample_type) as writer:
        assert [writer.add(p) for p in pictures] == [0, 1, 2]
    store = SampleStore.open(tmp_path)
    assert (len(store), store.working_space, store.sample_type) == (3, "srgb", sample_type)
    for index, expected in enumerate(pictures):
        assert store.sample(index).shape == expected.shape
        np.testing.assert_allclose(store.unit(index), expected, atol=error * 1.001)


@pytest.mark.parametrize("sample_type", ["uint8", "uint16"])
def test_codes_survive_unit_range_exactly(sample_type):
    codes = np.arange(256 if sample_type == "uint8" else 65536, dtype=sample_type).reshape(-1, 1, 1)
    np.testing.assert_array_equal(to_samples(to_unit(codes), sample_type), codes)


def test_half_keeps_highlights_and_integers_clip():
    unit = np.array([[[-0.5, 1.0, 40.0]]], np.float32)
    np.testing.assert_array_equal(to_samples(unit, "half"), unit.astype(np.float16))
    np.testing.assert_array_equal(to_samples(unit, "uint8"), [[[0, 255, 255]]])


def test_pixels_that_are_not_numbers_become_black_and_infinite_ones_the_largest():
    unit = np.array([[[np.nan, np.inf, -np.inf]]], np.float32)
    np.testing.assert_array_equal(to_samples(unit, "half"), np.array([[[0, 65504, -65504]]], np.float16))
    np.testing.assert_array_equal(to_samples(unit, "uint8"), [[[0, 255, 0]]])


def test_equal_pictures_give_equal_bytes_and_digests(tmp_path):
    for name in ("a", "b"):
        with StoreWriter(tmp_path / name, "srgb", "uint8") as writer:
            writer.add(picture())
    assert (tmp_path / "a/samples.bin").read_bytes() == (tmp_path / "b/samples.bin").read_bytes()
    assert (tmp_path / "a/samples.json").read_bytes() == (tmp_path / "b/samples.json").read_bytes()
    assert SampleStore.open(tmp_path / "a").digest == SampleStore.open(tmp_path / "b").digest


def test_a_store_that_was_not_closed_is_no_store(tmp_path):
    StoreWriter(tmp_path, "srgb", "uint8").add(picture())
    with pytest.raises(StoreError, match="run the stage prepare"):
        SampleStore.open(tmp_path)


def test_a_truncated_store_is_refused(tmp_path):
    with StoreWriter(tmp_path, "srgb", "uint8") as writer:
        writer.add(picture())
    content = (tmp_path / "samples.bin").read_bytes()
    (tmp_path / "samples.bin").write_bytes(content[:-1])
    with pytest.raises(StoreError, match="run the stage prepare again"):
        SampleStore.open(tmp_path)
    (tmp_path / "samples.json").write_text(json.dumps({"entries": []}))
    with pytest.raises(StoreError, match="damaged"):
        SampleStore.open(tmp_path)


def test_views_cannot_be_written_and_unknown_indexes_are_named(tmp_path):
    with StoreWriter(tmp_path, "srgb", "uint8") as writer:
        writer.add(picture())
    store = SampleStore.open(tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        store.sample(0)[0, 0, 0] = 1
    with pytest.raises(StoreError, match="index 1"):
        store.sample(1)


def test_wrong_sample_types_are_refused(tmp_path):
    with pytest.raises(StoreError, match="uint8, uint16, half"):
        StoreWriter(tmp_path, "srgb", "float")
    with pytest.raises(StoreError, match="uint16"):
        StoreWriter(tmp_path, "srgb", "uint8").add_samples(np.zeros((2, 2, 3), np.uint16))
