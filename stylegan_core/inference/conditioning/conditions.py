"""Conditioning of a model: references, edits of attributes and the direction, planned and applied.

Requested as words and files; planned as ``Conditioning``, which the skip key covers; applied as ``Conditions``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from stylegan_core.choices import Direction
from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.colour.context import ColourContext
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.inference.conditioning.edit_vocabulary import OWN, load_vocabulary, parse_edit
from stylegan_core.inference.conditioning.reference_pictures import read_reference, reference_signed, squares
from stylegan_core.inference.job.frame_settings import Conditioning, StyleReference
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.recipes.base import BaseRecipe, Conditions
from stylegan_core.storage.hashing import sha256_of

if TYPE_CHECKING:
    from stylegan_core.recipes.model import Model

_WEIGHT_DIGITS = 9
"""Weights are rounded, so that 10 to 3 and 1 to 0.3 have the same digest."""


def plan_conditioning(
    model: Model,
    *,
    style_images: Sequence[str] = (),
    edit: str | Mapping[str, float] | None = None,
    direction: Direction = "forward",
    root: Path | None = None,
    style_bank: Path | None = None,
    vocabulary: Path = OWN,
) -> Conditioning:
    """Checks requested conditioning against what the model accepts.

    Args:
        model: from ``load_model``.
        style_images: paths of pictures, or names in the bank, each with its weight after a colon or with weight 1.
        edit: changes of attributes: a mapping, "smiling=1, glasses=-1", or words of the vocabulary.
        direction: "forward" is content to style.
        root: what relative paths are relative to; default: the working folder.
        style_bank: folder of precomputed references of this model.
        vocabulary: the user's own words for edits, if there is such a file.
    Raises:
        PlanError: the model does not accept it, a reference cannot be read, or an attribute is unknown.
    """
    accepts, name = model.recipe.conditioned_on, model.card.recipe
    given = {
        "styles": bool(style_images) or style_bank is not None,
        "labels": bool(edit),
        "direction": direction != "forward",
    }
    words = {"styles": "style images", "labels": "edits of attributes", "direction": "direction"}
    for what in (what for what, is_given in given.items() if is_given and what not in accepts):
        known = ", ".join(words[one] for one in accepts) or "the frames alone"
        raise PlanError(f"{model.folder} is a {name} model, which takes no {words[what]}: it is conditioned on {known}")
    root = (root or Path.cwd()).absolute()
    return Conditioning(
        styles=_references(style_images, root)
        if style_bank is None
        else _of_bank(model, style_images, root / style_bank.expanduser()),
        edit=check_edit(edit, attribute_names(model), vocabulary) if edit else {},
        direction=direction,
    )


def attribute_names(model: Model) -> tuple[str, ...]:
    """Names of the attributes that the model edits, in the order of ``Conditions.labels``."""
    return type(model.recipe).needs_with(model.recipe.config).labels


def check_edit(edit: str | Mapping[str, float], attributes: Sequence[str], vocabulary: Path = OWN) -> dict[str, float]:
    """The change of each attribute that is named, in [-1, 1], sorted by name.

    Raises:
        PlanError: an attribute or a word is unknown, or a change is outside of that range.
    """
    if isinstance(edit, str):
        try:
            edit = parse_edit(edit, attributes, load_vocabulary(vocabulary))
        except ValueError as error:
            raise PlanError(str(error)) from error
    for name, change in edit.items():
        if name not in attributes:
            raise PlanError(f"the model has no attribute {name!r}; it has: {', '.join(attributes)}")
        if not -1.0 <= change <= 1.0:
            raise PlanError(f"the change of {name} is {change:g}, but must be -1 (remove it) to 1 (add it)")
    return {name: float(edit[name]) for name in sorted(edit)}


def accepts_strength(recipe: BaseRecipe) -> bool:
    """Whether the recipe applies the strength itself: how far it moves from the content's style or attributes."""
    return bool({"styles", "labels"} & set(recipe.conditioned_on))


