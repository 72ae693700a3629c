"""Guide channels: beside a picture, the key frame's painting as this picture shows it, and how much it is trusted.

After Jamriska et al. 2019, Stylizing Video by Example (doi 10.1145/3306346.3323006), where the painting is carried
along the motion too; here it is an input of a network, which paints where no key frame reaches.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stylegan_core.networks.layers.mixture import mix

PICTURE_CHANNELS = 3
GUIDED_CHANNELS = 7
"""Of a guided network's input: the picture, the guide (mid grey where there is none), its confidence."""

_LEAST, _NEVER_CERTAIN = 1e-3, 0.05
"""Added to the odds of the guide: a network can prefer the picture to the most trusted guide, not the reverse."""


def with_guide(content: Tensor) -> Tensor:
    """The input of a guided network: (N, 7, H, W); a picture alone has no guide, which is grey at confidence 0.

    Args:
        content: (N, 3, H, W) in [-1, 1], or (N, 7, H, W), which is returned.
    """
    if content.shape[1] == GUIDED_CHANNELS:
        return content
    grey = torch.zeros_like(content)
    return torch.cat([content, grey, torch.full_like(content[:, :1], -1.0)], dim=1)


def confidence_unit(content: Tensor) -> Tensor:
    """(N, 1, H, W) confidence of the guide in [0, 1], fp32.

    Args:
        content: (N, 7, H, W) in [-1, 1].
    """
    return (content[:, 6:7].float() + 1) / 2


def towards_guide(made: Tensor, content: Tensor, share: float) -> Tensor:
    """(N, 3, H, W) fp32: a result nearer to the guide, by ``share`` where the guide is certain.

    A network that is trained on few paintings adds lines of the photograph to strokes that were right already. The
    confidence counts squared: strokes of a doubtful guide do not lie on those of the network, so it adds little.

    Args:
        made: (N, 3, H, W) of the network.
        content: (N, 7, H, W) in [-1, 1], what it was made from; a picture alone, (N, 3, H, W), has no guide.
        share: 0 to 1.
    """
    if share == 0 or content.shape[1] != GUIDED_CHANNELS:
        return made
    return mix(made.float(), content[:, PICTURE_CHANNELS:6].float(), share * confidence_unit(content).square())


class GuideGate(nn.Module):
    """Chooses between the picture and its guide at each pixel, from the network's features and the confidence.

    At the start it follows the confidence: the guide where it is trusted.

    Args:
        channels: of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.predict = nn.Conv2d(channels, 1, 3, padding=1, padding_mode="replicate")
        nn.init.zeros_(self.predict.weight)
        assert self.predict.bias is not None
        nn.init.ones_(self.predict.bias)

    def forward(self, picture: Tensor, content: Tensor, features: Tensor) -> Tensor:
        """(N, 3, H, W) fp32: the picture, and the guide where it is chosen.

        Args:
            picture: (N, 3, H, W), what is shown without a guide.
            content: (N, 7, H, W) in [-1, 1].
            features: (N, C, H, W).
        """
        confidence = confidence_unit(content)
        trust = torch.log(confidence + _LEAST) - torch.log(1 - confidence + _NEVER_CERTAIN)
        share = torch.sigmoid(self.predict(features).float() + trust)
        return picture * (1 - share) + content[:, 3:6].float() * share
