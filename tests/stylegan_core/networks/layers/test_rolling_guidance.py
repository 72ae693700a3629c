import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_core.networks.layers.rolling_guidance import RollingGuidance

RADIUS_PX = 2
REACH_PX = RADIUS_PX * (2 + 3 * 2)


def scene(side_px: int = 96) -> Tensor:
    """A bright half beside a dark one, both with a checkerboard of 1 px; (1, 3, side, side) in [-1, 1]."""
    halves = torch.full((side_px, side_px), -0.5)
    halves[:, side_px // 2 :] = 0.5
    rows, columns = torch.meshgrid(torch.arange(side_px), torch.arange(side_px), indexing="ij")
    texture = torch.where((rows + columns) % 2 == 0, 0.2, -0.2)
    return (halves + texture).expand(1, 3, side_px, side_px).contiguous()


def noise(side_px: int = 64) -> Tensor:
    return torch.rand(1, 3, side_px, side_px, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_equals_its_definition_by_opencv_means() -> None:
    """With a picture that continues its edge far enough, so that both sides' borders do not matter."""
    given = F.pad(noise(32), (24,) * 4, mode="replicate")
    ours = RollingGuidance(RADIUS_PX)(given)[0].numpy()
    window = (2 * RADIUS_PX + 1,) * 2

    def mean(picture: np.ndarray) -> np.ndarray:
        return cv2.blur(picture, window, borderType=cv2.BORDER_REPLICATE)

    for channel, made in zip(given[0].double().numpy(), ours, strict=True):
        guide = mean(mean(channel))
        for _ in range(3):
            slope = (mean(guide * channel) - mean(guide) * mean(channel)) / (mean(guide**2) - mean(guide) ** 2 + 0.01)
            guide = mean(slope) * guide + mean(mean(channel) - slope * mean(guide))
        np.testing.assert_allclose(made, guide, atol=1e-5)


def test_texture_goes_and_edges_stay() -> None:
    made = RollingGuidance(RADIUS_PX)(scene())[0, 0, 48]
    assert made[8:40].std() < 0.02  # 0.2 before
    assert made[45] < -0.35
    assert made[50] > 0.35


@pytest.mark.parametrize("axis", [2, 3])
def test_a_shift_of_the_picture_shifts_the_result(axis: int) -> None:
    layer, given = RollingGuidance(RADIUS_PX), noise()
    inside = (..., slice(REACH_PX + 3, -REACH_PX - 3), slice(REACH_PX + 3, -REACH_PX - 3))
    torch.testing.assert_close(
        layer(given.roll(3, dims=axis))[inside], layer(given).roll(3, dims=axis)[inside], atol=1e-5, rtol=0
    )


def test_a_part_of_the_picture_has_the_result_of_the_whole() -> None:
    layer, given = RollingGuidance(RADIUS_PX), noise(96)
    part = layer(given[..., 8:88, 8:88])[..., REACH_PX:-REACH_PX, REACH_PX:-REACH_PX]
    torch.testing.assert_close(part, layer(given)[..., 24:72, 24:72], atol=1e-6, rtol=0)


def test_an_even_picture_is_unchanged_and_autocast_does_not_reach_it() -> None:
    layer, even = RollingGuidance(RADIUS_PX), torch.full((1, 3, 32, 32), 0.7)
    torch.testing.assert_close(layer(even), even, atol=1e-6, rtol=0)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(noise().bfloat16()), layer(noise().bfloat16().float()))
