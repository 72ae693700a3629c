"""The discriminator that decides whether patches have the same texture.

Park et al. 2020, Swapping Autoencoder for Deep Image Manipulation (arXiv 2007.00653), its patch co-occurrence
discriminator.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_core.networks.patch_discriminator import DiscriminatorNorm
from stylegan_core.networks.spectral import spectral_norm


class CooccurrenceDiscriminator(nn.Module):
    """Compares patches of a picture with patches of a reference: (N, P, 3, p, p) and (N, R, 3, p, p) to logits (N, P).

    Args:
        channels: of the first layer; they double with every halving of the size, up to eight times.
        patch_px: side of the patches, at least 8.
        norm: "spectral" bounds every layer's gain; with any other the layers are not normalized, as in the paper.
    """

    def __init__(self, channels: int = 32, patch_px: int = 16, norm: DiscriminatorNorm = "spectral") -> None:
        super().__init__()

        def conv(a: int, b: int, side_px: int, stride: int = 1) -> nn.Conv2d:
            layer = nn.Conv2d(a, b, side_px, stride=stride, padding=(side_px - 1) // 2)
            nn.init.kaiming_normal_(layer.weight, a=0.2)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            return spectral_norm(layer) if norm == "spectral" else layer

        layers: list[nn.Module] = [conv(3, channels, 3), nn.LeakyReLU(0.2)]
        width, side_px = channels, patch_px
        while side_px >= 8:
            wider = min(2 * width, 8 * channels)
            layers += [conv(width, wider, 4, stride=2), nn.LeakyReLU(0.2)]
            width, side_px = wider, side_px // 2
        self.encoder = nn.Sequential(*layers)
        # 1 x 1 convolutions of single pixels are fully connected layers that can be normalized in the same way.
        self.head = nn.Sequential(conv(2 * width, 2 * width, 1), nn.LeakyReLU(0.2), conv(2 * width, 1, 1))

    def forward(self, patches: Tensor, reference: Tensor) -> Tensor:
        """Logits (N, P), positive where a patch has the reference's texture.

        Args:
            patches: (N, P, 3, p, p) in [-1, 1].
            reference: (N, R, 3, p, p), averaged.
        """
        both = torch.cat([patches, reference], dim=1)
        flat = both.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        features = self.encoder(flat).mean(dim=(2, 3)).unflatten(0, both.shape[:2])  # (N, P + R, C)
        own, others = features.split([patches.shape[1], reference.shape[1]], dim=1)
        together = others.mean(dim=1, keepdim=True).expand_as(own)
        pairs = torch.cat([own, together], dim=2).flatten(0, 1)[:, :, None, None]  # (N * P, 2 C, 1, 1)
        logits: Tensor = self.head(pairs).view(patches.shape[:2])
        return logits


def random_patches(
    pictures: Tensor, count: int, patch_px: int, smallest: float = 1 / 8, largest: float = 1 / 4
) -> Tensor:
    """Square patches at random positions and sizes, enlarged to one size; drawn by torch's global generator.

    Args:
        pictures: (N, 3, H, W).
        count: patches for each picture.
        patch_px: side of the result.
        smallest: side of the smallest patch over the picture's shorter side.
        largest: the same of the largest.
    Returns:
        (N, count, 3, patch_px, patch_px), fp32.
    """
    pictures_count, _, height, width = pictures.shape
    # Drawn on the CPU: the same on every device, and in the checkpoint.
    share, down, right = torch.rand(3, pictures_count * count).to(pictures.device)
    side_px = min(height, width) * (smallest + (largest - smallest) * share)  # (N * count,)
    half_y, half_x = side_px / height, side_px / width  # of the coordinates' range of 2
    zero = torch.zeros_like(half_x)
    rows = torch.stack([half_x, zero, (2 * right - 1) * (1 - half_x), zero, half_y, (2 * down - 1) * (1 - half_y)])
    with torch.autocast(pictures.device.type, enabled=False):  # bf16 would move the positions
        places = F.affine_grid(rows.t().reshape(-1, 2, 3), [len(side_px), 3, patch_px, patch_px], align_corners=False)
        # All patches of a picture form one tall patch: the picture is not copied for each.
        tall = places.view(pictures_count, count * patch_px, patch_px, 2)
        cut = F.grid_sample(pictures.float(), tall, padding_mode="border", align_corners=False)
    patches = cut.reshape(pictures_count, 3, count, patch_px, patch_px)
    return patches.transpose(1, 2)
