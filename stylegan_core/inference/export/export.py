"""Exports a model as ONNX or OpenVINO: free picture size, conditions as inputs, and proof that it agrees with torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stylegan_core.choices import Direction
from stylegan_core.inference.conditioning.conditions import attribute_names
from stylegan_core.inference.export.card import ExportCard, SidesCard, TensorCard, encode_card, is_export_card
from stylegan_core.inference.export.formats import (
    SUFFIXES,
    ExportPrecision,
    Files,
    convert,
    missing_packages,
    psnr_db,
    required_packages,
    runner_of,
)
from stylegan_core.inference.export.onnx_graph import (
    TOLERANCE_SIGNED,
    TRACED,
    ExportError,
    Feed,
    Graph,
    OnnxGraph,
    build_graph,
    example_content,
    example_feed,
    photographs,
)
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.networks.padding import MINIMUM_PX
from stylegan_core.recipes.base import Kind
from stylegan_core.recipes.model import Model
from stylegan_core.storage.atomic import write_bytes_atomically

LEAST_PSNR_DB = 50.0
"""Least PSNR of a reduced precision to torch, on the worst picture: half an 8-bit code is 54 dB, one code 48 dB."""

_RANGES = {
    "content": "[-1, 1], the pictures in the working space",
    "labels": "[-1, 1], the wanted change of each attribute: 1 adds it, -1 removes it, 0 keeps it",
    "styles": "[-1, 1], reference pictures in the working space",
    "style_weights": "[0, 1], of the references, summing to 1",
    "strength": "[0, 2], how far to go: 1 is whole",
}
_GUIDED_CONTENT = (
    "[-1, 1], the pictures in the working space (3 channels), the guide: a painted key frame as the picture shows it "
    "(3 channels, 0 where there is none), and its confidence (1 channel, -1 is none and 1 is full)"
)


@dataclass(frozen=True)
class Exported:
    """What was exported.

    Attributes:
        file: the ONNX or XML file.
        card_file: the JSON file next to it.
        card: content of that file.
    """

    file: Path
    card_file: Path
    card: ExportCard


@dataclass(frozen=True)
class ExportOptions:
    """Precision of an export, and the pictures that it is calibrated and tested with.

    Attributes:
        precision: of the convolutions.
        calibration: pictures for the quantization to int8, (1, 3, H, W) in [-1, 1] each.
        test: pictures that the export is tested with, in addition to the built-in photographs.
        accept_loss_db: least PSNR of a reduced precision to the model, on the worst of them.
    """

    precision: ExportPrecision = "fp32"
    calibration: Sequence[Tensor] = ()
    test: Sequence[Tensor] = ()
    accept_loss_db: float = LEAST_PSNR_DB


def export_onnx(
    model: Model,
    output: Path,
    *,
    direction: Direction = "forward",
    options: ExportOptions = ExportOptions(),
) -> Exported:
    """Writes ``output``, for OpenVINO also its .bin file, and the card with the suffix .json.

    Args:
        model: from ``load_model``; it is moved to the CPU.
        output: ends in .onnx or .xml.
        direction: for recipes with both directions; an export has one.
        options: precision, calibration and test.
    Raises:
        ExportError: a package is missing, torch cannot express the model, or the export differs from it.
        PlanError: the model does not translate pictures or does not support the direction, or a path is wrong.
    """
    suffix, card_file = output.suffix, output.with_suffix(".json")
    _check(model, output, direction, options)
    recipe = model.recipe
    recipe.to("cpu").eval()
    attributes = attribute_names(model) if "labels" in recipe.conditioned_on else ()
    graph = build_graph(model, direction, attributes)
    files, agreement = _convert_and_test(graph, suffix, model, options)
    card = _card(model, graph, options.precision, agreement, sum(len(part) for part in files.values()))
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        for ending, part in reversed(files.items()):
            write_bytes_atomically(output.with_suffix(ending), part)
        write_bytes_atomically(card_file, encode_card(card))
    except OSError as error:
        raise ExportError(f"{output} cannot be written: {error.strerror or error}") from error
    return Exported(output, card_file, card)


def _check(model: Model, output: Path, direction: str, options: ExportOptions) -> None:
    """Refuses what cannot be exported, before any work."""
    recipe, name, card_file = model.recipe, model.card.recipe, output.with_suffix(".json")
    if output.suffix not in SUFFIXES:
        raise PlanError(f"{output} must end in .onnx or .xml")
    if card_file.exists() and not is_export_card(card_file):
        raise PlanError(f"{card_file} exists and is not the card of an export: choose another name")
    if recipe.kind is not Kind.TRANSLATE:
        raise PlanError(f"{model.folder} is a {name} model, which does not translate pictures")
    if direction != "forward" and "direction" not in recipe.conditioned_on:
        raise PlanError(f"{model.folder} is a {name} model, which supports direction forward only")
    if options.precision == "int8" and not options.calibration:
        raise PlanError("int8 requires calibration pictures: name a folder of them with --calibrate")
    if lacking := missing_packages(output.suffix, options.precision):
        required = " ".join(required_packages(output.suffix, options.precision))
        raise ExportError(f"export requires {', '.join(lacking)}: pip install {required}")


@dataclass(frozen=True)
class _Agreement:
    """How an export agrees with torch on pictures.

    Attributes:
        largest_difference: of outputs in [-1, 1].
        worst_psnr_db: infinite if all outputs are equal.
        pictures: number of pictures.
    """

    largest_difference: float
    worst_psnr_db: float
    pictures: int


def _convert_and_test(graph: OnnxGraph, suffix: str, model: Model, options: ExportOptions) -> tuple[Files, _Agreement]:
    """The files in the wanted format, and their agreement with torch on real pictures."""

    def feed(picture: Tensor) -> Feed:
        height, width = (side // graph.multiple_px * graph.multiple_px for side in picture.shape[-2:])
        conditions = example_feed(model.recipe, graph.attributes, (height, width), 1, 2)
        return conditions | {"content": example_content(model.recipe, picture[..., :height, :width]).contiguous()}

    def arrays(given: Feed) -> dict[str, np.ndarray[Any, Any]]:
        return {name: value.numpy() for name, value in given.items()}

    precision, differences, psnrs_db = options.precision, [0.0], [math.inf]
    try:
        files = convert(graph.content, suffix, precision, [arrays(feed(picture)) for picture in options.calibration])
        run = runner_of(files, precision)
        for picture in (*(photographs(name, (256, 320), 1) for name in ("china", "flower")), *options.test):
            given = feed(picture)
            with torch.no_grad():
                expected = Graph(model.recipe, graph.direction)(**given).numpy()
            made = run(arrays(given))
            differences.append(float(np.abs(made - expected).max()))
            psnrs_db.append(psnr_db(made, expected))
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ExportError(f"the export does not run as {suffix} in {precision}: {reason}") from error
    agreement = _Agreement(float(np.max(differences)), float(np.min(psnrs_db)), len(psnrs_db) - 1)
    _check_agreement(agreement, model, options)
    return files, agreement


def _check_agreement(agreement: _Agreement, model: Model, options: ExportOptions) -> None:
    largest, worst_db = agreement.largest_difference, agreement.worst_psnr_db
    if options.precision == "fp32" and not largest <= TOLERANCE_SIGNED:
        raise ExportError(
            f"the export of {model.folder} differs from the model by {largest:.2g} on real pictures, more than "
            f"{TOLERANCE_SIGNED:g}: nothing was written"
        )
    if options.precision != "fp32" and not worst_db >= options.accept_loss_db:
        raise ExportError(
            f"{options.precision} reaches {worst_db:.1f} dB PSNR to the model on the worst of {agreement.pictures} "
            f"pictures, less than {options.accept_loss_db:g} dB: nothing was written; accept it with --accept-loss "
            f"{math.floor(worst_db)}"
        )


def _card(
    model: Model, graph: OnnxGraph, precision: ExportPrecision, agreement: _Agreement, size_bytes: int
) -> ExportCard:
    recipe, scale = model.recipe, model.recipe.scale
    shapes: dict[str, tuple[int | str, ...]] = {
        "content": ("pictures", recipe.input_channels, "height", "width"),
        "labels": ("pictures", len(graph.attributes)),
        "styles": ("references", 3, "style_height", "style_width"),
        "style_weights": ("references",),
        "strength": (),
    }
    names = list(example_feed(recipe, graph.attributes, *TRACED))
    ranges = _RANGES | ({"content": _GUIDED_CONTENT} if recipe.guided else {})
    translated = ("pictures", 3, f"{scale} * height", f"{scale} * width")
    return ExportCard(
        recipe=model.card.recipe,
        model=model.card.digest,
        working_space=model.card.working_space,
        direction=graph.direction,
        attributes=graph.attributes,
        scale=scale,
        sides_px=SidesCard(multiple_of=graph.multiple_px, least=MINIMUM_PX),
        inputs={name: TensorCard(shape=shapes[name], range=ranges[name]) for name in names},
        outputs={"translated": TensorCard(shape=translated, range="[-1, 1], may overshoot slightly")},
        largest_difference_to_torch=float(f"{graph.difference:.2g}"),
        precision=precision,
        largest_difference_to_torch_on_pictures=float(f"{agreement.largest_difference:.2g}"),
        pictures_tested=agreement.pictures,
        psnr_to_torch_db=round(agreement.worst_psnr_db, 2) if math.isfinite(agreement.worst_psnr_db) else None,
        bytes=size_bytes,
    )
