from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from stylegan_core.data.batch import Batch
from stylegan_core.features.random_filters import RandomFilters
from stylegan_core.losses.perceptual import moment_distance, normalized_distance
from stylegan_core.recipes.base import Conditions
from stylegan_core.recipes.swap import Config, Recipe

SIZES = {
    "crop_px": 32,
    "batch_size": 2,
    "channels": 4,
    "blocks": 1,
    "downsamplings": 2,
    "texture_width": 8,
    "structure_channels": 3,
    "discriminator_channels": 4,
    "discriminator_layers": 1,
    "patch_px": 8,
}


def build(**settings: object) -> Recipe:
    torch.manual_seed(0)
    return Recipe(Config(**(SIZES | settings)))


def crops(seed: int, count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("preset", ["two_cores", "one_gpu", "paper"])
def test_presets_are_settings(preset: str) -> None:
    Config(**Recipe.presets[preset])


def test_a_swap_has_its_own_structure_and_the_references_texture() -> None:
    recipe = build()
    content, style = crops(0), crops(1)
    losses, fakes = recipe.generator_losses(Batch(content, style), 0)
    encoder, generator = recipe.networks["encoder"], recipe.networks["generator"]
    structure, texture = encoder(torch.cat([content, style]))
    content_in_style = generator(structure[:2], texture[2:])
    style_in_content = generator(structure[2:], texture[:2])
    torch.testing.assert_close(fakes["swap"], torch.cat([content_in_style, style_in_content]))
    rebuilt = generator(structure, texture)
    torch.testing.assert_close(fakes["rebuilt"], rebuilt)
    torch.testing.assert_close(losses["l1"], (rebuilt - torch.cat([content, style])).abs().mean())


def test_one_folder_lends_its_own_textures() -> None:
    recipe = build(one_folder=True)
    assert not recipe.needs_with(recipe.config).style
    content = crops(0, 3)
    _, fakes = recipe.generator_losses(Batch(content), 0)
    structure, texture = recipe.networks["encoder"](content)
    torch.testing.assert_close(fakes["swap"], recipe.networks["generator"](structure, texture[[2, 0, 1]]))
    torch.testing.assert_close(recipe._pairs(Batch(content))[1], content[[2, 0, 1]])
    assert all(v.isfinite() for v in recipe.discriminator_losses(Batch(content), fakes, 0).values())
    with pytest.raises(ValidationError, match="one_folder"):
        build(one_folder=True, batch_size=1)
    with pytest.raises(ValueError, match="no style"):
        build().generator_losses(Batch(content), 0)


def test_what_no_term_asks_for_is_not_built() -> None:
    recipe = build(adversarial_weight=0.0, cooccurrence_weight=0.0)
    assert set(recipe.networks) == {"encoder", "generator"}
    assert not recipe.phases()[-1].discriminator
    losses, _ = recipe.generator_losses(Batch(crops(0), crops(1)), 0)
    assert set(losses) == {"l1"}


def test_strength_goes_from_the_contents_texture_to_the_references() -> None:
    recipe = build().eval()
    content, reference = crops(0), crops(1, 1)
    own = recipe.translate(content, Conditions())
    structure, texture = recipe.networks["encoder"](content)
    torch.testing.assert_close(own, recipe.networks["generator"](structure, texture))
    torch.testing.assert_close(recipe.translate(content, Conditions(styles=reference, strength=0.0)), own)
    half = recipe.translate(content, Conditions(styles=reference, strength=0.5))
    middle = 0.5 * (texture + recipe.texture_codes(reference))
    torch.testing.assert_close(half, recipe.networks["generator"](structure, middle))
    assert not torch.allclose(half, own, atol=1e-3)


def test_references_mix_by_weights_as_pictures_or_codes() -> None:
    recipe = build().eval()
    content, references = crops(0), crops(1, 3)
    weights = torch.tensor([0.5, 0.3, 0.2])
    pictures = Conditions(styles=references, style_weights=weights)
    mixed = recipe.translate(content, pictures)
    codes = recipe.texture_codes(references)
    expected = replace(pictures, styles=None, style_codes=codes)
    torch.testing.assert_close(mixed, recipe.translate(content, expected))
    both = Conditions(styles=references[:1], style_codes=codes[1:], style_weights=weights)
    torch.testing.assert_close(mixed, recipe.translate(content, both))
    prepared = recipe.prepare_conditions(pictures)
    assert prepared.styles is None
    assert prepared.style_codes.shape == (1, 8)
    torch.testing.assert_close(mixed, recipe.translate(content, prepared))
    sure = Conditions(styles=references, style_weights=torch.tensor([0.0, 1.0, 0.0]))
    one = recipe.translate(content, Conditions(styles=references[1:2]))
    torch.testing.assert_close(recipe.translate(content, sure), one)
    equal = recipe.translate(content, Conditions(styles=references))
    torch.testing.assert_close(equal, recipe.translate(content, Conditions(style_codes=codes.mean(0, keepdim=True))))


def test_pictures_of_any_size_are_padded_inside() -> None:
    recipe = build(half_resolution=True).eval()
    content = F.interpolate(crops(0), (37, 50))
    assert recipe.translate(content, Conditions(styles=F.interpolate(crops(1), (41, 35)))).shape == content.shape


def test_equalized_layers_compute_the_same_and_learn_alike() -> None:
    plain, equalized = build(equalized=False), build(equalized=True)
    content, reference = crops(0), crops(1, 1)
    for recipe in (plain, equalized):
        recipe.eval()
    expected = plain.translate(content, Conditions(styles=reference))
    torch.testing.assert_close(equalized.translate(content, Conditions(styles=reference)), expected)
    stored = dict(equalized.networks.named_parameters())
    wide = [p for name, p in stored.items() if p.dim() > 1]
    assert len(wide) == sum(p.dim() > 1 for p in plain.networks.parameters())
    assert all(name.endswith("original") for name, p in stored.items() if p.dim() > 1)


def test_r1_of_cooccurrence_is_on_the_patches_of_both_sides() -> None:
    recipe = build(cooccurrence_r1_gamma=3.0, r1_every_steps=2)
    batch = Batch(crops(0), crops(1))
    _, fakes = recipe.generator_losses(batch, 0)
    discriminator = recipe.networks["cooccurrence_discriminator"]
    _, references = recipe._pairs(batch)
    torch.manual_seed(7)
    losses = recipe.discriminator_losses(batch, fakes, 0)
    torch.manual_seed(7)
    real, _, reference = (recipe._patches(p) for p in (references, fakes["swap"], references))
    sides = [side.detach().requires_grad_() for side in (real, reference)]
    gradients = torch.autograd.grad(discriminator(*sides).sum(), sides)
    squares = [gradient.square().flatten(1).sum(dim=1).mean() for gradient in gradients]
    torch.testing.assert_close(losses["cooccurrence_r1"], 0.5 * 3.0 * 2 * 0.5 * (squares[0] + squares[1]))
    assert "cooccurrence_r1" not in recipe.discriminator_losses(batch, fakes, 1)


def test_consistency_compares_results_with_equal_noise() -> None:
    recipe = build(noise_consistency_weight=1.0, consistency_every_steps=1, noise_unit=1e-6)
    for block in recipe.networks["generator"].blocks:
        torch.nn.init.constant_(block.grain_strengths, 5.0)
    losses, _ = recipe.generator_losses(Batch(crops(0), crops(1)), 0)
    assert losses["noise_consistency"] < 1e-3


def test_the_moments_of_features_pull_the_swap_to_its_reference() -> None:
    recipe = build(
        feature_style_weight=2.0, extractor="random_filters", style_layers=("block1_conv1",), adversarial_weight=0.0
    )
    losses, fakes = recipe.generator_losses(Batch(crops(0), crops(1)), 0)
    layer = RandomFilters()(torch.cat([fakes["swap"], crops(1), crops(0)]), ["block1_conv1"])["block1_conv1"]
    torch.testing.assert_close(losses["feature_style"], 2 * moment_distance(layer[:4], layer[4:]))
    assert recipe.config.extractors() == ("random_filters",)
    assert build().config.extractors() == ()
    with pytest.raises(ValidationError, match="style_layers of random_filters"):
        build(feature_style_weight=1.0, extractor="random_filters", style_layers=("stride2",))


def test_features_hold_the_content_and_pull_to_the_reference_at_once() -> None:
    recipe = build(
        feature_style_weight=2.0,
        content_weight=3.0,
        extractor="random_filters",
        style_layers=("block1_conv1",),
        content_layers=("block2_conv1",),
        adversarial_weight=0.0,
    )
    losses, fakes = recipe.generator_losses(Batch(crops(0), crops(1)), 0)
    pictures = torch.cat([fakes["swap"], crops(1), crops(0), crops(0), crops(1)])
    style, content = RandomFilters()(pictures, ["block1_conv1", "block2_conv1"]).values()
    torch.testing.assert_close(losses["feature_style"], 2 * moment_distance(style[:4], style[4:8]))
    torch.testing.assert_close(losses["content"], 3 * normalized_distance(content[:4], content[8:]))
    with pytest.raises(ValidationError, match="content_layers of random_filters"):
        build(content_weight=1.0, extractor="random_filters", content_layers=("stride2",))


NEW = {
    "texture_trunk": True,
    "colour_matched": True,
    "fourier_features": 2,
    "fine_structure_channels": 2,
    "structure_bound": 4.0,
    "style_shifts": True,
    "grain": False,
    "padding": "replicate",
}


def test_the_trunk_is_filled_by_training_saved_and_not_trained() -> None:
    recipe = build(**NEW)
    assert recipe.config.extractors() == ("efficientnet_lite0",)
    encoder = recipe.networks["encoder"]
    assert not encoder.trunk.loaded
    losses, _ = recipe.generator_losses(Batch(crops(0), crops(1)), 0)
    assert encoder.trunk.loaded
    assert all(loss.isfinite() for loss in losses.values())
    stored = recipe.networks.state_dict()
    assert sum("trunk" in name for name in stored) > 50
    again = build(**NEW)
    again.networks.load_state_dict(stored)
    conditions = Conditions(styles=crops(1, 1))
    torch.testing.assert_close(
        again.eval().translate(crops(0), conditions), recipe.eval().translate(crops(0), conditions), atol=0, rtol=0
    )


def test_full_strength_needs_no_texture_of_the_content(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = build(**NEW).eval()
    content, reference = crops(0), crops(1, 1)
    nearly = recipe.translate(content, Conditions(styles=reference, strength=1 - 1e-6))
    conditions = recipe.prepare_conditions(Conditions(styles=reference))
    monkeypatch.setattr(recipe.networks["encoder"].trunk, "forward", lambda _pictures: pytest.fail("not needed"))
    torch.testing.assert_close(recipe.translate(content, conditions), nearly, atol=1e-4, rtol=0)


def test_recoloured_crops_are_content_and_reference_alike() -> None:
    recipe = build(recolour_share=1.0, adversarial_weight=0.0, cooccurrence_weight=0.0)
    batch = Batch(crops(0), crops(1))
    torch.manual_seed(5)
    changed = recipe._vary_colours(batch)
    assert not torch.allclose(changed.content, batch.content, atol=0.05)
    torch.manual_seed(5)
    losses, fakes = recipe.generator_losses(batch, 0)
    expected = (fakes["rebuilt"] - torch.cat([changed.content, changed.style])).abs().mean()
    torch.testing.assert_close(losses["l1"], expected)


@pytest.mark.parametrize(("equalized", "rate"), [(False, 3e-3), (True, 2e-2)])
def test_training_rebuilds_and_recolours(equalized: bool, rate: float) -> None:
    """Two flat-coloured families of pictures with stripes: the swap takes the colour and keeps the stripes."""
    recipe = build(
        cooccurrence_weight=0.0,
        adversarial_weight=0.0,
        style_weight=1.0,
        downsamplings=1,
        channels=8,
        texture_width=8,
        equalized=equalized,
    )
    adam = torch.optim.Adam(recipe.networks.parameters(), rate)
    generator = torch.Generator().manual_seed(0)

    def striped(count: int) -> torch.Tensor:
        colours = torch.rand(count, 3, 1, 1, generator=generator) - 0.5
        phase = torch.rand(count, 1, 1, 1, generator=generator) * 8
        stripes = 0.4 * torch.sign(torch.sin((torch.arange(32.0) + phase) * torch.pi / 4))
        return colours + stripes.expand(-1, -1, 32, -1)

    for _ in range(60):
        losses, _ = recipe.generator_losses(Batch(striped(4), striped(4)), 0)
        adam.zero_grad()
        sum(losses.values()).backward()
        adam.step()
    content, reference = striped(8), striped(8)
    with torch.no_grad():
        rebuilt = recipe.translate(content, Conditions())
        swaps = torch.cat(
            [recipe.translate(a[None], Conditions(styles=b[None])) for a, b in zip(content, reference, strict=True)]
        )
    assert (rebuilt - content).abs().mean() < 0.5 * 0.4  # a picture of the mean colour misses the stripes by 0.4
    own, wanted, got = (pictures.mean(dim=(2, 3)) for pictures in (content, reference, swaps))
    assert (got - wanted).abs().mean() < 0.4 * (own - wanted).abs().mean()
    stripes = [(pictures - pictures.mean(dim=(2, 3), keepdim=True)).flatten() for pictures in (content, swaps)]
    assert torch.corrcoef(torch.stack(stripes))[0, 1] > 0.7
