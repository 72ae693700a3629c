import pytest
import torch
import torch.nn.functional as F

from stylegan_core.inference.network.receptive_field import ReceptiveField
from stylegan_core.inference.network.tiling import (
    APPROXIMATE,
    OutOfMemoryError,
    Tiling,
    is_out_of_memory,
    least_px,
    spans,
    translate_tiles,
)
from stylegan_core.recipes.base import Conditions
from tests.stylegan_core.inference.network.recipes import FunctionRecipe, build


def noise(height, width, count=1):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(3)) * 2 - 1


@pytest.mark.parametrize("window", [ReceptiveField(19, 8), ReceptiveField(0, 8), ReceptiveField(64, 32)])
@pytest.mark.parametrize("side_px", [8, 200, 640, 1080, 1088, 7681])
@pytest.mark.parametrize("most_px", [1, 300, 640])
def test_spans_cover_the_side_once_with_whole_halos_on_the_grid(window, side_px, most_px):
    found = spans(side_px, most_px, window)
    assert [span.begin for span in found] == [0, *[span.end for span in found[:-1]]]
    assert found[-1].end == side_px
    for span in found:
        assert span.first % window.grid_px == 0
        assert 0 <= span.first <= span.begin < span.end <= span.last <= side_px
        assert span.first == 0 or span.begin - span.first >= window.halo_px
        assert span.last == side_px or (span.last - span.end >= window.halo_px and span.last % window.grid_px == 0)
        assert span.last - span.first < max(most_px, least_px(window)) + window.grid_px
    sizes = {span.last - span.first for span in found}
    assert len(sizes) <= 2, "more shapes than the last one's would be compiled for"


@pytest.mark.parametrize(("name", "settings"), [("keyframe", {}), ("pix2pix", {"norm": "none", "generator": "unet"})])
def test_tiles_equal_the_whole(name, settings):
    recipe = build(name, **settings)
    content = noise(456, 648)
    run = watched(lambda pictures: recipe.translate(pictures, Conditions()))
    with torch.inference_mode():
        whole = run(content)
        tiled = Tiling(most_whole_px=1, tile_bytes=1).translate(recipe, Conditions(), run, content)
    assert len(run.sizes) > 6
    assert (tiled - whole).abs().max() < 2e-6


def watched(function, most_px=1 << 40, error=lambda: torch.OutOfMemoryError("CUDA out of memory")):
    """``function`` on a machine whose memory holds so many pixels."""

    def run(pictures):
        run.sizes.append(tuple(pictures.shape))
        if pictures.shape[0] * pictures.shape[2] * pictures.shape[3] > most_px:
            raise error()
        return function(pictures)

    run.sizes = []
    return run


def box(content):
    return F.avg_pool2d(content, 9, stride=1, padding=4, count_include_pad=False)


@pytest.mark.parametrize(
    "error",
    [
        lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        lambda: RuntimeError("[enforce fail at alloc_cpu.cpp:118] . DefaultCPUAllocator: can't allocate memory"),
        MemoryError,
    ],
)
def test_out_of_memory_leads_to_smaller_tiles_and_the_same_pixels(error):
    recipe, content, used = FunctionRecipe(box), noise(400, 520), Tiling(tile_bytes=1 << 40)
    run = watched(box, most_px=30_000, error=error)
    assert torch.allclose(used.translate(recipe, Conditions(), run, content), box(content), atol=1e-6)
    tried = len(run.sizes)
    assert run.sizes[0] == (1, 3, 400, 520)
    assert tried > 10
    used.translate(recipe, Conditions(), run, content)
    assert all(size[2] * size[3] <= 30_000 for size in run.sizes[tried:]), "what was learnt of memory was forgotten"


def test_a_batch_is_taken_apart_before_its_pictures_are():
    content = noise(64, 64, count=4)
    run = watched(box, most_px=64 * 64)
    made = Tiling().translate(FunctionRecipe(box), Conditions(), run, content)
    assert torch.allclose(made, box(content), atol=1e-6)
    assert [size[0] for size in run.sizes] == [4, 1, 1, 1, 1]


def test_memory_for_nothing_is_an_error_and_other_errors_stay_what_they_are():
    with pytest.raises(OutOfMemoryError, match="not enough memory for a tile of 80 px"):
        Tiling().translate(FunctionRecipe(box), Conditions(), watched(box, most_px=1000), noise(400, 520))
    with pytest.raises(ZeroDivisionError):
        Tiling().translate(FunctionRecipe(box), Conditions(), watched(box, 1, ZeroDivisionError), noise(64, 64))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_a_network_of_the_whole_picture_is_divided_only_where_that_is_asked():
    def whole(content):
        return content - content.mean(dim=(2, 3), keepdim=True)

    content = noise(1300, 1100) + torch.linspace(-1, 1, 1100)
    run = watched(whole, most_px=1 << 20)
    with pytest.raises(OutOfMemoryError, match="--tiles approximate"):
        Tiling(most_whole_px=1).translate(FunctionRecipe(whole), Conditions(), run, content)
    run.sizes.clear()
    made = Tiling(approximate=True, most_whole_px=1).translate(FunctionRecipe(whole), Conditions(), run, content)
    assert len(run.sizes) == 2
    assert (made - whole(content)).abs().max() > 0.1
    small = watched(whole, most_px=1 << 19)
    with pytest.raises(OutOfMemoryError):  # other tiles would be other pixels than the record says
        Tiling(approximate=True, most_whole_px=1).translate(FunctionRecipe(whole), Conditions(), small, content)


def test_a_picture_that_grows():
    def twice(content):
        return F.interpolate(box(content), scale_factor=2.0, mode="nearest")

    content = noise(200, 264)
    tiled = translate_tiles(twice, content, ReceptiveField(4, 8), most_area_px=10_000, scale=2)
    assert torch.allclose(tiled, twice(content), atol=1e-6)


def test_approximate_tiles_are_the_same_on_every_machine():
    sizes = []
    for tile_bytes in (1 << 20, 1 << 40):
        run = watched(torch.zeros_like)
        Tiling(approximate=True, most_whole_px=1, tile_bytes=tile_bytes).translate(
            FunctionRecipe(F.instance_norm), Conditions(), run, noise(1300, 1100)
        )
        sizes.append(run.sizes)
    assert sizes[0] == sizes[1]
    assert APPROXIMATE.halo_px == 128


def test_a_small_network_on_a_cpu_gets_small_tiles_and_a_wide_one_does_not():
    content = noise(600, 700)
    for channels, divided in ((16, True), (64, False)):
        recipe = build("keyframe", channels=channels, blocks=3)
        run = watched(lambda pictures, recipe=recipe: recipe.translate(pictures, Conditions()))
        with torch.inference_mode():
            made = Tiling(fast=True).translate(recipe, Conditions(), run, content)
            assert (len(run.sizes) > 1) == divided
            assert (made - recipe.translate(content, Conditions())).abs().max() < 2e-6
    assert max(size[2] * size[3] for size in run.sizes) == 600 * 700
