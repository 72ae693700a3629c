"""Plans regions: parts of the frames with a model, references or a picture of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ruamel.yaml import YAML

from stylegan_core.inference.conditioning.conditions import plan_conditioning
from stylegan_core.inference.conditioning.edit_vocabulary import OWN
from stylegan_core.inference.job.frame_settings import Precision, Region
from stylegan_core.inference.job.frame_task import FrameTask, RegionFiles
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.inference.network.precision import choose_precision
from stylegan_core.inference.planning.find_model import find_model
from stylegan_core.inference.planning.planner import check_translates
from stylegan_core.inference.planning.selection.match_files import match_files
from stylegan_core.recipes.model import Model, load_model
from stylegan_core.settings import SettingsError, validated
from stylegan_core.stylize_settings import RegionSettings


def load_regions(path: Path) -> tuple[RegionSettings, ...]:
    """Reads a list of regions from a YAML file, as it may stand in ``stylize.regions``.

    Raises:
        SettingsError: the file is missing, is no YAML list, or an entry is wrong.
    """
    try:
        listed = YAML(typ="safe").load(path)
    except OSError as error:
        raise SettingsError(f"the regions {path} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        raise SettingsError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(listed, list) or not listed:
        raise SettingsError(f"{path} must hold a list of regions, each beginning with `- where:` or `- labels:`")
    return tuple(validated(RegionSettings, entry, f"{path.name}[{index}]") for index, entry in enumerate(listed))


def plan_regions(
    asked: Sequence[RegionSettings],
    frames: Sequence[FrameTask],
    model: Model,
    *,
    models: Path,
    root: Path | None = None,
    strength: float = 1.0,
    precision: Precision | Literal["auto"] = "auto",
    device: str = "cpu",
    vocabulary: Path = OWN,
) -> tuple[tuple[Region, ...], list[FrameTask]]:
    """Settles regions, and which files of theirs belong to which frame.

    Args:
        asked: the settings, one a region.
        frames: of the job.
        model: the job's, for regions without one of their own.
        models: the project's folder of models.
        root: what relative paths are relative to; default: the working folder.
        strength: of regions that name none.
        precision: of their models.
        device: where they will run.
        vocabulary: the user's own words for edits, if there is such a file.
    Returns:
        The regions, and the frames with their files.
    Raises:
        PlanError: a folder, model or direction is wrong, or no frame at all has a mask where each needs one.
        ModelError: a model cannot be loaded.
    """
    if not asked:
        return (), list(frames)
    here = (root or Path.cwd()).absolute()
    regions, files = [], []
    for index, region in enumerate(asked):
        name = f"region {index + 1}"
        where = region.where if region.where is not None else region.labels
        assert where is not None  # RegionSettings sees to it
        masks = match_files(frames, here / where.expanduser(), f"{name}, masks")
        if region.missing_mask == "error" and not any(masks):
            raise PlanError(f"{name}: {here / where} has no mask for any of the frames, by name or by number")
        pictures: list[Path | None] = [None] * len(frames)
        if region.picture is not None:
            pictures = match_files(frames, here / region.picture.expanduser(), f"{name}, pictures")
        files.append([RegionFiles(where=w, picture=p) for w, p in zip(masks, pictures, strict=True)])
        try:
            regions.append(_region(region, model, models, here, strength, precision, device, vocabulary))
        except PlanError as error:
            raise PlanError(f"{name}: {error}") from error
    together = [
        frame.model_copy(update={"regions": tuple(own)})
        for frame, own in zip(frames, zip(*files, strict=True), strict=True)
    ]
    return tuple(regions), together


def _region(  # noqa: PLR0917
    asked: RegionSettings,
    model: Model,
    models: Path,
    root: Path,
    strength: float,
    precision: Precision | Literal["auto"],
    device: str,
    vocabulary: Path,
) -> Region:
    common = {
        "value": asked.value,
        "strength": strength if asked.strength is None else asked.strength,
        "feather_px": asked.feather_px,
        "missing_mask": asked.missing_mask,
    }
    if asked.picture is not None:
        return Region(**common, shows_picture=True)
    own = load_model(find_model(asked.model, models, root)) if asked.model is not None else model
    check_translates(own)
    if own.card.working_space != model.card.working_space:
        raise PlanError(
            f"{own.folder} works in {own.card.working_space}, but {model.folder} in {model.card.working_space}: "
            "models that share a frame share a working space"
        )
    return Region(
        **common,
        model_folder=own.folder.absolute() if asked.model is not None else None,
        model_digest=own.card.digest if asked.model is not None else None,
        precision=choose_precision(own.recipe, precision, device),
        directions=plan_conditioning(
            own,
            style_images=asked.style_images,
            edit=asked.edit,
            direction=asked.direction,
            root=root,
            vocabulary=vocabulary,
        ),
    )
