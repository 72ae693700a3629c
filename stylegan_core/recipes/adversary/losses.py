"""Adversarial losses on reals and fakes under a recipe's settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from stylegan_core.data.augment import augment, augment_mildly
from stylegan_core.losses.adversarial import discriminator_loss, generator_loss
from stylegan_core.losses.regularization import r1_penalty, wgan_gradient_penalty
from stylegan_core.networks.discriminators import DiscriminatorOutput
from stylegan_core.networks.synchronized import mean_over_processes, processes
from stylegan_core.recipes.adversary.settings import AdversarialConfig
from stylegan_core.recipes.base import BaseRecipe, Losses

_ADA_EVERY_CALLS = 4
_Penalty = Callable[[Tensor, list[Tensor]], Tensor]


class Adversary(nn.Module):
    """Adversarial losses under ``AdversarialConfig``; its only state is ADA's probability, a buffer.

    The discriminator is an argument of each call, since it is one of the recipe's networks.
    """

    probability: Tensor
    sign_sum: Tensor

    def __init__(self, config: AdversarialConfig) -> None:
        super().__init__()
        self.config = config
        self.dataset_size: int | None = None
        """Different pictures that the sampler draws from; None is unknown, and augments."""
        self.register_buffer("probability", torch.zeros(()))
        self.register_buffer("sign_sum", torch.zeros(3))  # of signs on reals, calls and pictures since the last change

    def generator_term(self, discriminator: nn.Module, fake: Tensor, given: Tensor | None = None) -> Tensor:
        """The weighted generator loss.

        Args:
            discriminator: of ``build_discriminator``.
            fake: (N, 3, H, W) in [-1, 1].
            given: (N, C, H, W), the content of the fakes, for a conditional discriminator.
        """
        return self.generator_loss(self.discriminate(discriminator, fake, given))

    def generator_loss(self, output: DiscriminatorOutput) -> Tensor:
        """The weighted generator loss of a discriminator's output on fakes."""
        return self.config.adversarial_weight * generator_loss(self.config.adversarial, output.logits)

    def discriminator_terms(
        self,
        discriminator: nn.Module,
        real: Tensor,
        fake: Tensor,
        step: int,
        *,
        given_real: Tensor | None = None,
        given_fake: Tensor | None = None,
        name: str = "discriminator",
    ) -> Losses:
        """The losses of ``terms_and_reals`` alone."""
        return self.terms_and_reals(
            discriminator, real, fake, step, given_real=given_real, given_fake=given_fake, name=name
        )[0]

    def terms_and_reals(
        self,
        discriminator: nn.Module,
        real: Tensor,
        fake: Tensor,
        step: int,
        *,
        given_real: Tensor | None = None,
        given_fake: Tensor | None = None,
        name: str = "discriminator",
    ) -> tuple[Losses, DiscriminatorOutput]:
        """The discriminator loss, lazy R1 and WGAN-GP's penalty if they are on, under names that begin with ``name``.

        Args:
            discriminator: of ``build_discriminator``.
            real: (N, 3, H, W) in [-1, 1].
            fake: (M, 3, H, W), detached.
            step: of the training.
            given_real: content of the reals, for a conditional discriminator.
            given_fake: content of the fakes.
            name: of the loss.
        Returns:
            The losses, and the output on the reals, for further heads of the discriminator.
        """
        c = self.config
        of_real, of_fake = self._outputs_of_both(discriminator, real, fake, given_real, given_fake)
        losses: Losses = {name: discriminator_loss(c.adversarial, of_real.logits, of_fake.logits)}
        if c.augmentation == "ada" and self._augments():
            self._update_probability(of_real.logits, len(real))
        if c.r1_gamma > 0 and step % c.r1_every_steps == 0:
            penalty = self._penalty(r1_penalty, discriminator, real, given_real)
            losses[f"{name}_r1"] = 0.5 * c.r1_gamma * c.r1_every_steps * penalty
        if c.gradient_penalty_weight > 0:
            share = torch.rand(min(len(real), len(fake)), 1, 1, 1).to(real.device)
            given = None if given_real is None or given_fake is None else _mix(share, given_real, given_fake)
            penalty = self._penalty(wgan_gradient_penalty, discriminator, _mix(share, real, fake), given)
            losses[f"{name}_gradient_penalty"] = c.gradient_penalty_weight * penalty
        return losses, of_real

    def discriminate(
        self, discriminator: nn.Module, pictures: Tensor, given: Tensor | None = None
    ) -> DiscriminatorOutput:
        """The discriminator's output on augmented pictures."""
        (output,) = self.discriminate_versions(discriminator, [pictures], given)
        return output

    def discriminate_versions(
        self, discriminator: nn.Module, versions: Sequence[Tensor], given: Tensor | None = None
    ) -> list[DiscriminatorOutput]:
        """The discriminator's outputs on versions of the same pictures with equal augmentation, for feature matching.

        Args:
            discriminator: of ``build_discriminator``.
            versions: (N, 3, H, W) in [-1, 1] each, such as fakes and reals.
            given: (N, C, H, W), their content, for a conditional discriminator.
        """
        condition = [] if given is None else [given]
        if self._augments():
            parts = [*condition, *versions]
            changed = torch.split(self._augmented(torch.cat(parts, dim=1)), [p.shape[1] for p in parts], dim=1)
            condition, versions = list(changed[: len(condition)]), changed[len(condition) :]
        return [
            discriminator(torch.cat([*condition, version], dim=1) if condition else version) for version in versions
        ]

    def _outputs_of_both(
        self,
        discriminator: nn.Module,
        real: Tensor,
        fake: Tensor,
        given_real: Tensor | None,
        given_fake: Tensor | None,
    ) -> tuple[DiscriminatorOutput, DiscriminatorOutput]:
        """Outputs on reals and on fakes, in one call if that changes nothing: a third of the overhead."""
        if self.config.discriminator_norm == "batch" or real.shape[1:] != fake.shape[1:]:
            of_real = self.discriminate(discriminator, real, given_real)
            return of_real, self.discriminate(discriminator, fake, given_fake)
        given = None if given_real is None or given_fake is None else torch.cat([given_real, given_fake])
        both = self.discriminate(discriminator, torch.cat([real, fake]), given)
        return both[: len(real)], both[len(real) :]

    def _augmented(self, pictures: Tensor) -> Tensor:
        if self.config.augmentation == "mild":
            return augment_mildly(pictures)
        return augment(pictures, 1.0 if self.config.augmentation == "diffaugment" else self.probability)

    def _augments(self) -> bool:
        c, count = self.config, self.dataset_size
        return c.augmentation != "none" and (count is None or count <= c.augment_below_pictures)

    @torch.no_grad()
    def _update_probability(self, real_logits: list[Tensor], count: int) -> None:
        """Updates ADA's probability towards the target: overfitting is the discriminator's certainty of reals."""
        middle = 0.5 if self.config.adversarial == "least_squares" else 0.0
        sign = torch.stack([(logits.float() - middle).sign().mean() for logits in real_logits]).mean()
        sign = mean_over_processes(sign)  # so that all processes augment with one probability
        pictures_seen = torch.full_like(sign, count * processes())
        self.sign_sum += torch.stack([sign, torch.ones_like(sign), pictures_seen])
        signs, calls, pictures = self.sign_sum
        due = (calls >= _ADA_EVERY_CALLS).float()  # no branch: it would wait for the device
        direction = (signs / calls - self.config.ada_target).sign()
        self.probability.add_(due * direction * pictures / (1000 * self.config.ada_kimg)).clamp_(0.0, 1.0)
        self.sign_sum.mul_(1 - due)

    def _penalty(self, penalty: _Penalty, discriminator: nn.Module, pictures: Tensor, given: Tensor | None) -> Tensor:
        seen = pictures.detach().float().requires_grad_()
        with torch.autocast(seen.device.type, enabled=False):  # bf16 gradients of gradients are noise
            logits = self.discriminate(discriminator, seen, None if given is None else given.float()).logits
            return penalty(seen, logits).mean()


class AdversarialRecipe(BaseRecipe):
    """A recipe with one ``Adversary`` or several among its modules."""

    def set_dataset_size(self, pictures: int | None) -> None:
        """See ``BaseRecipe``: the size decides whether an adversary augments."""
        for module in self.children():
            if isinstance(module, Adversary):
                module.dataset_size = pictures


def _mix(share: Tensor, real: Tensor, fake: Tensor) -> Tensor:
    """Interpolates of the first pictures of both, (N, C, H, W), for the penalty of WGAN-GP."""
    return share * real[: len(share)] + (1 - share) * fake[: len(share)]
