"""The adversarial part that recipes share: settings, discriminator, and losses on reals and fakes.

Begin with ``settings``; ``losses`` computes under them.
"""

from stylegan_core.recipes.adversary.losses import AdversarialRecipe, Adversary
from stylegan_core.recipes.adversary.settings import AdversarialConfig

__all__ = ["AdversarialConfig", "AdversarialRecipe", "Adversary"]
