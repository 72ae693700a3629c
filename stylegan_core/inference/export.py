"""A model as ONNX: free picture size, the directions as inputs, and proof that it agrees with torch."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from json import dumps, loads
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from stylegan_core.data.photographs import load_photograph
from stylegan_core.frames.atomic import write_bytes_atomically
from stylegan_core.inference.directions import attribute_names, heeds_strength
from stylegan_core.inference.job import PlanError
from stylegan_core.inference.translate import MINIMUM_PX
from stylegan_core.recipes.base import BaseRecipe, Conditions, Kind
from stylegan_core.recipes.model import Model

TOLERANCE_SIGNED = 1e-4
"""Largest difference to torch that an export may have, of outputs in [-1, 1]."""
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_MULTIPLES_PX = (8, 16, 32)
"""Sides are free multiples of the first of these that the model can be expressed for."""
_LARGEST_PX = 1 << 15
_TRACED = ((128, 96), 2, 2)
_PROVED_ODD, _PROVED_EVEN = ((64, 160), 1, 3), ((192, 96), 3, 1)
"""Height and width, how many pictures, how many references: apart from what is traced, in all of them.

The sides of the first are raised to odd multiples: a network that pads to a larger multiple hides that at even ones.
"""
_RANGES = {
    "content": "[-1, 1], the pictures in the working space",
    "labels": "[-1, 1], the wanted change of each attribute: 1 adds it, -1 removes it, 0 keeps it",
    "styles": "[-1, 1], reference pictures in the working space",
    "style_weights": "[0, 1], of the references, summing to 1",
    "strength": "[0, 2], how far to go: 1 is whole",
}

Feed = dict[str, Tensor]
_Case = tuple[tuple[int, int], int, int]


class ExportError(RuntimeError):
    """The model cannot be exported; the message says why, or what to install. Nothing was written."""


@dataclass(frozen=True)
class Exported:
    """What was exported.

    Attributes:
        file: the ONNX file.
        card_file: the JSON file beside it, which says what its inputs are.
        card: the content of that file, plain values.
    """

    file: Path
    card_file: Path
    card: dict[str, Any]


def export_onnx(model: Model, output: Path, *, direction: Literal["forward", "backward"] = "forward") -> Exported:
    """Writes ``output`` and, beside it with the suffix .json, what it is.

    Args:
        model: from ``load_model``; it is moved to the CPU.
        output: ends in .onnx.
        direction: for models that go both ways; an export goes one.
    Raises:
        ExportError: a package is missing, torch cannot express the model, or the export differs from it.
        PlanError: the model makes no pictures from pictures, or goes no such direction.
    """
    recipe, name = model.recipe, model.card.recipe
    if output.suffix != ".onnx":
        raise PlanError(f"{output} must end in .onnx")
    card_file = output.with_suffix(".json")
    if card_file.exists() and not _is_card(card_file):
        raise PlanError(f"{card_file} is there and describes no export; it would be replaced: choose another name")
    if recipe.kind is not Kind.TRANSLATE:
        raise PlanError(f"{model.folder} holds a {name} model, which makes pictures from noise alone")
    if direction != "forward" and "direction" not in recipe.directed_by:
        raise PlanError(f"{model.folder} holds a {name} model, which goes forward alone")
    if missing := [package for package in _PACKAGES if importlib.util.find_spec(package) is None]:
        raise ExportError(f"export needs {', '.join(missing)}: pip install {' '.join(_PACKAGES)}")
    recipe.to("cpu").eval()
    attributes = attribute_names(model) if "labels" in recipe.directed_by else ()
    content, multiple_px, difference = _expressed_and_proved(model, direction, attributes)
    card = _card(model, attributes, direction, multiple_px, difference)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        write_bytes_atomically(output, content)
        write_bytes_atomically(card_file, (dumps(card, indent=2, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise ExportError(f"{output} cannot be written: {error.strerror or error}") from error
    return Exported(output, card_file, card)


class _Graph(nn.Module):
    """What is exported: tensors in, one tensor out."""

    def __init__(self, recipe: BaseRecipe, direction: Literal["forward", "backward"]) -> None:
        super().__init__()
        self.recipe, self.direction = recipe, direction

    def forward(
        self,
        content: Tensor,
        labels: Tensor | None = None,
        styles: Tensor | None = None,
        style_weights: Tensor | None = None,
        strength: Tensor | None = None,
    ) -> Tensor:
        conditions = Conditions(
            labels=labels,
            styles=styles,
            style_weights=style_weights,
            strength=1.0 if strength is None else strength,  # type: ignore[arg-type]  # a number of the graph
            direction=self.direction,
        )
        return self.recipe.translate(content, self.recipe.prepare_conditions(conditions))


def _expressed_and_proved(
    model: Model, direction: Literal["forward", "backward"], attributes: Sequence[str]
) -> tuple[bytes, int, float]:
    """The ONNX file, what its sides are multiples of, and its largest difference to torch."""
    problem: ExportError | None = None
    for multiple_px in _MULTIPLES_PX:
        try:
            content = _expressed(model.recipe, direction, attributes, multiple_px)
            difference = _largest_difference(content, model.recipe, direction, attributes, multiple_px)
            if difference <= TOLERANCE_SIGNED:
                return content, multiple_px, difference
            raise ExportError(
                f"the export of {model.folder} differs from the model by {difference:.2g}, "
                f"more than {TOLERANCE_SIGNED:g}: it is not kept"
            )
        except ExportError as error:
            problem = problem or error
    assert problem is not None
    raise problem


def _expressed(
    recipe: BaseRecipe, direction: Literal["forward", "backward"], attributes: Sequence[str], multiple_px: int
) -> bytes:
    """The ONNX file."""
    feed = _feed(recipe, attributes, *_at_odd(_TRACED, multiple_px))
    try:
        with warnings.catch_warnings(), _quiet("torch.onnx"), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                _Graph(recipe, direction),
                kwargs=feed,
                dynamo=True,
                # Its optimizer takes + 1e-8 for + 0, which some norms need; runtimes optimize by themselves.
                optimize=False,
                input_names=list(feed),
                output_names=["translated"],
                dynamic_shapes={name: _free(name, multiple_px) for name in feed},
                verbose=False,
            )
        assert program is not None  # as dynamo gives it
        content: bytes = program.model_proto.SerializeToString()
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ExportError(f"torch cannot express this model in ONNX: {reason}") from error
    return content


def _free(name: str, multiple_px: int) -> dict[int, Any] | None:
    """Which dimensions of an input are free; those of one name are equal."""
    dim = torch.export.Dim

    def side(of: str) -> Any:
        return multiple_px * dim(of, min=MINIMUM_PX // multiple_px, max=_LARGEST_PX // multiple_px)

    pictures, references = dim("pictures", min=1, max=1024), dim("references", min=1, max=1024)
    return {
        "content": {0: pictures, 2: side("height"), 3: side("width")},
        "labels": {0: pictures},
        "styles": {0: references, 2: side("style_height"), 3: side("style_width")},
        "style_weights": {0: references},
    }.get(name)


def _largest_difference(
    content: bytes,
    recipe: BaseRecipe,
    direction: Literal["forward", "backward"],
    attributes: Sequence[str],
    multiple_px: int,
) -> float:
    """To torch, at the sizes to prove."""
    import onnxruntime  # type: ignore[import-untyped]  # it has none

    try:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        largest = 0.0
        for case in (_at_odd(_PROVED_ODD, multiple_px), _PROVED_EVEN):
            feed = _feed(recipe, attributes, *case)
            (made,) = session.run(None, {name: value.numpy() for name, value in feed.items()})
            with torch.no_grad():
                expected = _Graph(recipe, direction)(**feed).numpy()
            if made.shape != expected.shape:
                raise ExportError(f"the export gives {made.shape} where the model gives {expected.shape}")
            largest = float(np.maximum(largest, np.abs(made - expected).max()))  # NaN stays
        return largest
    except ExportError:
        raise
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ExportError(f"the export does not run at another size: {reason}") from error


def _at_odd(case: _Case, multiple_px: int) -> _Case:
    (height, width), pictures, references = case
    return ((height // multiple_px | 1) * multiple_px, (width // multiple_px | 1) * multiple_px), pictures, references


def _feed(
    recipe: BaseRecipe, attributes: Sequence[str], size_px: tuple[int, int], pictures: int, references: int
) -> Feed:
    """Inputs as they will be: parts of photographs, and directions of every sign."""
    feed = {"content": _photographs("china", size_px, pictures)}
    if "labels" in recipe.directed_by:
        count = pictures * len(attributes)
        feed["labels"] = torch.linspace(-1, 1, count + 1)[1:].reshape(pictures, len(attributes))
    if "styles" in recipe.directed_by:
        feed["styles"] = _photographs("flower", (size_px[1], size_px[0]), references)
        weights = torch.arange(1.0, references + 1)
        feed["style_weights"] = weights / weights.sum()
    if heeds_strength(recipe):
        feed["strength"] = torch.tensor(0.8)
    return feed


def _photographs(name: str, size_px: tuple[int, int], count: int) -> Tensor:
    """(N, 3, H, W) in [-1, 1], contiguous."""
    photograph = load_photograph(name)
    height, width = size_px
    corners = [(7 + 60 * at, 11 + 90 * at) for at in range(count)]
    parts = [photograph[top : top + height, left : left + width] for top, left in corners]
    signed = torch.from_numpy(np.stack(parts).astype(np.float32)) / 127.5 - 1
    return signed.permute(0, 3, 1, 2).contiguous()


def _card(
    model: Model, attributes: Sequence[str], direction: str, multiple_px: int, difference: float
) -> dict[str, Any]:
    recipe, card = model.recipe, model.card
    shapes: dict[str, list[int | str]] = {
        "content": ["pictures", 3, "height", "width"],
        "labels": ["pictures", len(attributes)],
        "styles": ["references", 3, "style_height", "style_width"],
        "style_weights": ["references"],
        "strength": [],
    }
    names = list(_feed(recipe, attributes, *_TRACED))
    scale = recipe.scale
    return {
        "recipe": card.recipe,
        "model": card.digest,
        "working_space": card.working_space,
        "direction": direction,
        "attributes": list(attributes),
        "scale": scale,
        "sides_px": {"multiple_of": multiple_px, "least": MINIMUM_PX},
        "inputs": {name: {"shape": shapes[name], "type": "float32", "range": _RANGES[name]} for name in names},
        "outputs": {
            "translated": {
                "shape": ["pictures", 3, f"{scale} * height", f"{scale} * width"],
                "type": "float32",
                "range": "[-1, 1], may overshoot slightly",
            }
        },
        "largest_difference_to_torch": float(f"{difference:.2g}"),
    }


def _is_card(file: Path) -> bool:
    """Whether an export wrote ``file``."""
    try:
        return "largest_difference_to_torch" in loads(file.read_bytes())
    except (OSError, ValueError, TypeError):
        return False


class _quiet:  # noqa: N801  (reads as a function)
    """The exporter's logger says nothing below an error."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)
        self._level = self._logger.level

    def __enter__(self) -> None:
        self._logger.setLevel(logging.ERROR)

    def __exit__(self, *exception: object) -> None:
        self._logger.setLevel(self._level)
