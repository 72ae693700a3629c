"""One step against the same arithmetic written out by hand."""

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from stylegan_core.data.batch import Batch
from stylegan_core.recipes.base import BaseRecipe, Kind, Needs, ParameterGroup, Phase, RecipeConfig
from stylegan_core.training.ema import MovingAverage
from stylegan_core.training.hardware import make_fabric
from stylegan_core.training.optimizers import PhaseOptimizers
from stylegan_core.training.step import Stepper


class Plain(BaseRecipe):
    kind, needs, paper = Kind.TRANSLATE, Needs(), "none"

    def __init__(self, config: RecipeConfig, ratio: int = 1) -> None:
        super().__init__(config)
        torch.manual_seed(1)
        self.ratio = ratio
        self.networks["generator"] = nn.Conv2d(3, 3, 3, padding=1)
        self.networks["discriminator"] = nn.Conv2d(3, 1, 3)
        self.steps_seen: list[tuple[str, int]] = []

    def phases(self) -> list[Phase]:
        g = ParameterGroup(("generator",), 1e-2, (0.5, 0.9))
        d = ParameterGroup(("discriminator",), 2e-2, (0.5, 0.9))
        return [Phase("gan", None, (g,), (d,), self.ratio)]

    def generator_losses(self, batch: Batch, step: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        self.steps_seen.append(("generator", step))
        fake = self.networks["generator"](batch.content)
        assert not self.networks["discriminator"].weight.requires_grad or self.ratio > 1
        return {
            "l1": (fake - batch.style).abs().mean(),
            "adversarial": -self.networks["discriminator"](fake).mean(),
        }, {"fake": fake}

    def fakes(self, batch: Batch, step: int) -> dict[str, Tensor]:
        self.steps_seen.append(("fakes", step))
        assert not torch.is_grad_enabled()
        return {"fake": self.networks["generator"](batch.content)}

    def discriminator_losses(self, batch: Batch, fakes: dict[str, Tensor], step: int) -> dict[str, Tensor]:
        self.steps_seen.append(("discriminator", step))
        assert not fakes["fake"].requires_grad
        assert not self.networks["generator"].weight.requires_grad
        discriminator = self.networks["discriminator"]
        return {
            "hinge": (1 - discriminator(batch.style)).relu().mean() + (1 + discriminator(fakes["fake"])).relu().mean()
        }


def batch(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    content = torch.rand(2, 3, 8, 8, generator=generator) * 2 - 1
    return Batch(content=content, style=-content)


def stepper(recipe: Plain, **config: object) -> Stepper:
    settings = RecipeConfig(**config)  # type: ignore[arg-type]
    fabric = make_fabric("cpu", 1, "fp32")
    average = MovingAverage({"generator": recipe.networks["generator"]}, 0.9)
    return Stepper(fabric, recipe, PhaseOptimizers(fabric, recipe.networks, fused=False), average, settings)


@pytest.mark.parametrize("clip", [0.0, 0.05])
def test_three_steps_agree_with_a_loop_written_out(clip):
    ours, reference = Plain(RecipeConfig()), Plain(RecipeConfig())
    taken = stepper(ours, gradient_clip=clip, lr_schedule="linear", lr_decay_end_step=4)
    g = torch.optim.Adam(reference.networks["generator"].parameters(), betas=(0.5, 0.9))
    d = torch.optim.Adam(reference.networks["discriminator"].parameters(), betas=(0.5, 0.9))
    for step in range(3):
        losses = taken.step(step, lambda step=step: batch(step))
        crops = batch(step)
        g.param_groups[0]["lr"], d.param_groups[0]["lr"] = 1e-2 * (1 - step / 4), 2e-2 * (1 - step / 4)
        net, discriminator = reference.networks["generator"], reference.networks["discriminator"]
        fake = net(crops.content)
        l1, adversarial = (fake - crops.style).abs().mean(), -discriminator(fake).mean()
        g.zero_grad()
        (l1 + adversarial).backward()
        if clip:
            nn.utils.clip_grad_norm_(net.parameters(), clip)
        g.step()
        hinge = (1 - discriminator(crops.style)).relu().mean() + (1 + discriminator(fake.detach())).relu().mean()
        d.zero_grad()
        hinge.backward()
        if clip:
            nn.utils.clip_grad_norm_(discriminator.parameters(), clip)
        d.step()
        expected = {"generator/l1": l1, "generator/adversarial": adversarial, "discriminator/hinge": hinge}
        for name, value in expected.items():
            torch.testing.assert_close(losses[f"loss/{name}"], value.detach())
    for a, b in zip(ours.networks.parameters(), reference.networks.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


def test_discriminator_steps_a_generator_step_see_fresh_batches_and_the_absolute_step():
    recipe = Plain(RecipeConfig(), ratio=3)
    asked = iter(range(100))
    taken = stepper(recipe)
    before = recipe.networks["generator"].weight.clone()
    taken.step(40, lambda: batch(next(asked)))
    assert next(asked) == 3
    assert recipe.steps_seen == [("fakes", 40), ("discriminator", 40)] * 2 + [("generator", 40), ("discriminator", 40)]
    assert not torch.equal(before, recipe.networks["generator"].weight)


@pytest.mark.parametrize("clip", [0.0, 0.05])
def test_accumulated_batches_step_like_one_that_has_all_their_pictures(clip):
    """Every loss is a mean over pictures, so that the mean over batches is the mean over all pictures."""
    ours, reference = Plain(RecipeConfig(), ratio=2), Plain(RecipeConfig(), ratio=2)
    settings = {"gradient_clip": clip, "lr_schedule": "linear", "lr_decay_end_step": 4}
    small, large = stepper(ours, accumulate_batches=3, **settings), stepper(reference, **settings)
    drawn = iter(range(100))
    for step in range(3):
        losses = small.step(step, lambda: batch(next(drawn)))

        turns = iter(range(6 * step, 6 * step + 6, 3))

        def joined(turns: Any = turns) -> Batch:
            first = next(turns)
            parts = [batch(first + i) for i in range(3)]
            return Batch(torch.cat([p.content for p in parts]), torch.cat([p.style for p in parts]))

        expected = large.step(step, joined)
        assert set(losses) == set(expected)
        for name, value in expected.items():
            torch.testing.assert_close(losses[name], value, rtol=1e-5, atol=1e-6)
    assert next(drawn) == 18
    for a, b in zip(ours.networks.parameters(), reference.networks.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_recipe_without_losses_is_named():
    recipe = Plain(RecipeConfig())
    recipe.generator_losses = lambda batch, step: ({}, {})  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="no generator losses in phase 'gan'"):
        stepper(recipe).step(0, lambda: batch(0))


def test_gradients_of_several_processes_are_averaged():
    recipe = Plain(RecipeConfig())
    taken = stepper(recipe)

    class Two:
        """A second process whose gradients are three times ours."""

        world_size = 2
        reduced: ClassVar[list[int]] = []

        def all_reduce(self, flat: Tensor, reduce_op: str) -> Tensor:
            assert reduce_op == "mean"
            self.reduced.append(flat.numel())
            return (flat + 3 * flat) / 2

        def __getattr__(self, name: str) -> Any:
            return getattr(fabric, name)

    fabric, taken._fabric = taken._fabric, Two()  # type: ignore[assignment]
    seen: list[Tensor] = []
    taken._fabric.clip_gradients = lambda *a, **k: seen.append(recipe.networks["generator"].weight.grad.clone())
    taken._config = RecipeConfig(gradient_clip=1.0)
    reference = Plain(RecipeConfig())
    reference.networks["discriminator"].requires_grad_(False)
    losses, _ = reference.generator_losses(batch(0), 0)
    sum(losses.values()).backward()
    taken.step(0, lambda: batch(0))
    torch.testing.assert_close(seen[0], 2 * reference.networks["generator"].weight.grad)
    assert Two.reduced == [3 * 3 * 9 + 3, 3 * 9 + 1]  # once a side


def test_weight_clipping_bounds_the_discriminator_alone():
    recipe = Plain(RecipeConfig())
    before = recipe.networks["generator"].weight.detach().clone()
    taken = stepper(recipe, weight_clip=0.01)
    for step in range(2):
        taken.step(step, lambda step=step: batch(step))
        weights = recipe.networks["discriminator"].weight
        assert weights.abs().max() <= 0.01
        assert weights.abs().min() < 0.01
    assert recipe.networks["generator"].weight.abs().max() > 0.1
    assert not torch.equal(recipe.networks["generator"].weight, before)
