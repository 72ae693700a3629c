import pytest
import torch

from stylegan_core.data.batch import Batch
from stylegan_core.losses.adversarial import discriminator_loss, generator_loss
from stylegan_core.recipes.pix2pix import Config, Recipe

SIZES = {
    "crop_px": 32,
    "channels": 4,
    "unet_levels": 3,
    "blocks": 1,
    "discriminator_channels": 4,
    "discriminator_layers": 1,
    "dropout": 0.0,
}


def build(**settings: object) -> Recipe:
    torch.manual_seed(0)
    return Recipe(Config(**(SIZES | settings)))


def crops(seed: int = 0) -> torch.Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_terms_are_the_papers() -> None:
    recipe = build(l1_weight=7.0, adversarial_weight=3.0)
    batch = Batch(crops(0), crops(1))
    losses, fakes = recipe.generator_losses(batch, 0)
    made = recipe.networks["generator"](batch.content)
    discriminator = recipe.networks["discriminator"]
    (of_fake,) = discriminator(torch.cat([batch.content, made], dim=1)).logits
    (of_real,) = discriminator(torch.cat([batch.content, batch.style], dim=1)).logits
    torch.testing.assert_close(losses["l1"], 7 * (made - batch.style).abs().mean())
    torch.testing.assert_close(losses["adversarial"], 3 * generator_loss("nonsaturating", of_fake))
    of_discriminator = recipe.discriminator_losses(batch, {k: v.detach() for k, v in fakes.items()}, 0)
    torch.testing.assert_close(of_discriminator["discriminator"], discriminator_loss("nonsaturating", of_real, of_fake))
    assert set(losses) == {"l1", "adversarial"}
    assert set(of_discriminator) == {"discriminator"}


def test_without_the_adversarial_weight_it_is_l1_alone() -> None:
    recipe = build(adversarial_weight=0.0, feature_matching_weight=1.0)
    (phase,) = recipe.phases()
    assert phase.discriminator == ()
    assert set(recipe.networks) == {"generator"}
    losses, fakes = recipe.generator_losses(Batch(crops(0), crops(1)), 0)
    assert set(losses) == {"l1"}
    assert fakes == {}
    other = build().networks["generator"].state_dict()  # starts alike in an ablation
    assert all(torch.equal(v, other[k]) for k, v in recipe.networks["generator"].state_dict().items())


def test_nothing_is_asked_where_the_mask_is_empty() -> None:
    recipe = build()
    mask = torch.zeros(2, 1, 32, 32)
    mask[..., :16] = 1
    batch = Batch(crops(0), crops(1), mask)
    losses, fakes = recipe.generator_losses(batch, 0)
    made = recipe.networks["generator"](batch.content)
    torch.testing.assert_close(losses["l1"], 100 * (made - batch.style)[..., :16].abs().mean())
    assert torch.equal(fakes["made"][..., 16:], batch.style[..., 16:])
    assert not torch.equal(fakes["made"][..., :16], batch.style[..., :16])


@pytest.mark.parametrize("augmentation", ["none", "diffaugment"])
def test_feature_matching_vanishes_for_the_truth_itself(augmentation: str) -> None:
    recipe = build(feature_matching_weight=3.0, discriminator_norm="none", augmentation=augmentation)
    made = recipe.networks["generator"](crops(0)).detach()
    losses, _ = recipe.generator_losses(Batch(crops(0), made), 0)
    assert losses["feature_matching"].item() == 0
    losses, _ = recipe.generator_losses(Batch(crops(0), crops(1)), 0)
    assert losses["feature_matching"].item() > 0


@pytest.mark.parametrize(
    "settings",
    [
        {"generator": "resnet"},
        {"generator": "resnet", "norm": "batch", "dropout": 0.5, "blocks": 2},
        {"norm": "batch", "discriminator_norm": "batch", "dropout": 0.5},
        {"norm": "none", "output": "residual", "discriminator_norm": "spectral"},
        {"local_generators": 2},
        {"shared_stem": True, "discriminator_layout": "multi_scale"},
        {"shared_stem": True, "local_generators": 2, "augmentation": "diffaugment", "r1_gamma": 0.1},
    ],
)
def test_parts_train(settings: dict[str, object]) -> None:
    recipe = build(**settings)
    batch = Batch(crops(0), crops(1))
    losses, fakes = recipe.generator_losses(batch, 0)
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in recipe.networks["generator"].parameters())
    recipe.zero_grad(set_to_none=True)
    of_discriminator = recipe.discriminator_losses(batch, {k: v.detach() for k, v in fakes.items()}, 0)
    sum(of_discriminator.values()).backward()
    assert all(p.grad is not None for p in recipe.networks["discriminator"].parameters())
    assert all(p.grad is None for p in recipe.networks["generator"].parameters())
    with torch.no_grad():
        result = recipe.eval().networks["generator"](torch.rand(1, 3, 37, 50))
    assert result.shape == (1, 3, 37, 50)
    assert result.isfinite().all()


def test_learns_a_given_pair() -> None:
    recipe = build(channels=8, adversarial_weight=0.01)
    before, after = crops(0), crops(0).flip(1) * 0.5
    adam = torch.optim.Adam(recipe.networks["generator"].parameters(), 3e-3, betas=(0.5, 0.999))
    distances = []
    for step in range(30):
        losses, _ = recipe.generator_losses(Batch(before, after), step)
        adam.zero_grad()
        sum(losses.values()).backward()
        adam.step()
        distances.append(losses["l1"].item())
    assert distances[-1] < 0.6 * distances[0]


def test_zoomed_crops_are_asked_for() -> None:
    assert Recipe.needs_with(Config()).zoom_min == 1.0
    needs = Recipe.needs_with(Config(zoom_min=0.8))
    assert needs.zoom_min == 0.8
    assert needs.content_filter == "linear"
    assert Recipe.needs_with(Config(content_zoom_filter="nearest")).content_filter == "nearest"
    assert needs.paired


def test_needs_pairs() -> None:
    with pytest.raises(ValueError, match="pairs"):
        build().generator_losses(Batch(crops()), 0)


@pytest.mark.parametrize("preset", list(Recipe.presets))
def test_presets_are_settings(preset: str) -> None:
    Config(**Recipe.presets[preset])