def conditions_of(
    model: Model, conditioning: Conditioning, colour: ColourContext, *, strength: float = 1.0, device: str = "cpu"
) -> Conditions:
    """The conditioning as tensors on ``device``, with everything that the recipe computes of it once.

    Args:
        model: is moved to ``device``.
        conditioning: from ``plan_conditioning`` for this model.
        colour: the model's working space, and the config that reference pictures are read with.
        strength: for recipes that accept it.
        device: torch's name of it.
    Raises:
        PlanError: a reference has changed since planning, or cannot be read.
    """
    recipe = model.recipe.to(device).eval()
    given = Conditions(
        labels=_labels(conditioning.edit, attribute_names(model)).to(device) if conditioning.edit else None,
        strength=strength if accepts_strength(recipe) else 1.0,
        direction=conditioning.direction,
    )
    with torch.no_grad():
        if not conditioning.styles:
            return recipe.prepare_conditions(given)
        weights = torch.tensor([reference.weight for reference in conditioning.styles], device=device)
        given = replace(given, style_weights=weights)
        if conditioning.styles[0].name is not None:
            return replace(given, style_codes=_codes_of_bank(model, conditioning.styles).to(device))
        pictures = [read_reference(reference, colour) for reference in conditioning.styles]
        # A recipe that makes codes gets each reference whole; others get all of them as one tensor.
        prepared = [
            recipe.prepare_conditions(Conditions(styles=reference_signed(picture).to(device))) for picture in pictures
        ]
        if (codes := _codes(prepared)) is not None:
            return replace(given, style_codes=codes)
        return recipe.prepare_conditions(replace(given, styles=squares(pictures).to(device)))


def _references(texts: Sequence[str], root: Path) -> tuple[StyleReference, ...]:
    """References with weights that sum to 1; those of weight 0 are dropped."""
    named = [_split_weight(text, root) for text in texts]
    given = [(root / Path(name).expanduser(), weight) for name, weight in named]
    total = math.fsum(weight for _, weight in given)
    if given and total <= 0:
        raise PlanError("the weights of all style images are 0: at least one must be above 0")
    found = []
    for path, weight in given:
        try:
            read_picture(path)
            found.append(
                StyleReference(path=path, sha256=sha256_of(path), weight=round(weight / total, _WEIGHT_DIGITS))
            )
        except UnreadablePictureError as error:
            raise PlanError(f"the style image {path} cannot be read: {error.reason}") from error
        except OSError as error:
            raise PlanError(f"the style image {path} cannot be read: {error.strerror or error}") from error
    return tuple(reference for reference in found if reference.weight > 0)


def _split_weight(text: str, root: Path) -> tuple[str, float]:
    """Splits ``"b.png:0.3"``; the default weight is 1. An existing file with a colon in its name is not split."""
    name, colon, number = text.rpartition(":")
    if not colon or (root / Path(text).expanduser()).exists():
        return text, 1.0
    try:
        weight = float(number)
    except ValueError:
        return text, 1.0
    if not (math.isfinite(weight) and weight >= 0):
        raise PlanError(f"the weight of {name} is {weight:g}, but must be 0 or more")
    return name, weight


def _of_bank(model: Model, texts: Sequence[str], folder: Path) -> tuple[StyleReference, ...]:
    from stylegan_core.inference.conditioning.style_bank import StyleBankError, load_style_bank

    if not texts:
        raise PlanError(f"name styles of the bank {folder} with --style-image")
    weights: dict[str, float] = {}
    for name, weight in (_split_weight(text, folder) for text in texts):
        weights[name] = weights.get(name, 0.0) + weight
    try:
        bank = load_style_bank(folder, model)
        bank.conditions(weights)  # raises for unknown names
    except StyleBankError as error:
        raise PlanError(str(error)) from error
    total = math.fsum(weights.values())
    digests = dict(zip(bank.names, map(_digest_of_code, bank.codes), strict=True))
    return tuple(
        StyleReference(path=folder, sha256=digests[name], weight=round(weight / total, _WEIGHT_DIGITS), name=name)
        for name, weight in weights.items()
        if weight > 0
    )


def _codes_of_bank(model: Model, references: Sequence[StyleReference]) -> Tensor:
    """(K, D) codes of a bank's entries."""
    from stylegan_core.inference.conditioning.style_bank import StyleBankError, load_style_bank

    folder = references[0].path
    try:
        bank = load_style_bank(folder, model)
    except StyleBankError as error:
        raise PlanError(str(error)) from error
    codes = dict(zip(bank.names, bank.codes, strict=True))
    found = [codes[reference.name] for reference in references if reference.name in codes]
    if [_digest_of_code(code) for code in found] != [reference.sha256 for reference in references]:
        raise PlanError(f"the style bank {folder} was changed since the job was planned: plan again")
    return torch.stack(found)


def _digest_of_code(code: Tensor) -> str:
    return hashlib.sha256(code.detach().cpu().contiguous().numpy().tobytes()).hexdigest()


def _codes(prepared: Sequence[Conditions]) -> Tensor | None:
    """(K, D) codes of references that were prepared one at a time; None if the recipe makes none."""
    codes = [conditions.style_codes for conditions in prepared if conditions.style_codes is not None]
    return torch.cat(codes) if len(codes) == len(prepared) else None


def _labels(edit: Mapping[str, float], attributes: Sequence[str]) -> Tensor:
    """(1, L) in [-1, 1]."""
    return torch.tensor([[edit.get(name, 0.0) for name in attributes]], dtype=torch.float32)
