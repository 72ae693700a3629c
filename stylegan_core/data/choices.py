"""Literal types of the settings of prepare; imports nothing, so that reading settings loads no picture code."""

from __future__ import annotations

from typing import Literal

Half = Literal["left", "right"]
"""The half of a picture that holds content and style side by side."""

Layout = Literal["files", "cifar10", "celeba", "ffhq", "lsun", "imagenet"]
"""How a content folder is laid out; "files" is any folder of pictures."""

LABELLED: tuple[Layout, ...] = ("cifar10", "celeba", "imagenet")
"""Layouts that bring their own labels and splits."""

Filter = Literal["area", "nearest"]
"""How pictures are made smaller."""
