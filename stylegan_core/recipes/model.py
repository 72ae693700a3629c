"""The model folder: safetensors files and a JSON card that describes them. Loading runs no code from the files.

model.json               the card: recipe, settings, working space, checksums; written last
last.safetensors         moving average of the networks that translate, at the end
best.safetensors         the same, where validation was best
networks.safetensors     all networks, discriminators too, for a training that continues from here
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import safetensors
import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from torch import Tensor

from stylegan_core.recipes import config_class, list_recipes, recipe_class
from stylegan_core.recipes.base import BaseRecipe, RecipeConfig
from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.model_folder import MODEL_CARD

Weights = Literal["last", "best"]


class ModelError(ValueError):
    """A model folder is missing, damaged, or of a recipe or settings that this version does not know."""


class WeightsFile(BaseModel):
    """A safetensors file of the folder and its checksum."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # A plain name: a card must not lead out of its folder.
    file: str = Field(pattern=r"^[A-Za-z0-9_-]+\.safetensors$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class ModelCard(BaseModel):
    """What a model is, and what it was trained with.

    Attributes:
        recipe: its name.
        config: its settings, all of them.
        working_space: colour space of the training samples; inference converts to it.
        sample_type: of the training samples: uint8, uint16 or half.
        steps: generator steps.
        images_seen: training crops.
        chosen: the weights that inference uses by default.
        weights: "last" and "best".
        networks: all networks, for ``train.init_from``.
        digest: identifies the model: recipe, settings, colour and the chosen weights.
        validation: metrics of "last" and "best".
        init_from: digest of the model that it started from.
        shots: that it was trained on; empty: everything.
        stopped_by: "budget", "limit_minutes", ...
        ocio: digest of the OpenColorIO config that defines the working space, if it needs one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str
    config: dict[str, JsonValue]
    working_space: str
    sample_type: str
    steps: int
    images_seen: int
    chosen: Weights
    weights: dict[Weights, WeightsFile]
    networks: WeightsFile
    digest: str
    validation: dict[str, dict[str, float]] = {}
    init_from: str | None = None
    shots: list[str] = []
    stopped_by: str = "budget"
    ocio: str | None = None


@dataclass(frozen=True)
class Model:
    """A recipe in evaluation mode with its inference networks, its card and its folder."""

    recipe: BaseRecipe
    card: ModelCard
    folder: Path


def model_digest(
    recipe: str, config: Mapping[str, JsonValue], working_space: str, sample_type: str, sha256: str
) -> str:
    """SHA-256, in hex, over everything that determines a model's output.

    Args:
        recipe: its name.
        config: its settings as JSON values.
        working_space: colour space.
        sample_type: of the store.
        sha256: of the chosen weights' file.
    """
    parts = [recipe, dict(config), working_space, sample_type, sha256]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def save_model(  # noqa: PLR0913  # all by keyword
    folder: Path,
    *,
    recipe: str,
    config: RecipeConfig,
    working_space: str,
    sample_type: str,
    steps: int,
    images_seen: int,
    chosen: Weights,
    last: Mapping[str, Tensor],
    best: Mapping[str, Tensor],
    networks: Mapping[str, Tensor],
    validation: Mapping[str, Mapping[str, float]] | None = None,
    init_from: str | None = None,
    shots: list[str] | tuple[str, ...] = (),
    stopped_by: str = "budget",
    ocio: str | None = None,
) -> ModelCard:
    """Writes a model folder; equal models give equal bytes.

    The card is written last: after an interruption, an older card's checksums reveal that files were replaced.

    Args:
        folder: made if it is missing.
        recipe: the recipe's name.
        config: its settings.
        working_space: colour space of the samples.
        sample_type: of the store.
        steps: generator steps done.
        images_seen: content crops seen.
        chosen: the weights that inference uses.
        last: moving average at the end, keys "<network>.<parameter>", inference networks only.
        best: the same, where validation was best.
        networks: ``recipe.networks.state_dict()`` as trained.
        validation: metrics of "last" and "best".
        init_from: digest of the model that it started from.
        shots: that it was trained on.
        stopped_by: why training ended.
        ocio: digest of the OpenColorIO config that defines the working space, if it needs one.
    """
    files: dict[str, WeightsFile] = {}
    for name, tensors in (("last", last), ("best", best), ("networks", networks)):
        content = safetensors.torch.save({k: v.detach().cpu().contiguous() for k, v in tensors.items()})
        files[name] = WeightsFile(file=f"{name}.safetensors", sha256=hashlib.sha256(content).hexdigest())
        write_bytes_atomically(folder / files[name].file, content)
    settings = config.model_dump(mode="json")
    card = ModelCard(
        recipe=recipe,
        config=settings,
        working_space=working_space,
        sample_type=sample_type,
        steps=steps,
        images_seen=images_seen,
        chosen=chosen,
        weights={"last": files["last"], "best": files["best"]},
        networks=files["networks"],
        digest=model_digest(recipe, settings, working_space, sample_type, files[chosen].sha256),
        validation={k: dict(v) for k, v in (validation or {}).items()},
        init_from=init_from,
        shots=list(shots),
        stopped_by=stopped_by,
        ocio=ocio,
    )
    write_bytes_atomically(folder / MODEL_CARD, (card.model_dump_json(indent=2) + "\n").encode())
    return card


def read_card(folder: Path) -> ModelCard:
    """The card of a model folder, checked against its digest; reads no weights.

    Raises:
        ModelError: there is no model, or the card is damaged.
    """
    path = folder / MODEL_CARD
    if not path.is_file():
        raise ModelError(f"{folder} is not a model folder: {path} does not exist")
    try:
        card = ModelCard.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ModelError(
            f"{path} is damaged or of another version: {where + ': ' if where else ''}{first['msg']}"
        ) from None
    if card.chosen not in card.weights:
        raise ModelError(f"{path} is damaged: the chosen weights {card.chosen!r} are not listed")
    sha256 = card.weights[card.chosen].sha256
    expected = model_digest(card.recipe, card.config, card.working_space, card.sample_type, sha256)
    if card.digest != expected:
        raise ModelError(f"{path} was changed after training: its content no longer matches its digest")
    return card


def load_model(
    folder: Path, *, weights: Literal["chosen", "last", "best"] = "chosen", device: torch.device | str = "cpu"
) -> Model:
    """Builds the recipe of a model folder with its moving-average weights, for inference.

    Args:
        folder: as ``save_model`` wrote it.
        weights: which of the two; "chosen" is what the card says.
        device: where the networks go.
    Returns:
        The model in eval mode, without gradients, fp32, holding the inference networks only.
    Raises:
        ModelError: the folder is missing or damaged, or this version does not know its recipe or settings.
    """
    card = read_card(folder)
    recipe = _build(card, folder)
    name: Weights = card.chosen if weights == "chosen" else weights
    if name not in card.weights:
        raise ModelError(f"{folder} has no weights {name!r}; it has: {', '.join(card.weights)}")
    tensors = _read_weights(folder, card.weights[name])
    for network in [n for n in recipe.networks if n not in recipe.inference_networks]:
        del recipe.networks[network]
    try:
        recipe.networks.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelError(f"the weights {name!r} of {folder} do not fit the recipe {card.recipe}: {error}") from None
    recipe.to(device).eval().requires_grad_(False)
    return Model(recipe, card, folder)


def load_networks(folder: Path) -> dict[str, Tensor]:
    """All networks without averaging, discriminators too, by "<network>.<parameter>", for ``train.init_from``.

    Raises:
        ModelError: the folder is missing or damaged.
    """
    return _read_weights(folder, read_card(folder).networks)


def _build(card: ModelCard, folder: Path) -> BaseRecipe:
    if card.recipe not in list_recipes():
        known = ", ".join(list_recipes())
        raise ModelError(f"{folder} is a model of the recipe {card.recipe!r}; this version knows: {known}")
    try:
        config = config_class(card.recipe).of_model(card.config)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ModelError(f"{folder} has settings that this version does not know: {where}: {first['msg']}") from None
    with torch.random.fork_rng(devices=[]):  # initial weights are discarded: do not advance the caller's generator
        return recipe_class(card.recipe)(config)


def _read_weights(folder: Path, entry: WeightsFile) -> dict[str, Tensor]:
    path = folder / entry.file
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{folder} is incomplete: {entry.file} does not exist") from None
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise ModelError(f"{path} is damaged: its checksum is not the one in {MODEL_CARD}")
    try:
        return safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise ModelError(f"{path} is not a safetensors file: {error}") from None
