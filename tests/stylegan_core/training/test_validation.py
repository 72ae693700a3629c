import numpy as np
import pytest
import torch

from stylegan_core.data.manifest import Box
from stylegan_core.data.validation import ValidationArea, ValidationSet
from stylegan_core.metrics.psnr import psnr_db
from stylegan_core.metrics.swd import patch_swd
from stylegan_core.training.validation import Validator, translate


class Negative(torch.nn.Module):
    """A "recipe" that inverts, asks for sides that are multiples of 8, and adds an offset."""

    scale = 1
    conditioned_on = ()

    def __init__(self, offset=0.0):
        super().__init__()
        self.offset = torch.nn.Parameter(torch.tensor(offset))

    def translate(self, content, conditions):
        assert content.shape[-1] % 8 == 0
        assert content.shape[-2] % 8 == 0
        assert min(content.shape[-2:]) >= 32
        result = -content + self.offset
        if conditions.mask_unit is not None:
            result = content + conditions.mask_unit * (result - content)
        return result


def area(height=45, width=70, box=None, painted=True, mask=None, seed=0):
    content = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return ValidationArea("a", content, -content if painted else None, mask, box or Box(0, 0, width, height))


def test_padding_is_cut_again():
    for height, width in ((45, 70), (33, 32), (9, 100), (3, 3)):
        one = area(height, width)
        with torch.no_grad():
            result = translate(Negative(), one)
        assert torch.equal(result, -one.content)


def test_figures_are_taken_in_the_box_alone():
    one = area(box=Box(10, 5, 40, 30))
    spoilt = one.style.clone()
    spoilt[..., :5, :] = 0.0  # outside the box
    one = ValidationArea(one.name, one.content, spoilt, None, one.box)
    figures = Validator(ValidationSet((one,))).measure(Negative(0.1))
    result = ((one.inside(-one.content + 0.1)[0] + 1) / 2).clamp(0, 1).permute(1, 2, 0).numpy()
    truth = ((one.inside(one.style)[0] + 1) / 2).permute(1, 2, 0).numpy()
    assert figures["psnr_db"] == pytest.approx(psnr_db(result, truth), abs=1e-3)
    assert figures["swd"] == figures["score"] == pytest.approx(patch_swd(result, truth, max_patches=8192), abs=1e-6)
    assert 0.5 < figures["detail_ratio"] < 1.5


def test_the_mask_decides_what_is_painted():
    mask = torch.zeros(1, 1, 45, 70)
    mask[..., :35] = 1.0
    one = area(mask=mask)
    style = torch.where(mask > 0, one.style, one.content)
    one = ValidationArea(one.name, one.content, style, mask, one.box)
    assert Validator(ValidationSet((one,))).measure(Negative())["psnr_db"] == 100.0


def test_areas_too_small_for_patches_fall_back_on_the_error():
    figures = Validator(ValidationSet((area(6, 6, box=Box(0, 0, 5, 5)),))).measure(Negative(0.2))
    assert "swd" not in figures
    assert figures["score"] == pytest.approx(0.01, rel=0.2)


def test_collections_compare_surfaces_with_the_held_out_style():
    held_out = ValidationSet((area(painted=False),), (area(64, 64, seed=3).content,))
    figures = Validator(held_out).measure(Negative())
    assert set(figures) == {"ssim", "swd", "score"}
    assert figures["score"] == figures["swd"]
    alone = Validator(ValidationSet((area(painted=False),))).measure(Negative())
    assert alone["score"] == pytest.approx(1 - alone["ssim"])


def test_nothing_held_out_is_refused():
    with pytest.raises(ValueError, match="no area is held out"):
        Validator(ValidationSet(()))


