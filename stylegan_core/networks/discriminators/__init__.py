"""Discriminators of several parts, of patch discriminators or on trained features.

Begin with ``layouts``; ``projected`` has the same interface.
"""

from stylegan_core.networks.discriminators.layouts import Discriminator, DiscriminatorOutput, Layout, PatchLayout
from stylegan_core.networks.discriminators.projected import ProjectedDiscriminator

__all__ = ["Discriminator", "DiscriminatorOutput", "Layout", "PatchLayout", "ProjectedDiscriminator"]
