from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_core.data.batch import Batch
from stylegan_core.recipes.attributes import Config, Recipe, draw_changes
from stylegan_core.recipes.base import Conditions, Needs

TINY: dict[str, Any] = {
    "attributes": ("smiling", "glasses"),
    "crop_px": 32,
    "batch_size": 4,
    "channels": 4,
    "blocks": 1,
    "discriminator_channels": 8,
    "discriminator_layers": 2,
}


def recipe(**changes: Any) -> Recipe:
    torch.manual_seed(0)
    return Recipe(Config(**{**TINY, **changes}))


def batch(seed: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    content = torch.rand(4, 3, 32, 32, generator=generator) * 2 - 1
    return Batch(content=content, labels=torch.randint(2, (4, 2), generator=generator).float())


def test_it_asks_for_the_labels_that_its_settings_name() -> None:
    assert Recipe.needs_with(recipe().config) == Needs(content=True, style=False, labels=("smiling", "glasses"))


@pytest.mark.parametrize("names", [(), ("a", "a"), ("",)])
def test_attributes_are_each_named_once(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="each once"):
        Config(attributes=names)


def test_wishes_say_what_is_wanted() -> None:
    torch.manual_seed(0)
    labels = torch.randint(2, (4000, 3)).float()
    change, wanted = draw_changes(labels, met_share=0.25)
    assert set(change.unique().tolist()) == {-1.0, 0.0, 1.0}
    assert (change != 0).any(dim=1).all(), "a picture without a change teaches nothing"
    assert torch.equal(wanted[change == 0], labels[change == 0])
    assert torch.equal(wanted[change == 1], torch.ones_like(wanted[change == 1]))
    assert torch.equal(wanted[change == -1], torch.zeros_like(wanted[change == -1]))
    met = (wanted == labels)[change != 0].float().mean().item()
    assert met == pytest.approx(0.25, abs=0.02)
    assert (change == 0).float().mean().item() == pytest.approx(
        1 / 3, abs=0.02
    )  # not mentioned, and not the forced one


def test_no_wish_is_drawn_for_what_is_there_at_share_0() -> None:
    torch.manual_seed(0)
    labels = torch.randint(2, (100, 1)).float()
    change, wanted = draw_changes(labels, met_share=0.0)
    assert torch.equal(wanted, 1 - labels)
    assert torch.equal(change, 1 - 2 * labels)


def test_reconstruction_looks_at_met_wishes_alone() -> None:
    made = recipe(met_share=0.0)
    losses, fakes = made.generator_losses(batch(), 0)
    assert losses["reconstruction"] == 0
    assert not torch.equal(fakes["edited"], batch().content)
    assert recipe(met_share=0.99).generator_losses(batch(), 0)[0]["reconstruction"] > 0


def test_reals_pass_the_discriminator_once() -> None:
    made = recipe(gradient_penalty_weight=0.0)
    seen: list[int] = []
    made.networks["discriminator"].register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    losses = made.discriminator_losses(batch(), {"edited": batch(2).content}, 1)
    assert seen == [8]  # reals and edits in one call
    discriminator = made.networks["discriminator"]
    expected = F.binary_cross_entropy_with_logits(
        discriminator.attributes(discriminator(batch().content)), batch().labels
    )
    torch.testing.assert_close(losses["attributes"], expected)


def test_strength_scales_the_labels() -> None:
    made, content = recipe().eval(), batch().content
    labels = torch.tensor([[1.0, -1.0]] * 4)
    half = made.translate(content, Conditions(labels=labels, strength=0.5))
    assert torch.equal(half, made.translate(content, Conditions(labels=0.5 * labels)))
    assert torch.equal(made.translate(content, Conditions(labels=labels, strength=0.0)), content)
    assert torch.equal(made.translate(content, Conditions()), content)
    assert not torch.equal(half, content)


def test_labels_of_a_wrong_shape_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"\(4, 2\).*smiling, glasses.*\(4, 1\)"):
        recipe().translate(batch().content, Conditions(labels=torch.ones(4, 1)))
    with pytest.raises(ValueError, match=r"prepare\.labels"):
        recipe().generator_losses(Batch(content=batch().content), 0)


def test_it_learns_to_add_and_remove_a_bright_half() -> None:
    """One attribute that is easy to see: after a short training the change is met and the other half stays."""
    made = recipe(
        attributes=("bright",),
        norm="none",
        flow_px=0.0,
        discriminator_norm="spectral",
        adversarial="least_squares",
        gradient_penalty_weight=0.0,
        reconstruction_weight=5.0,
        attribute_weight=2.0,
        keep_weight=2.0,
        discriminator_steps=1,
    )
    networks = made.networks
    steps, rate = 320, 3e-3
    optimizers = {name: torch.optim.Adam(networks[name].parameters(), rate, (0.5, 0.99)) for name in networks}
    draws = torch.Generator().manual_seed(0)

    def faces(count: int, labels: Tensor) -> Tensor:
        flat = torch.rand(count, 3, 1, 1, generator=draws) * 0.4 - 0.5 + torch.zeros(count, 3, 32, 32)
        flat[:, :, :16] += 0.6 * labels.view(-1, 1, 1, 1)
        return flat

    for step in range(steps):
        for optimizer in optimizers.values():  # a constant rate ends anywhere in an oscillation, another on each CPU
            optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        labels = torch.randint(2, (8, 1), generator=draws).float()
        seen = Batch(content=faces(8, labels), labels=labels)
        networks["discriminator"].requires_grad_(False)
        losses, fakes = made.generator_losses(seen, step)
        sum(losses.values()).backward()
        optimizers["generator"].step()
        networks["discriminator"].requires_grad_(True)
        of_discriminator = made.discriminator_losses(seen, {k: v.detach() for k, v in fakes.items()}, step)
        sum(of_discriminator.values()).backward()
        optimizers["discriminator"].step()
        made.zero_grad()

    def gap(pictures: Tensor) -> Tensor:
        return pictures[:, :, 2:14].mean(dim=(1, 2, 3)) - pictures[:, :, 18:].mean(dim=(1, 2, 3))

    made.eval()
    for before, change in ((0.0, 1.0), (1.0, -1.0)):
        content = faces(16, torch.full((16, 1), before))
        with torch.no_grad():
            edited = made.translate(content, Conditions(labels=torch.full((16, 1), change)))
        assert ((gap(edited) > 0.3).float() == float(change > 0)).float().mean() > 0.9, (change, gap(edited))
        kept = (edited - content)[:, :, 18:].abs().mean()
        assert kept < 0.15, kept


def test_training_continues_exactly_with_its_augmentation() -> None:
    """ADA's probability and the drawn wishes are part of what resumes."""

    def step(made: Recipe, at: int) -> None:
        losses, fakes = made.generator_losses(batch(at), at)
        of_discriminator = made.discriminator_losses(batch(at), {k: v.detach() for k, v in fakes.items()}, at)
        parameters = list(made.parameters())
        gradients = torch.autograd.grad(sum((*losses.values(), *of_discriminator.values())), parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.sub_(1e-2 * gradient)

    first = recipe(augmentation="ada", ada_kimg=0.01, adversarial="hinge")
    for at in range(4):
        step(first, at)
    saved, random = copy.deepcopy(first.state_dict()), torch.get_rng_state()
    second = recipe(augmentation="ada", ada_kimg=0.01, adversarial="hinge")
    second.load_state_dict(saved)
    for made in (first, second):
        torch.set_rng_state(random)
        step(made, 4)
    assert all(torch.equal(value, second.state_dict()[key]) for key, value in first.state_dict().items())
