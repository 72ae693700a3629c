import hashlib

import numpy as np
import pytest

from stylegan_core.data.manifest import Box
from stylegan_core.data.splits import held_out_box, split_by_hash, typical_corner

DIGESTS = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(4000)]


def test_splits_have_about_the_asked_sizes():
    splits = [split_by_hash(digest, 0.1, 0.2) for digest in DIGESTS]
    assert splits.count("validation") / 4000 == pytest.approx(0.1, abs=0.02)
    assert splits.count("test") / 4000 == pytest.approx(0.2, abs=0.02)


def test_more_validation_takes_from_training_alone():
    before = [split_by_hash(digest, 0.1, 0.1) for digest in DIGESTS]
    after = [split_by_hash(digest, 0.2, 0.1) for digest in DIGESTS]
    assert all(a == b or (b, a) == ("train", "validation") for a, b in zip(after, before, strict=True))


def test_without_fractions_everything_trains():
    assert {split_by_hash(digest, 0.0, 0.0) for digest in DIGESTS} == {"train"}


def test_held_out_boxes_lie_in_all_corners_and_have_the_asked_area():
    boxes = {held_out_box(corner, 256, 160, 0.1) for corner in range(4)}
    corners = {(box.x, box.y) for box in boxes}
    assert corners == {(0, 0), (256 - 81, 0), (0, 160 - 51), (256 - 81, 160 - 51)}
    assert all(box.width * box.height / (256 * 160) == pytest.approx(0.1, rel=0.02) for box in boxes)


def test_the_box_of_a_masked_frame_lies_in_the_painted_part():
    area = Box(100, 40, 50, 30)
    for corner in range(4):
        box = held_out_box(corner, 256, 160, 0.1, area)
        assert box.x in (100, 150 - box.width)
        assert box.y in (40, 70 - box.height)
        assert box.width * box.height == pytest.approx(150, rel=0.1)


def test_nothing_is_held_out_of_nothing():
    assert held_out_box(0, 256, 160, 0.0) is None
    assert held_out_box(0, 256, 160, 0.1, Box(0, 0, 3, 100)) is None


def test_the_typical_corner_is_neither_the_plain_nor_the_busy_one():
    picture = np.full((60, 90, 3), 128, np.uint8)
    noise = np.random.default_rng(0)
    picture[:30, 45:] = noise.integers(0, 256, (30, 45, 3))  # top right: twice the mean or more
    picture[30:, :45] = noise.integers(96, 160, (30, 45, 3))  # bottom left: about the mean
    assert typical_corner(picture) == 2
    assert typical_corner(picture[:, ::-1]) == 3
