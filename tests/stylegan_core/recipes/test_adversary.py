"""Real against fake, with what may stand between: augmentation, penalties, frozen layers."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stylegan_core.data.batch import Batch
from stylegan_core.networks.discriminators import DiscriminatorOutput
from stylegan_core.recipes.adversary import AdversarialConfig, Adversary
from stylegan_core.recipes.keyframe import Config, Recipe
from stylegan_core.training.ema import MovingAverage
from stylegan_core.training.hardware import make_fabric
from stylegan_core.training.optimizers import PhaseOptimizers
from stylegan_core.training.step import Stepper

TINY: dict[str, Any] = {"crop_px": 32, "batch_size": 2, "discriminator_channels": 4, "discriminator_layers": 1}


def crops(count: int = 2, seed: int = 0, side: int = 32) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


class Fixed(nn.Module):
    """A discriminator whose logit is ``sharpness`` times the mean of a picture; it records its inputs."""

    def __init__(self, sharpness: float = 1.0) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.tensor(sharpness))
        self.seen: list[Tensor] = []

    def forward(self, pictures: Tensor) -> DiscriminatorOutput:
        self.seen.append(pictures.detach())
        return DiscriminatorOutput([self.sharpness * pictures.mean(dim=(1, 2, 3)).view(-1, 1, 1, 1)], [pictures])


def adversary(**settings: Any) -> Adversary:
    return Adversary(AdversarialConfig(**(TINY | settings)))


def test_ada_rises_when_the_discriminator_is_sure_and_falls_when_it_is_not() -> None:
    part = adversary(augmentation="ada", ada_kimg=0.1, adversarial="hinge")
    bright = torch.full((4, 3, 32, 32), 0.5)
    sure, unsure = Fixed(10.0), Fixed(-10.0)
    values = []
    for discriminator in (sure, unsure):
        for step in range(12):
            part.discriminator_terms(discriminator, bright, -bright, step)
            values.append(part.probability.item())
    # 4 pictures x 4 calls of 100 pictures is 0.16, after every fourth call.
    assert values[:12] == pytest.approx([0.0] * 3 + [0.16] * 4 + [0.32] * 4 + [0.48])
    assert values[12:] == pytest.approx([0.48] * 3 + [0.32] * 4 + [0.16] * 4 + [0.0], abs=1e-6)


def test_ada_stays_within_0_and_1() -> None:
    part = adversary(augmentation="ada", ada_kimg=0.01)
    bright = torch.full((4, 3, 32, 32), 0.5)
    for discriminator, expected in ((Fixed(10.0), 1.0), (Fixed(-10.0), 0.0)):
        for step in range(16):
            part.discriminator_terms(discriminator, bright, -bright, step)
        assert part.probability.item() == expected


def test_least_squares_is_sure_above_the_middle_of_its_targets() -> None:
    rises = []
    for value in (0.4, 0.6):  # targets are 0 and 1
        part = adversary(augmentation="ada", ada_kimg=0.1)
        for step in range(4):
            part.discriminator_terms(Fixed(), torch.full((4, 3, 32, 32), value), torch.zeros(4, 3, 32, 32), step)
        rises.append(part.probability.item() > 0)
    assert rises == [False, True]


@pytest.mark.parametrize("dataset_size", [None, 10, 11])
@pytest.mark.parametrize("augmentation", ["diffaugment", "ada"])
def test_large_sets_are_not_augmented(augmentation: str, dataset_size: int | None) -> None:
    torch.manual_seed(0)  # augmentation may darken a bright crop
    part = adversary(augmentation=augmentation, augment_below_pictures=10, ada_kimg=0.001)
    part.dataset_size = dataset_size
    discriminator, bright = Fixed(10.0), crops(4).abs()
    for step in range(8):
        part.discriminator_terms(discriminator, bright, -bright, step)
    changed = not torch.equal(discriminator.seen[-1], torch.cat([bright, -bright]))
    assert changed is (dataset_size != 11)
    assert (part.probability.item() > 0) is (changed and augmentation == "ada")


def test_no_augmentation_draws_no_number() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    part = adversary()
    part.generator_term(Fixed(), crops())
    part.discriminator_terms(Fixed(), crops(), crops(seed=1), 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_versions_are_augmented_as_what_they_were_made_from() -> None:
    part, discriminator = adversary(augmentation="diffaugment"), Fixed()
    one = crops(8)
    part.discriminate_versions(discriminator, [one, one], given=one)
    first, second = discriminator.seen
    assert torch.equal(first[:, :3], first[:, 3:])
    assert torch.equal(first, second)
    assert not torch.equal(first[:, :3], one)


def test_reals_and_fakes_pass_the_discriminator_in_one_call_but_for_batch_statistics() -> None:
    real, fake = crops(2), crops(3, seed=1)
    for norm, calls in (("none", 1), ("batch", 2)):
        discriminator = Fixed()
        losses = adversary(discriminator_norm=norm).discriminator_terms(discriminator, real, fake, 0)
        assert len(discriminator.seen) == calls
        means = real.mean(dim=(1, 2, 3)), fake.mean(dim=(1, 2, 3))
        expected = 0.5 * ((means[0] - 1).square().mean() + means[1].square().mean())
        torch.testing.assert_close(losses["discriminator"], expected)


def test_penalties_against_a_linear_discriminator() -> None:
    # The discriminator is sharpness * mean: its gradient is sharpness / 3072 in each of 3072 samples.
    part = adversary(r1_gamma=0.5, r1_every_steps=4, gradient_penalty_weight=10.0)
    for count in (2, 1):  # fewer fakes than reals: mixtures of as many
        losses = part.discriminator_terms(Fixed(50.0), crops(2), crops(count, seed=1), 4, name="d")
        norm = 50.0 / 3072**0.5
        assert losses["d_r1"].item() == pytest.approx(0.25 * 4 * norm**2, rel=1e-4)
        assert losses["d_gradient_penalty"].item() == pytest.approx(10 * (norm - 1) ** 2, rel=1e-4)
    assert set(part.discriminator_terms(Fixed(), crops(), crops(), 5)) == {
        "discriminator",
        "discriminator_gradient_penalty",
    }


def test_mixtures_have_mixed_conditions() -> None:
    part, discriminator = adversary(gradient_penalty_weight=1.0), Fixed()
    torch.manual_seed(0)
    real, fake = torch.ones(2, 3, 32, 32), torch.zeros(2, 3, 32, 32)
    part.discriminator_terms(discriminator, real, fake, 0, given_real=real, given_fake=fake)
    mixed = discriminator.seen[-1]
    shares = mixed[:, :, 0, 0]
    assert torch.equal(mixed[:, :3], mixed[:, 3:])
    assert (mixed == shares[..., None, None]).all()
    assert ((shares > 0) & (shares < 1)).all()
    assert shares[0, 0] != shares[1, 0]


PROJECTED = {"discriminator_layout": "projected", "augmentation": "mild"}


def test_projected_says_which_features_train() -> None:
    assert AdversarialConfig(**(TINY | PROJECTED)).extractors() == ("efficientnet_lite0",)
    assert AdversarialConfig(**(TINY | PROJECTED | {"adversarial_weight": 0})).extractors() == ()
    assert AdversarialConfig(**TINY).extractors() == ()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"frozen_layers": 3}, "frozen_layers is 3.*one must be trainable"),
        ({"augmentation": "ada", "adversarial": "wasserstein"}, "ada measures"),
        ({"discriminator_layout": "projected"}, "projected does not work with augmentation none.*use mild"),
        (PROJECTED | {"frozen_layers": 1}, "projected does not work with frozen_layers"),
        (PROJECTED | {"weight_clip": 0.01}, "projected does not work with weight_clip"),
        (PROJECTED | {"discriminator_layers": 4}, "smallest input of projected is 32 px"),
        ({"discriminator_layout": "multi_scale", "discriminator_scales": 4}, "smallest input of multi_scale is 4 px"),
        ({"discriminator_layout": "global_local", "discriminator_regions": 8}, "input of global_local is 4 px"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        adversary(**settings)
    if "discriminator_layout" in settings:
        assert AdversarialConfig(**(TINY | settings | {"adversarial_weight": 0})).adversarial_weight == 0


@pytest.mark.parametrize("norm", ["spectral", "batch"])
def test_frozen_layers_stay_through_the_trainers_steps(norm: str) -> None:
    torch.manual_seed(0)
    config = Config(**TINY, channels=4, blocks=1, frozen_layers=1, discriminator_norm=norm, weight_clip=10.0, beta1=0.0)
    recipe = Recipe(config).train()
    before = {name: p.detach().clone() for name, p in recipe.networks["discriminator"].named_parameters()}
    fabric = make_fabric("cpu", 1, "fp32")
    average = MovingAverage({"generator": recipe.networks["generator"]}, 0.9)
    stepper = Stepper(fabric, recipe, PhaseOptimizers(fabric, recipe.networks, fused=False), average, config)
    for step in range(3):
        stepper.step(step, lambda step=step: Batch(crops(seed=step), crops(seed=step + 9)))  # type: ignore[misc]
    moved = {
        name for name, p in recipe.networks["discriminator"].named_parameters() if not torch.equal(p, before[name])
    }
    first = {name for name in before if name.startswith("judges.0.body.0.")}
    assert first
    assert not moved & first
    assert moved == set(before) - first
