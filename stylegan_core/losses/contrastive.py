"""PatchNCE (Park et al. 2020, Contrastive Learning for Unpaired Image-to-Image Translation, arXiv 2007.15651)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def patch_nce(query: Tensor, key: Tensor, temperature: float = 0.07) -> Tensor:
    """Cross-entropy of finding each query's own position among the keys of the same picture.

    Args:
        query: (N, P, D) unit vectors of the result's patches.
        key: (N, P, D) unit vectors of the content's patches at the same positions; no gradient flows into it.
        temperature: divides the similarities.
    Returns:
        (N, P) one loss for each patch; log(P) for indistinguishable patches.
    """
    similarity = query.float() @ key.detach().float().transpose(1, 2) / temperature  # (N, P, P)
    pictures, patches, _ = similarity.shape
    own = torch.arange(patches, device=query.device).expand(pictures, patches)
    return F.cross_entropy(similarity.flatten(0, 1), own.flatten(), reduction="none").view(pictures, patches)


def sample_positions(positions: int, patches: int, device: torch.device) -> Tensor:
    """(P,) different indices below ``positions``, at most ``patches``, by torch's global generator."""
    # Drawn on the CPU: its generator is in the checkpoint, and the same on every device.
    return torch.randperm(positions)[:patches].to(device)
