"""The card of an export: what goes in and comes out, and its measured difference to the model, as JSON next to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from stylegan_core.choices import Direction
from stylegan_core.inference.export.formats import ExportPrecision


class _CardPart(BaseModel):
    model_config = ConfigDict(frozen=True)


class TensorCard(_CardPart):
    """An input or output.

    Attributes:
        shape: sizes, or names of free dimensions.
        type: of its elements.
        range: of its values, with what they mean.
    """

    shape: tuple[int | str, ...]
    type: Literal["float32"] = "float32"
    range: str


class SidesCard(_CardPart):
    """Heights and widths that the network takes: multiples of a number of pixels, and the least of them."""

    multiple_of: int
    least: int


class ExportCard(_CardPart):
    """Content of the card, in the order of the file.

    Attributes:
        recipe: of the model.
        model: digest of the model.
        working_space: colour space of content and output.
        direction: "forward" or "backward".
        attributes: names of the columns of the input labels.
        scale: output side over input side.
        sides_px: permitted heights and widths.
        inputs: by name.
        outputs: by name.
        largest_difference_to_torch: of the fp32 graph, on synthetic sizes, in [-1, 1].
        precision: of the export.
        largest_difference_to_torch_on_pictures: of the export, on the test pictures.
        pictures_tested: number of the test pictures.
        psnr_to_torch_db: on the worst test picture; None, and absent in the file, if all are equal.
        bytes: size of the exported files together.
    """

    recipe: str
    model: str
    working_space: str
    direction: Direction
    attributes: tuple[str, ...]
    scale: int
    sides_px: SidesCard
    inputs: dict[str, TensorCard]
    outputs: dict[str, TensorCard]
    largest_difference_to_torch: float
    precision: ExportPrecision
    largest_difference_to_torch_on_pictures: float
    pictures_tested: int
    psnr_to_torch_db: float | None = None
    bytes: int


def encode_card(card: ExportCard) -> bytes:
    """The content of the card's file."""
    return (json.dumps(card.model_dump(mode="json", exclude_none=True), indent=2, ensure_ascii=False) + "\n").encode()


def is_export_card(file: Path) -> bool:
    """Whether an export wrote ``file``."""
    try:
        return "largest_difference_to_torch" in json.loads(file.read_bytes())
    except (OSError, ValueError, TypeError):
        return False
