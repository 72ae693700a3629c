"""Plans regions: parts of the frames with a model, references or a picture of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stylegan_core.inference.conditioning.conditions import plan_conditioning
from stylegan_core.inference.job.frame_settings import Region
from stylegan_core.inference.job.frame_task import FrameTask, RegionFiles
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.inference.network.precision import choose_precision
from stylegan_core.inference.planning.find_model import check_translates, find_model
from stylegan_core.inference.planning.request import Request
from stylegan_core.inference.planning.selection.match_files import match_files
from stylegan_core.recipes.model import Model, load_model
from stylegan_core.stylize_settings import RegionSettings


def plan_regions(
    request: Request, frames: Sequence[FrameTask], model: Model, device: str
) -> tuple[tuple[Region, ...], tuple[FrameTask, ...]]:
    """Plans the regions of a request, and matches their files to frames.

    Args:
        request: with the settings of the regions.
        frames: of the job.
        model: the job's, for regions without one of their own.
        device: torch's name of the device that the job runs on.
    Returns:
        The regions, and the frames with their files.
    Raises:
        PlanError: a folder, model or direction is wrong, or no frame at all has a mask where each needs one.
        ModelError: a model cannot be loaded.
    """
    if not request.settings.regions:
        return (), tuple(frames)
    regions, files = [], []
    for index, settings in enumerate(request.settings.regions):
        name = f"region {index + 1}"
        files.append(_match_region(settings, frames, request.regions_root.absolute(), name))
        try:
            regions.append(_region(settings, request, model, device))
        except PlanError as error:
            raise PlanError(f"{name}: {error}") from error
    with_files = tuple(
        frame.model_copy(update={"regions": of_frame})
        for frame, of_frame in zip(frames, zip(*files, strict=True), strict=True)
    )
    return tuple(regions), with_files


def _match_region(settings: RegionSettings, frames: Sequence[FrameTask], root: Path, name: str) -> list[RegionFiles]:
    """The region's files for each frame."""
    where = settings.where if settings.where is not None else settings.labels
    assert where is not None  # RegionSettings requires one of them
    masks = match_files(frames, root / where.expanduser(), f"{name}, masks")
    if settings.missing_mask == "error" and not any(masks):
        raise PlanError(f"{name}: {root / where} has no mask for any of the frames, by name or by number")
    pictures: list[Path | None] = [None] * len(frames)
    if settings.picture is not None:
        pictures = match_files(frames, root / settings.picture.expanduser(), f"{name}, pictures")
    return [RegionFiles(where=mask, picture=picture) for mask, picture in zip(masks, pictures, strict=True)]


def _region(settings: RegionSettings, request: Request, model: Model, device: str) -> Region:
    region = Region(
        value=settings.value,
        strength=request.settings.strength if settings.strength is None else settings.strength,
        feather_px=settings.feather_px,
        missing_mask=settings.missing_mask,
        shows_picture=settings.picture is not None,
    )
    if region.shows_picture:
        return region
    root = request.regions_root.absolute()
    own = load_model(find_model(settings.model, request.models, root)) if settings.model is not None else model
    check_translates(own)
    if own.card.working_space != model.card.working_space:
        raise PlanError(
            f"{own.folder} works in {own.card.working_space}, but {model.folder} in {model.card.working_space}: "
            "models that share a frame must share a working space"
        )
    return region.model_copy(
        update={
            "model_folder": own.folder.absolute() if settings.model is not None else None,
            "model_digest": own.card.digest if settings.model is not None else None,
            "precision": choose_precision(own.recipe, request.settings.precision, device),
            "directions": plan_conditioning(
                own,
                style_images=settings.style_images,
                edit=settings.edit,
                direction=settings.direction,
                root=root,
                vocabulary=request.vocabulary,
            ),
        }
    )
