"""Literal types that settings, recipes and jobs share; imports nothing, so that every layer may import it."""

from __future__ import annotations

from typing import Literal

Direction = Literal["forward", "backward"]
"""The direction of a recipe that translates both ways; "forward" is content to style."""

MissingMask = Literal["error", "everywhere", "nowhere"]
"""What a frame without a mask means: an error, all of it is inside, or nothing is."""

OutsideRegions = Literal["source", "style"]
"""What is outside of all regions: the source, or what the job's model makes of it."""

ExtractorName = Literal["random_filters", "vgg19", "efficientnet_lite0", "vgg16_hed"]
"""Feature extractors, see ``features.extractors``."""

ZoomFilter = Literal["linear", "nearest"]
"""How a zoomed crop is enlarged: nearest keeps the colours of label maps."""
