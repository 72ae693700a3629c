"""What settings of prepare may choose from; imports nothing, so that reading settings reads no pictures' code."""

from __future__ import annotations

from typing import Literal

Half = Literal["left", "right"]
"""Of a picture that holds before and after next to each other."""

Layout = Literal["files", "cifar10", "celeba", "ffhq", "lsun", "imagenet"]
"""How a content folder is laid out; "files" is any folder of pictures."""

LABELLED: tuple[Layout, ...] = ("cifar10", "celeba", "imagenet")
"""Layouts that bring their own labels and splits."""

Filter = Literal["area", "nearest"]
"""How pictures are made smaller."""
