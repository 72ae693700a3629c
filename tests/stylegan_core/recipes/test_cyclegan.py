import pytest
import torch

from stylegan_core.data.batch import Batch
from stylegan_core.recipes.base import Conditions
from stylegan_core.recipes.cyclegan import Config, Recipe

SIZES = {"crop_px": 32, "channels": 4, "blocks": 1, "discriminator_channels": 4, "discriminator_layers": 1}


def build(**settings: object) -> Recipe:
    torch.manual_seed(0)
    return Recipe(Config(**(SIZES | settings)))


def crops(seed: int) -> torch.Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_terms_are_the_papers() -> None:
    recipe = build(cycle_weight=4.0, identity_share=0.25, adversarial_weight=3.0)
    content, style = crops(0), crops(1)
    losses, fakes = recipe.generator_losses(Batch(content, style), 0)
    forward, backward = recipe.networks["forward_generator"], recipe.networks["backward_generator"]
    torch.testing.assert_close(fakes["style"], forward(content))
    torch.testing.assert_close(fakes["content"], backward(style))
    (logits,) = recipe.networks["style_discriminator"](forward(content)).logits
    expected = {
        "adversarial_style": 3 * (logits - 1).square().mean(),
        "cycle_content": 4 * (backward(forward(content)) - content).abs().mean(),
        "cycle_style": 4 * (forward(backward(style)) - style).abs().mean(),
        "identity": (forward(style) - style).abs().mean() + (backward(content) - content).abs().mean(),
    }
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value, msg=name)
    assert set(losses) == {*expected, "adversarial_content"}


def test_identity_costs_nothing_when_it_is_off() -> None:
    calls = []
    recipe = build(identity_share=0.0)
    recipe.networks["forward_generator"].register_forward_hook(lambda _, given, __: calls.append(len(given[0])))
    losses, _ = recipe.generator_losses(Batch(crops(0), crops(1)), 0)
    assert "identity" not in losses
    assert calls == [2, 2]


def test_each_discriminator_sees_its_own_domain() -> None:
    recipe = build()
    seen: dict[str, list[torch.Tensor]] = {"style_discriminator": [], "content_discriminator": []}
    for name, pictures in seen.items():
        recipe.networks[name].register_forward_hook(lambda _, given, __, kept=pictures: kept.append(given[0]))
    content, style = crops(0), crops(1)
    fakes = {"style": crops(2), "content": crops(3)}
    losses = recipe.discriminator_losses(Batch(content, style), fakes, 1)
    assert set(losses) == {"style_discriminator", "content_discriminator"}
    assert torch.equal(torch.cat(seen["style_discriminator"]), torch.cat([style, fakes["style"]]))
    assert torch.equal(torch.cat(seen["content_discriminator"]), torch.cat([content, fakes["content"]]))


def test_discriminators_see_earlier_fakes_and_the_pools_are_in_the_state() -> None:
    recipe = build(replay_pictures=2)
    seen: list[torch.Tensor] = []
    recipe.networks["style_discriminator"].register_forward_hook(lambda _, given, __: seen.append(given[0]))
    fakes = [{"style": crops(seed), "content": crops(seed + 50)} for seed in range(10)]
    for step, made in enumerate(fakes):
        recipe.discriminator_losses(Batch(crops(98), crops(99)), made, step)
    known = {fake[0, 0, 0].half().item(): step for step, made in enumerate(fakes) for fake in made["style"]}
    ages = [step - known[fake[0, 0, 0].half().item()] for step, both in enumerate(seen) for fake in both[2:]]
    assert len(ages) == 20
    assert ages.count(0) >= 2
    assert max(ages) >= 1
    assert min(ages) == 0
    assert recipe.state_dict()["style_pool.kept"].abs().sum() > 0
    assert recipe.state_dict()["content_pool.filled"] == 2


def test_translates_both_ways() -> None:
    recipe = build().eval()
    content = crops(0)
    forward, backward = (recipe.translate(content, Conditions(direction=d)) for d in ("forward", "backward"))
    assert torch.equal(forward, recipe.networks["forward_generator"](content))
    assert torch.equal(backward, recipe.networks["backward_generator"](content))
    assert not torch.equal(forward, backward)


def test_needs_style() -> None:
    with pytest.raises(ValueError, match="has none"):
        build().generator_losses(Batch(crops(0)), 0)
