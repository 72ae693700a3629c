"""A training batch: the tensors that the sampler passes to a recipe."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Crops of one step, (N, 3, H, W) in [-1, 1] unless noted otherwise.

    Attributes:
        content: content crops.
        style: style crops; aligned with ``content`` when the recipe needs pairs.
        mask_unit: (N, 1, H, W) in [0, 1], which part of a style crop is painted; None is all of it.
        unpainted: content crops that have no style version, for terms that need no truth; None if there are none.
        labels: (N, L) in {0, 1}, the attributes of ``content`` in the order of ``Needs.labels``; None if the
            recipe needs none.
        known_content: content crops whose translation is known, for weak supervision; None if there are none.
        known_style: (N, 3, H, W), their translations, aligned.
        guide: (N, 4, H, W), guide of ``content`` by other places and its confidence; None if the recipe takes none.
        unpainted_guide: (N, 4, H, W), that of ``unpainted``.
    """

    content: Tensor
    style: Tensor | None = None
    mask_unit: Tensor | None = None
    unpainted: Tensor | None = None
    labels: Tensor | None = None
    known_content: Tensor | None = None
    known_style: Tensor | None = None
    guide: Tensor | None = None
    unpainted_guide: Tensor | None = None

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on ``device``."""
        parts: dict[str, Tensor | None] = {f.name: getattr(self, f.name) for f in fields(self)}
        moved = {name: part.to(device, non_blocking=True) for name, part in parts.items() if part is not None}
        return Batch(**moved)
