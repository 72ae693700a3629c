"""Figures of pools of pictures on trained features, named by their extractor."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from stylegan_core.metrics.kernel_distance import distance_of_statistics
from stylegan_core.metrics.picture_features import SMALLEST_SIDE_PX, feature_statistics
from stylegan_core.metrics.pictures import Floats
from stylegan_core.metrics.style_distance import gram_difference

if TYPE_CHECKING:
    from stylegan_core.choices import ExtractorName

_log = logging.getLogger(__name__)

EVALUATORS: tuple[ExtractorName, ...] = ("vgg16_hed", "efficientnet_lite0")
"""Trained extractors that evaluate; which of them did not train a model depends on its recipe."""

_CROP_PX = 160
_CROPS = 12
"""Of each pool: VGG16 takes 40 billion operations for a picture of 256 px."""


def feature_figures(
    pools: Mapping[str, Sequence[Floats]], styles: Sequence[Floats], trained_with: Collection[str]
) -> dict[str, float]:
    """``style/<extractor>_style_distance<suffix>`` and ``style/<extractor>_kernel_distance<suffix>`` of pools.

    An extractor that trained the model is skipped, since the model may have learned to please it, and so is one whose
    weights are not installed; the log says why.

    Args:
        pools: pictures in unit range by suffix, such as "" for results and "_unstylized"; empty ones are skipped.
        styles: pictures of the style.
        trained_with: names of the extractors that trained the model.
    """
    from stylegan_core.features.weights import WeightsError

    style_crops, cropped = evenly_cropped(styles), {suffix: evenly_cropped(pool) for suffix, pool in pools.items()}
    figures: dict[str, float] = {}
    for extractor in EVALUATORS:
        if extractor in trained_with:
            _log.info("no figures of %s: it trained the model, and a model is not evaluated by its own loss", extractor)
            continue
        try:
            reference = feature_statistics(style_crops, extractor)
        except WeightsError as error:
            _log.warning("no figures of %s: %s", extractor, error)
            continue
        for suffix, crops in cropped.items():
            if not crops or not style_crops:
                continue
            found = feature_statistics(crops, extractor)
            figures[f"style/{extractor}_style_distance{suffix}"] = gram_difference(found, reference)
            if min(len(found.rows), len(reference.rows)) > 1:
                figures[f"style/{extractor}_kernel_distance{suffix}"] = distance_of_statistics(found, reference)
    return figures


def evenly_cropped(pictures: Sequence[Floats]) -> list[Floats]:
    """At most ``_CROPS`` different crops of at most ``_CROP_PX``, at places that are spread over the pictures.

    Args:
        pictures: (H, W, 3) of any sizes; those that are too small for an extractor are left out.
    """
    large = [picture for picture in pictures if min(picture.shape[:2]) >= SMALLEST_SIDE_PX]
    crops: dict[tuple[int, int, int], Floats] = {}
    for index in range(_CROPS if large else 0):
        chosen = (2 * index + 1) * len(large) // (2 * _CROPS)
        height, width = large[chosen].shape[:2]
        # Steps of irrational ratios: places in one picture are apart, and do not depend on a seed.
        top = int((0.754878 * index) % 1.0 * (max(height - _CROP_PX, 0) + 1))
        left = int((0.569840 * index) % 1.0 * (max(width - _CROP_PX, 0) + 1))
        crops[chosen, top, left] = large[chosen][top : top + _CROP_PX, left : left + _CROP_PX]
    return list(crops.values())
