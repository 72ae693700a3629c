import numpy as np
import torch

from stylegan_core.features.feature_picture import feature_picture, layer_features
from stylegan_core.features.random_filters import RandomFilters


def test_the_mean_goes_from_black_to_white() -> None:
    features = torch.zeros(4, 2, 3)
    features[1, 0, 0], features[:, 1, 2] = 4.0, 2.0  # means 1 and 2
    expected = np.array([[128, 0, 0], [0, 0, 255]], np.uint8)
    assert np.array_equal(feature_picture(features)[..., 0], expected)
    assert not feature_picture(torch.ones(4, 2, 3)).any()


def test_the_grid_shows_each_channel_in_its_own_range() -> None:
    features = torch.arange(5.0)[:, None, None] * torch.tensor([[0.0, 1.0], [2.0, 4.0]])
    sheet = feature_picture(features, "grid")[..., 0]
    assert sheet.shape == (5, 8)  # three columns and two rows of 2 x 2, lines between
    own = np.array([[0, 64], [128, 255]], np.uint8)
    assert not sheet[:2, :2].any()  # the first channel is flat
    for row, column in ((0, 1), (0, 2), (1, 0), (1, 1)):
        assert np.array_equal(sheet[3 * row : 3 * row + 2, 3 * column : 3 * column + 2], own)
    assert not sheet[3:, 6:].any()
    assert not sheet[2].any()
    assert feature_picture(features, "grid", channels=1).shape == (2, 2, 1)


def test_features_are_those_of_the_signed_picture() -> None:
    rgb = np.random.default_rng(0).random((20, 24, 3), np.float32)
    bank = RandomFilters()
    expected = bank(torch.from_numpy(rgb.transpose(2, 0, 1) * 2 - 1)[None], ["block2_conv1"])["block2_conv1"][0]
    torch.testing.assert_close(layer_features(bank, "block2_conv1", rgb), expected)
