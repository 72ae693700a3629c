"""One training step: the generator's update, then the discriminator's, on the same batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from stylegan_core.data.batch import Batch
from stylegan_core.recipes.base import BaseRecipe, Fakes, Losses, RecipeConfig
from stylegan_core.training.ema import MovingAverage
from stylegan_core.training.optimizers import GroupOptimizer, PhaseOptimizers, Role
from stylegan_core.training.schedule import lr_factor, phase_at

if TYPE_CHECKING:
    from lightning.fabric import Fabric


class Stepper:
    """Updates a recipe's networks; the only code that calls backward, step, detach and the moving average.

    Args:
        fabric: precision and devices.
        recipe: its networks are on the device.
        optimizers: empty before the first step, or those of ``phase``.
        average: updated after each generator step.
        config: schedules and clipping.
        phase: index of the phase that ``optimizers`` serve; -1: none yet.
    """

    def __init__(
        self,
        fabric: Fabric,
        recipe: BaseRecipe,
        optimizers: PhaseOptimizers,
        average: MovingAverage,
        config: RecipeConfig,
        phase: int = -1,
    ) -> None:
        self._fabric, self._recipe, self._optimizers = fabric, recipe, optimizers
        self._average, self._config = average, config
        self._phases = recipe.phases()
        self.phase = phase

    def step(self, step: int, next_batch: Callable[[], Batch]) -> dict[str, Tensor]:
        """Takes step ``step`` (counted from 0).

        With ``accumulate_batches`` above 1, each optimizer steps once along the mean gradient of as many batches. It
        differs from a larger batch where a term looks at the batch as a whole, as batch norm does.

        Args:
            step: absolute, so that schedules and lazy regularization do not depend on where a run was resumed.
            next_batch: returns a batch on the device; called ``accumulate_batches`` times for each discriminator step.
        Returns:
            The losses, "loss/generator/<term>" and "loss/discriminator/<term>", detached fp32 scalars, means over the
            batches.
        """
        index = phase_at(self._phases, step)
        phase = self._phases[index]
        if index != self.phase:
            self._optimizers.enter(phase)
            self.phase = index
        c = self._config
        self._optimizers.set_lr(lr_factor(c.lr_schedule, step, c.lr_decay_start_step, c.lr_decay_end_step))
        for _ in range(phase.discriminator_steps - 1 if phase.discriminator else 0):
            batches = [next_batch() for _ in range(c.accumulate_batches)]
            with torch.no_grad(), self._fabric.autocast():
                made = [self._recipe.fakes(batch, step) for batch in batches]
            self._step_discriminator(batches, made, step)
        batches = [next_batch() for _ in range(c.accumulate_batches)]
        losses, made = self._step_generator(batches, step)
        named = {f"loss/generator/{term}": loss for term, loss in losses.items()}
        if phase.discriminator:
            losses = self._step_discriminator(batches, made, step)
            named |= {f"loss/discriminator/{term}": loss for term, loss in losses.items()}
        return named

    def _step_generator(self, batches: Sequence[Batch], step: int) -> tuple[Losses, list[Fakes]]:
        """Updates the generators and their average; returns the losses, and each batch's fakes, detached."""
        self._begin("generator")
        each: list[Losses] = []
        made: list[Fakes] = []
        for batch in batches:
            with self._fabric.autocast():
                losses, fakes = self._recipe.generator_losses(batch, step)
            self._backward("generator", losses, len(batches))
            each.append(losses)
            made.append({name: fake.detach() for name, fake in fakes.items()})
        self._end("generator")
        self._average.update(step)
        return _means(each), made

    def _step_discriminator(self, batches: Sequence[Batch], made: Sequence[Fakes], step: int) -> Losses:
        self._begin("discriminator")
        each: list[Losses] = []
        for batch, fakes in zip(batches, made, strict=True):
            with self._fabric.autocast():
                losses = self._recipe.discriminator_losses(batch, fakes, step)
            self._backward("discriminator", losses, len(batches))
            each.append(losses)
        self._end("discriminator")
        return _means(each)

    def _begin(self, role: Role) -> None:
        self._optimizers.require_grad_for(role)
        for member in self._optimizers.of(role):
            member.adam.zero_grad(set_to_none=True)

    def _backward(self, role: Role, losses: Losses, batches: int) -> None:
        """Adds the gradients of one batch of ``batches``."""
        if not losses:
            raise ValueError(f"the recipe returned no {role} losses in phase {self._phases[self.phase].name!r}")
        total = torch.stack([loss.float() for loss in losses.values()]).sum()
        self._fabric.backward(total if batches == 1 else total / batches)

    def _end(self, role: Role) -> None:
        for member in self._optimizers.of(role):
            self._average_over_processes([p.grad for p in member.parameters.values() if p.grad is not None])
            if self._config.gradient_clip > 0:
                self._fabric.clip_gradients(
                    self._recipe, member.adam, max_norm=self._config.gradient_clip, error_if_nonfinite=False
                )
            member.adam.step()
            if role == "discriminator" and self._config.weight_clip > 0:
                self._clip_weights(member)

    def _clip_weights(self, member: GroupOptimizer) -> None:
        """Bounds a critic's weights (Arjovsky et al. 2017, Wasserstein GAN, arXiv 1701.07875)."""
        bound = self._config.weight_clip
        with torch.no_grad():
            for parameter in member.parameters.values():
                parameter.clamp_(-bound, bound)

    def _average_over_processes(self, gradients: list[Tensor]) -> None:
        """Averages over the processes, without a DDP wrapper, which requires one forward and backward pass per step."""
        if self._fabric.world_size == 1 or not gradients:
            return
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        reduced: Tensor = self._fabric.all_reduce(flat, reduce_op="mean")
        for gradient, part in zip(gradients, torch.split(reduced, [g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))


def _means(each: Sequence[Losses]) -> Losses:
    """The mean of every term over the batches that have it, detached, in fp32."""
    values: dict[str, list[Tensor]] = {}
    for losses in each:
        for term, loss in losses.items():
            values.setdefault(term, []).append(loss.detach().float())
    return {term: v[0] if len(v) == 1 else torch.stack(v).mean() for term, v in values.items()}
