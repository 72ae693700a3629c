"""The model of a request: a folder, the name of a trained one, or the last that the project trained."""

from __future__ import annotations

import logging
from pathlib import Path

from stylegan_core.inference.job.spec import PlanError
from stylegan_core.inference.planning.request import Request
from stylegan_core.recipes.base import Kind
from stylegan_core.recipes.model import Model
from stylegan_core.storage.model_folder import MODEL_CARD

log = logging.getLogger(__name__)


def find_model(name: str | Path | None, models: Path, root: Path | None = None) -> Path:
    """The folder of a model.

    Args:
        name: a model folder, or the name of one in ``models``; None is the last trained.
        models: the project's folder of models.
        root: what a relative ``name`` is relative to; default: the working folder.

    Raises:
        PlanError: there is no such model.
    """
    if name is not None:
        for folder in ((root or Path()) / Path(name).expanduser(), models / name):
            if (folder / MODEL_CARD).is_file():
                return folder
        raise PlanError(f"{name} is not a model folder: it has no {MODEL_CARD}; {_choice(models)}")
    trained = _trained(models)
    if not trained:
        raise PlanError(f"there is no model in {models}: train one, or name a model folder with --model")
    if len(trained) > 1:
        log.info("the model is %s, the last trained of %d in %s", trained[0].name, len(trained), models)
    return trained[0]


def stand_in_model(request: Request) -> Path | None:
    """The model of a region, where no part of the frames needs a model of the job itself; else None.

    Raises:
        PlanError: the region's model does not exist.
    """
    settings = request.settings
    named = [region.model for region in settings.regions if region.model]
    independent = all(region.model or region.picture for region in settings.regions)
    if settings.outside_regions != "source" or not independent or not named:
        return None
    return find_model(named[0], request.models, request.regions_root)


def check_translates(model: Model) -> None:
    """Refuses a model that cannot stylize frames.

    Raises:
        PlanError: it makes pictures from noise, or changes their size.
    """
    card = model.card
    if model.recipe.kind is not Kind.TRANSLATE:
        raise PlanError(f"{model.folder} holds a {card.recipe} model, which makes pictures from noise alone")
    if model.recipe.scale != 1:
        raise PlanError(f"{model.folder} holds a {card.recipe} model, which changes the size; stylize keeps it")


def _trained(models: Path) -> list[Path]:
    """Model folders, the last trained first."""
    cards = list(models.glob(f"*/{MODEL_CARD}"))
    return [card.parent for card in sorted(cards, key=lambda card: (-card.stat().st_mtime_ns, card))]


def _choice(models: Path) -> str:
    names = [folder.name for folder in _trained(models)]
    if not names:
        return f"{models} has none either"
    return f"choose one with --model: {', '.join(names)} (the last trained first)"
