"""A model as ONNX or OpenVINO: free picture size, directions as inputs, and proof that it agrees with torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from json import dumps, loads
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from stylegan_core.inference.conditioning.conditions import attribute_names
from stylegan_core.inference.export.formats import (
    SUFFIXES,
    ExportPrecision,
    Files,
    form,
    missing,
    packages,
    psnr_db,
    running,
)
from stylegan_core.inference.export.onnx_graph import (
    TOLERANCE_SIGNED,
    TRACED,
    ExportError,
    Feed,
    Graph,
    express,
    feed_of,
    photographs,
)
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.networks.padding import MINIMUM_PX
from stylegan_core.recipes.base import Kind
from stylegan_core.recipes.model import Model
from stylegan_core.storage.atomic import write_bytes_atomically

LEAST_PSNR_DB = 50.0
"""To torch, on the worst picture, that a reduced precision has: half a code of 8 bit is 54 dB, a code 48."""

_RANGES = {
    "content": "[-1, 1], the pictures in the working space",
    "labels": "[-1, 1], the wanted change of each attribute: 1 adds it, -1 removes it, 0 keeps it",
    "styles": "[-1, 1], reference pictures in the working space",
    "style_weights": "[0, 1], of the references, summing to 1",
    "strength": "[0, 2], how far to go: 1 is whole",
}


@dataclass(frozen=True)
class Exported:
    """What was exported.

    Attributes:
        file: the ONNX or XML file.
        card_file: the JSON file beside it, which says what its inputs are.
        card: the content of that file, plain values.
    """

    file: Path
    card_file: Path
    card: dict[str, Any]


@dataclass(frozen=True)
class Form:
    """Which form an export takes, and the pictures that it is made and tested with.

    Attributes:
        precision: of the convolutions.
        calibration: pictures that int8 is fitted to, (1, 3, H, W) in [-1, 1] each.
        test: others that any export is tested with, beside the built-in photographs.
        accept_loss_db: least PSNR to the model that a reduced precision may have on the worst of them.
    """

    precision: ExportPrecision = "fp32"
    calibration: Sequence[Tensor] = ()
    test: Sequence[Tensor] = ()
    accept_loss_db: float = LEAST_PSNR_DB


def export_onnx(
    model: Model,
    output: Path,
    *,
    direction: Literal["forward", "backward"] = "forward",
    wanted: Form = Form(),
) -> Exported:
    """Writes ``output`` and, beside it with the suffix .json, what it is; OpenVINO's .bin, too.

    Args:
        model: from ``load_model``; it is moved to the CPU.
        output: ends in .onnx or .xml.
        direction: for models that go both ways; an export goes one.
        wanted: its form.
    Raises:
        ExportError: a package is missing, torch cannot express the model, or the export differs from it.
        PlanError: the model makes no pictures from pictures, or goes no such direction.
    """
    recipe, name, suffix = model.recipe, model.card.recipe, output.suffix
    if suffix not in SUFFIXES:
        raise PlanError(f"{output} must end in .onnx or .xml")
    card_file = output.with_suffix(".json")
    if card_file.exists() and not _is_card(card_file):
        raise PlanError(f"{card_file} is there and describes no export; it would be replaced: choose another name")
    if recipe.kind is not Kind.TRANSLATE:
        raise PlanError(f"{model.folder} holds a {name} model, which makes pictures from noise alone")
    if direction != "forward" and "direction" not in recipe.conditioned_on:
        raise PlanError(f"{model.folder} holds a {name} model, which goes forward alone")
    if wanted.precision == "int8" and not wanted.calibration:
        raise PlanError("int8 is fitted to your own pictures: name a folder of them with --calibrate")
    if lacking := missing(suffix, wanted.precision):
        whole = " ".join(packages(suffix, wanted.precision))
        raise ExportError(f"export needs {', '.join(lacking)}: pip install {whole}")
    recipe.to("cpu").eval()
    attributes = attribute_names(model) if "labels" in recipe.conditioned_on else ()
    content, multiple_px, difference = express(model, direction, attributes)
    files, tested = _formed_and_tested(content, suffix, model, direction, attributes, multiple_px, wanted)
    card = _card(model, attributes, direction, multiple_px, difference) | tested
    card["bytes"] = sum(len(part) for part in files.values())
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        for ending, part in reversed(files.items()):
            write_bytes_atomically(output.with_suffix(ending), part)
        write_bytes_atomically(card_file, (dumps(card, indent=2, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise ExportError(f"{output} cannot be written: {error.strerror or error}") from error
    return Exported(output, card_file, card)


def _formed_and_tested(
    content: bytes,
    suffix: str,
    model: Model,
    direction: Literal["forward", "backward"],
    attributes: Sequence[str],
    multiple_px: int,
    wanted: Form,
) -> tuple[Files, dict[str, Any]]:
    """The files in the form that is wanted, and what they lose on real pictures."""

    def feed(picture: Tensor) -> Feed:
        height, width = (side // multiple_px * multiple_px for side in picture.shape[-2:])
        directions = feed_of(model.recipe, attributes, (height, width), 1, 2)
        return directions | {"content": picture[..., :height, :width].contiguous()}

    def arrays(given: Feed) -> dict[str, Any]:
        return {name: value.numpy() for name, value in given.items()}

    precision = wanted.precision
    try:
        files = form(content, suffix, precision, [arrays(feed(picture)) for picture in wanted.calibration])
        run, differences, losses = running(files, precision), [0.0], [math.inf]
        for picture in (*(photographs(name, (256, 320), 1) for name in ("china", "flower")), *wanted.test):
            given = feed(picture)
            with torch.no_grad():
                expected = Graph(model.recipe, direction)(**given).numpy()
            made = run(arrays(given))
            differences.append(float(np.abs(made - expected).max()))
            losses.append(psnr_db(made, expected))
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ExportError(f"the export does not run as {suffix} in {precision}: {reason}") from error
    largest, worst_db = float(np.max(differences)), float(np.min(losses))
    if precision == "fp32" and not largest <= TOLERANCE_SIGNED:
        raise ExportError(
            f"the export of {model.folder} differs from the model by {largest:.2g}, more than {TOLERANCE_SIGNED:g}, "
            "on real pictures: it is not kept"
        )
    if precision != "fp32" and not worst_db >= wanted.accept_loss_db:
        raise ExportError(
            f"{precision} falls to {worst_db:.1f} dB PSNR to the model on the worst of {len(losses) - 1} pictures, "
            f"under {wanted.accept_loss_db:g} dB: it is not kept; --accept-loss {math.floor(worst_db)} keeps it all "
            "the same"
        )
    loss = {"psnr_to_torch_db": round(worst_db, 2)} if math.isfinite(worst_db) else {}
    return files, {
        "precision": precision,
        "largest_difference_to_torch_on_pictures": float(f"{largest:.2g}"),
        "pictures_tested": len(losses) - 1,
        **loss,
    }


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
    names = list(feed_of(recipe, attributes, *TRACED))
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