def test_the_grid_shows_content_result_and_style():
    areas = tuple(area(seed=s) for s in range(6))
    grid = Validator(ValidationSet(areas), rows=3).grid(Negative())
    assert grid.dtype == np.uint8
    assert grid.shape == (3 * 49 + 4, 3 * 74 + 4, 3)
    content = (((areas[1].content[0] + 1) / 2).permute(1, 2, 0).numpy() * 255 + 0.5).astype(np.uint8)
    np.testing.assert_array_equal(grid[53:98, 4:74], content)
    np.testing.assert_array_equal(grid[53:98, 78:148], grid[53:98, 152:222])


class Constant(Negative):
    def translate(self, content, conditions):
        return torch.zeros_like(content) + self.offset


@pytest.mark.parametrize("painted", [True, False])
def test_a_generator_that_answers_alike_raises_the_alarm(painted, caplog):
    tints = torch.linspace(-0.9, 0.9, 4)
    areas = [area(painted=painted, seed=seed) for seed in range(4)]
    tinted = tuple(
        ValidationArea(a.name, 0.1 * a.content + t, -(0.1 * a.content + t) if painted else None, None, a.box)
        for a, t in zip(areas, tints, strict=True)
    )
    validator = Validator(ValidationSet(tinted))
    healthy = validator.measure(Negative())
    assert healthy["collapsed"] == 0.0
    assert healthy["diversity"] == pytest.approx(1.0, abs=0.02)
    assert "mode collapse" not in caplog.text
    collapsed = validator.measure(Constant(0.1))
    assert collapsed["collapsed"] == 1.0
    assert collapsed["diversity"] == pytest.approx(0.0, abs=1e-6)
    assert "mode collapse" in caplog.text


def test_one_folder_is_measured_against_its_content_alone():
    held_out = ValidationSet((area(64, 64, painted=False),))
    with torch.no_grad():
        figures = Validator(held_out).measure(Negative())
        grid = Validator(held_out).grid(Negative())
    assert sorted(figures) == ["score", "ssim"]
    assert figures["score"] == 1.0 - figures["ssim"]
    assert grid.shape == (64 + 8, 2 * 64 + 12, 3)


class ConditionedModel(Negative):
    """A "recipe" that paints the colours of its reference, or of its change of attributes, and without both nothing."""

    conditioned_on = ("styles", "labels")

    def translate(self, content, conditions):
        tint = 0.0 if conditions.styles is None else conditions.styles.mean((0, 2, 3)).view(1, 3, 1, 1)
        return content + tint + (0.0 if conditions.labels is None else conditions.labels.view(1, 3, 1, 1))


def directed(areas, references=()):
    grid = Validator(ValidationSet(tuple(areas), tuple(references)), rows=9).grid(ConditionedModel())
    return [grid[4 + 49 * row + 20, 4 + 74 + 20].tolist() for row in range(len(areas))]


def flat(*colour):
    return torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, 45, 70).clone()


def test_a_recipe_that_takes_references_is_validated_with_them():
    black, red, green = flat(-1.0, -1.0, -1.0), flat(1.0, 0.0, 0.0), flat(0.0, 1.0, 0.0)
    grey = ValidationArea("a", flat(0.0, 0.0, 0.0), None, None, Box(0, 0, 70, 45))
    assert directed([grey] * 3, [red, green]) == [[255, 128, 128], [128, 255, 128], [255, 128, 128]]
    painted = ValidationArea("a", grey.content, red, None, grey.box)
    assert directed([painted, painted], [green]) == [[255, 128, 128]] * 2, "its own painting comes first"
    other = ValidationArea("b", black, None, None, grey.box)
    assert directed([grey, other]) == [[0, 0, 0], [0, 0, 0]], "one folder lends its own pictures"


def test_the_change_of_attributes_of_an_area_is_applied():
    changes = [torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, -1.0, 0.0]])]
    grey = flat(0.0, 0.0, 0.0)
    areas = [ValidationArea("a", grey, None, None, Box(0, 0, 70, 45), change) for change in changes]
    assert directed(areas) == [[255, 128, 128], [128, 0, 128]]
