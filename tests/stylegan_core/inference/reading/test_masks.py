import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.colour.context import ColourContext
from stylegan_core.inference.job.frame_settings import Region
from stylegan_core.inference.job.frame_task import FrameTask, RegionFiles
from stylegan_core.inference.reading.masks import RegionReader, feathered, normalized, selected


@pytest.fixture
def half(tmp_path):
    """White on the left half of 40 x 64."""
    mask = np.zeros((40, 64), np.uint8)
    mask[:, :32] = 255
    cv2.imwrite(str(tmp_path / "half.png"), mask)
    return tmp_path / "half.png"


def read(regions, files, height=40, width=64):
    frame = FrameTask(input="f.png", output="f.png", regions=tuple(files))
    return RegionReader(regions, ColourContext(), 200.0).read(frame, height, width)


def test_feathered_edges_are_gaussian_and_end():
    hard = np.zeros((60, 90), np.float32)
    hard[20:40, 30:60] = 1
    soft = feathered(hard, 4.0)
    np.testing.assert_allclose(soft, gaussian_filter(hard, 4.0, truncate=3.0, mode="nearest"), atol=2e-3)
    reach = cv2.dilate(hard, np.ones((25, 25)))  # 3 x 4 px
    assert (soft[reach == 0] == 0).all()
    assert soft.max() <= 1
    assert feathered(hard, 0.0) is hard


def test_regions_that_fill_a_frame_also_fill_it_when_feathered():
    rng = np.random.default_rng(0)
    labels = cv2.resize(rng.integers(0, 3, (5, 7), dtype=np.uint8), (70, 50), interpolation=cv2.INTER_NEAREST)
    parts = [feathered(selected(labels[:, :, None], value), 3.0) for value in range(3)]
    weights, rest = normalized(parts, 50, 70)
    np.testing.assert_allclose(sum(weights), 1, atol=1e-5)
    assert rest is None


def test_overlaps_are_scaled_and_gaps_are_the_rest():
    one, two = np.zeros((2, 4), np.float32), np.zeros((2, 4), np.float32)
    one[:, :2], two[:, 1:3] = 1.0, 0.5
    (a, none, b), rest = normalized([one, None, two], 2, 4)
    assert none is None
    np.testing.assert_allclose(a[0], [1, 2 / 3, 0, 0])
    np.testing.assert_allclose(b[0], [0, 1 / 3, 0.5, 0])
    np.testing.assert_allclose(rest[0], [0, 0, 0.5, 1])


def test_values_of_label_maps():
    colours = np.array([[[1, 2, 3], [1, 2, 4]], [[2, 2, 2], [1, 2, 3]]], np.uint8)
    assert selected(colours, (1, 2, 3)).tolist() == [[1, 0], [0, 1]]
    assert selected(colours, 2).tolist() == [[0, 0], [1, 0]]
    assert selected(colours[:, :, :1], 1).tolist() == [[1, 1], [0, 1]]


def test_a_region_without_a_mask(half):
    here, none = RegionFiles(where=half), RegionFiles()
    with pytest.raises(UnreadablePictureError, match="region 2 has no mask"):
        read([Region(), Region()], [here, none])
    found = read([Region(missing_mask="nowhere"), Region(missing_mask="everywhere")], [none, none])
    assert found.weights[0] is None
    assert found.weights[1].min() == 1
    assert found.rest is None
    found = read([Region(), Region(value=7)], [here, here])  # an empty region, and one file read for two
    assert found.weights[1] is None
    assert found.rest[:, 32:].min() == 1
    assert found.rest[:, :32].max() == 0
    assert found.files[0] == found.files[2]
    assert found.files[1] is None


def test_a_mask_of_another_size_is_named_in_the_error(half):
    with pytest.raises(UnreadablePictureError, match=r"half\.png is 64 x 40 px, but the picture 60 x 40"):
        read([Region()], [RegionFiles(where=half)], width=60)


def test_a_picture_fills_the_frame_and_a_missing_one_is_named(half, tmp_path):
    cv2.imwrite(str(tmp_path / "sky.png"), np.full((20, 20, 3), 51, np.uint8))
    region = Region(shows_picture=True)
    found = read([region], [RegionFiles(where=half, picture=tmp_path / "sky.png")])
    assert found.pictures[0].shape == (40, 64, 3)
    np.testing.assert_allclose(found.pictures[0], 0.2, atol=1e-6)
    with pytest.raises(UnreadablePictureError, match="no picture"):
        read([region], [RegionFiles(where=half)])
