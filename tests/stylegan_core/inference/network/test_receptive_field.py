import pytest
import torch
import torch.nn.functional as F

from stylegan_core.inference.network.receptive_field import bytes_per_pixel, receptive_field
from stylegan_core.recipes.base import Conditions
from tests.stylegan_core.inference.network.recipes import FunctionRecipe, build


def smooth(content):
    """A box of 5 px: 2 to each side."""
    return F.avg_pool2d(F.pad(content, (2, 2, 2, 2), mode="replicate"), 5, stride=1)


def by_brute_force(recipe, side, grid_px):
    """How far a change of one cell of the grid shows beyond the cell."""
    content = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1
    first = side // 2 // grid_px * grid_px
    changed = content.clone()
    changed[..., first : first + grid_px, first : first + grid_px] += 5
    with torch.no_grad():
        apart = (recipe.translate(changed, Conditions()) - recipe.translate(content, Conditions())).abs().amax((0, 1))
    rows = apart.amax(1).nonzero().flatten()
    return max(first - int(rows[0]), int(rows[-1]) - (first + grid_px - 1))


KEYFRAMES = [
    {},
    {"downsamplings": 2, "skips": False, "mixing_taps": 0},
    {"half_resolution": True, "mixing_taps": 0},
    {"mixing_taps": 15, "mixing_step_px": 3, "blocks": 1},
]
EXACT = [
    # A picture without a guide does not pass through the mixture with it, whose reach is tested below.
    *(("keyframe", {"guide_share": 0.0} | settings) for settings in KEYFRAMES),
    ("cut", {"norm": "none", "blocks": 2}),
    ("cut", {"norm": "batch"}),
    ("pix2pix", {"norm": "none", "generator": "unet", "crop_px": 16}),
]


@pytest.mark.parametrize(("name", "settings"), EXACT)
def test_it_is_what_a_change_of_one_cell_reaches(name, settings):
    recipe = build(name, **settings)
    found = receptive_field(recipe)
    reach_px = by_brute_force(recipe, 4 * found.radius_px + 2 * found.grid_px, found.grid_px)
    assert found.radius_px - 1 <= reach_px <= found.radius_px  # a ReLU may hide the last pixel of a real change
    assert found.radius_px > 5
    assert found.halo_px % found.grid_px == 0
    assert found.halo_px >= found.radius_px


@pytest.mark.parametrize("settings", KEYFRAMES)
def test_the_mixture_with_the_guide_reaches_seven_pixels_more(settings):
    alone = receptive_field(build("keyframe", guide_share=0.0, **settings))
    assert receptive_field(build("keyframe", **settings)).radius_px == alone.radius_px + 7


@pytest.mark.parametrize(
    ("function", "radius_px"),
    [
        (smooth, 2),
        (lambda x: F.leaky_relu(smooth(x) * 0), 2),  # weights of nothing look all the same
        (lambda x: torch.where(x > 0, smooth(x), x), 2),
        (lambda x: F.max_pool2d(x, 7, stride=1, padding=3), 3),
        (lambda x: smooth(x).softmax(dim=1).clamp(0.2, 0.8), 2),
        (lambda x: torch.tanh(smooth(x)) + F.relu(x), 2),
        (lambda x: F.interpolate(F.avg_pool2d(x, 4), scale_factor=4.0, mode="bilinear"), 2),
    ],
)
def test_operations_pass_nan_on(function, radius_px):
    assert receptive_field(FunctionRecipe(function)).radius_px == radius_px


def test_tiles_begin_where_downsamplings_do():
    by_16 = FunctionRecipe(lambda x: F.interpolate(F.avg_pool2d(smooth(x), 16), scale_factor=16.0, mode="nearest"))
    found = receptive_field(by_16)
    assert (found.radius_px, found.grid_px, found.halo_px) == (16, 16, 16)  # the whole next cell sees the 2 px


def test_a_network_that_enlarges_counts_pixels_of_its_input():
    larger = FunctionRecipe(lambda x: F.interpolate(smooth(x), scale_factor=2.0, mode="nearest"), scale=2)
    assert receptive_field(larger).radius_px == 2


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x - x.mean(dim=(2, 3), keepdim=True),
        F.instance_norm,
        lambda x: (x.flatten(2).softmax(dim=2)).view_as(x),  # attention
        lambda x: x + torch.arange(x.shape[-1]) / x.shape[-1],  # its position
        lambda x: x + 0.1 * x.nan_to_num().mean(),  # NaN does not get through, the rest does
        torch.zeros_like,
    ],
)
def test_what_depends_on_the_whole_picture_has_none(function):
    assert receptive_field(FunctionRecipe(function)) is None


@pytest.mark.parametrize(
    ("name", "settings"), [("cut", {}), ("pix2pix", {"norm": "none", "local_generators": 2}), ("swap", {})]
)
def test_recipes_that_depend_on_the_whole_picture_have_none(name, settings):
    assert receptive_field(build(name, **settings)) is None


def test_it_is_computed_once_for_each_set_of_conditions():
    calls = []
    recipe = FunctionRecipe(lambda x: calls.append(1) or smooth(x))
    receptive_field(recipe)
    ran = len(calls)
    receptive_field(recipe, Conditions())
    assert len(calls) == ran > 0
    receptive_field(recipe, Conditions(direction="backward"))
    assert len(calls) == 2 * ran


def test_memory_grows_with_channels():
    narrow, wide = (bytes_per_pixel(build("keyframe", channels=channels, mixing_taps=0)) for channels in (8, 32))
    assert 3 < wide / narrow < 5
