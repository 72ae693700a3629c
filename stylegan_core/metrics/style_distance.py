"""Style distance: how far Gram matrices of features are apart.

Gatys et al. 2015, A Neural Algorithm of Artistic Style (arXiv 1508.06576). Unlike the loss of the paper it compares the
mean Gram matrices of two sets of pictures, relative to the size of the reference's, so that layers count equally.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stylegan_core.metrics.picture_features import FeatureStatistics, feature_statistics
from stylegan_core.metrics.pictures import as_pictures

if TYPE_CHECKING:
    from stylegan_core.choices import ExtractorName


def style_distance(a: Any, reference: Any, extractor: ExtractorName = "vgg16_hed") -> float:
    """How far a set of pictures is from a reference set in colours and textures.

    Args:
        a: pictures in unit range, see ``as_pictures``.
        reference: the other pictures; number and shapes may differ from those of ``a``.
        extractor: never the one that trained the model that is evaluated.
    Returns:
        See ``gram_difference``.
    Raises:
        ValueError: a side has no picture, or one is too small.
        WeightsError: the extractor's weights are missing.
    """
    sides = (feature_statistics(as_pictures(side), extractor) for side in (a, reference))
    return gram_difference(*sides)


def gram_difference(a: FeatureStatistics, reference: FeatureStatistics) -> float:
    """``style_distance`` of statistics that are computed already.

    Returns:
        The mean over layers of |G - R|^2 / |R|^2 (Frobenius norms; R is the reference's Gram matrix): 0 for equal
        textures, 1 where features are 0.
    Raises:
        ValueError: a side has no picture.
    """
    if not a.grams or not reference.grams:
        raise ValueError("the style distance needs at least one picture on each side")
    differences = [
        np.square(a.grams[layer] - gram).sum() / np.square(gram).sum() for layer, gram in reference.grams.items()
    ]
    return float(np.mean(differences))
