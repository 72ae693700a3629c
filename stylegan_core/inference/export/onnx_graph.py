"""A network as an ONNX graph with free picture sizes, compared with torch at sizes that it was not traced at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stylegan_core.choices import Direction
from stylegan_core.data.sample.photographs import load_photograph
from stylegan_core.inference.conditioning.conditions import accepts_strength
from stylegan_core.inference.network.backends.openvino_runtime import quiet_imports
from stylegan_core.networks.padding import MINIMUM_PX
from stylegan_core.recipes.base import BaseRecipe, Conditions
from stylegan_core.recipes.model import Model

TOLERANCE_SIGNED = 1e-4
"""Largest permitted difference of an export to torch, of outputs in [-1, 1]."""
_MULTIPLES_PX = (8, 16, 32)
"""Sides are multiples of the first of these for which the model can be exported."""
_LARGEST_PX = 1 << 15
TRACED = ((128, 96), 2, 2)
_TESTED_ODD, _TESTED_EVEN = ((64, 160), 1, 3), ((192, 96), 3, 1)
"""(Height, width), number of pictures, number of references: each differs from what is traced.

Sides of the first are raised to odd multiples: at even ones, padding to a larger multiple would not show.
"""
Feed = dict[str, Tensor]
_Case = tuple[tuple[int, int], int, int]


class ExportError(RuntimeError):
    """The model cannot be exported; the message states the reason or what to install. Nothing was written."""


@dataclass(frozen=True)
class OnnxGraph:
    """An ONNX file of a model in fp32.

    Attributes:
        content: of the file.
        direction: that it translates in.
        attributes: names of the columns of the input labels.
        multiple_px: sides are multiples of this.
        difference: largest difference to torch, of outputs in [-1, 1].
    """

    content: bytes
    direction: Direction
    attributes: tuple[str, ...]
    multiple_px: int
    difference: float


class Graph(nn.Module):
    """The module that is exported: tensors in, one tensor out."""

    def __init__(self, recipe: BaseRecipe, direction: Direction) -> None:
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
        """(N, C, H, W) in [-1, 1] to (N, 3, H * scale, W * scale)."""
        conditions = Conditions(
            labels=labels,
            styles=styles,
            style_weights=style_weights,
            strength=1.0 if strength is None else strength,  # type: ignore[arg-type]  # a number of the graph
            direction=self.direction,
        )
        return self.recipe.translate(content, self.recipe.prepare_conditions(conditions))


def build_graph(model: Model, direction: Direction, attributes: Sequence[str]) -> OnnxGraph:
    """The ONNX graph of a model, at the least multiple of sides for which it can be exported and agrees with torch.

    Raises:
        ExportError: torch cannot express the model, or no graph agrees with it.
    """
    problem: ExportError | None = None
    for multiple_px in _MULTIPLES_PX:
        try:
            content = _export(model.recipe, direction, attributes, multiple_px)
            difference = _largest_difference(content, model.recipe, direction, attributes, multiple_px)
            if difference <= TOLERANCE_SIGNED:
                return OnnxGraph(content, direction, tuple(attributes), multiple_px, difference)
            raise ExportError(
                f"the export of {model.folder} differs from the model by {difference:.2g}, more than "
                f"{TOLERANCE_SIGNED:g}: nothing was written"
            )
        except ExportError as error:
            problem = problem or error
    assert problem is not None
    raise problem


def _export(recipe: BaseRecipe, direction: Direction, attributes: Sequence[str], multiple_px: int) -> bytes:
    """The ONNX file."""
    feed = example_feed(recipe, attributes, *_at_odd(TRACED, multiple_px))
    try:
        with quiet_imports(), torch.no_grad():
            program = torch.onnx.export(
                Graph(recipe, direction),
                kwargs=feed,
                dynamo=True,
                # Its optimizer replaces + 1e-8, which some norms need, by + 0; runtimes optimize by themselves.
                optimize=False,
                input_names=list(feed),
                output_names=["translated"],
                dynamic_shapes={name: _free(name, multiple_px) for name in feed},
                verbose=False,
            )
        assert program is not None  # as dynamo gives it
        content = _without_source_locations(program.model_proto)
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ExportError(f"torch cannot express this model in ONNX: {reason}") from error
    return content


def _without_source_locations(network: Any) -> bytes:
    """The file without each node's location in the source code of this machine, which is a megabyte of any network."""
    graph = network.graph
    for part in (network, graph, *graph.node, *graph.initializer, *graph.input, *graph.output, *graph.value_info):
        del part.metadata_props[:]
        part.doc_string = ""
    content: bytes = network.SerializeToString()
    return content


def _free(name: str, multiple_px: int) -> dict[int, Any] | None:
    """The free dimensions of an input; dimensions with the same name are equal."""
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
    direction: Direction,
    attributes: Sequence[str],
    multiple_px: int,
) -> float:
    """Largest difference to torch at the test sizes."""
    import onnxruntime  # type: ignore[import-untyped]  # it has none

    try:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        largest = 0.0
        for case in (_at_odd(_TESTED_ODD, multiple_px), _TESTED_EVEN):
            feed = example_feed(recipe, attributes, *case)
            (made,) = session.run(None, {name: value.numpy() for name, value in feed.items()})
            with torch.no_grad():
                expected = Graph(recipe, direction)(**feed).numpy()
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


def example_feed(
    recipe: BaseRecipe, attributes: Sequence[str], size_px: tuple[int, int], pictures: int, references: int
) -> Feed:
    """Example inputs: parts of photographs, and label changes of both signs."""
    feed = {"content": example_content(recipe, photographs("china", size_px, pictures))}
    if "labels" in recipe.conditioned_on:
        count = pictures * len(attributes)
        feed["labels"] = torch.linspace(-1, 1, count + 1)[1:].reshape(pictures, len(attributes))
    if "styles" in recipe.conditioned_on:
        feed["styles"] = photographs("flower", (size_px[1], size_px[0]), references)
        weights = torch.arange(1.0, references + 1)
        feed["style_weights"] = weights / weights.sum()
    if accepts_strength(recipe):
        feed["strength"] = torch.tensor(0.8)
    return feed


def example_content(recipe: BaseRecipe, picture: Tensor) -> Tensor:
    """(N, C, H, W) in [-1, 1]: pictures with the channels that a recipe takes.

    An example of a guide: the picture in reverse colours, trusted ever more from left to right.
    """
    if not recipe.guided:
        return picture
    confidence = torch.linspace(-1, 1, picture.shape[-1]).expand(len(picture), 1, *picture.shape[-2:])
    return torch.cat([picture, -picture, confidence], dim=1)


def photographs(name: str, size_px: tuple[int, int], count: int) -> Tensor:
    """(count, 3, H, W) crops of a built-in photograph in [-1, 1], contiguous."""
    photograph = load_photograph(name)
    height, width = size_px
    corners = [(7 + 60 * at, 11 + 90 * at) for at in range(count)]
    parts = [photograph[top : top + height, left : left + width] for top, left in corners]
    signed = torch.from_numpy(np.stack(parts).astype(np.float32)) / 127.5 - 1
    return signed.permute(0, 3, 1, 2).contiguous()
