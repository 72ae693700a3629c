"""What a person wishes beside a model and its strength, in words and files, and the job that it becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stylegan_core.inference.conditioning.conditions import plan_conditioning
from stylegan_core.inference.conditioning.edit_vocabulary import OWN
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.plan import Plan
from stylegan_core.inference.network.device import choose_device
from stylegan_core.inference.planning.find_model import find_model
from stylegan_core.inference.planning.planner import DEFAULT_RENDER, plan_job
from stylegan_core.inference.planning.regions import plan_regions
from stylegan_core.stylize_settings import RegionSettings, RenderSettings

if TYPE_CHECKING:
    from stylegan_core.recipes.model import Model


@dataclass(frozen=True)
class ConditioningRequest:
    """Directions and regions as they are asked for.

    Attributes:
        style_images: reference pictures, each with a weight after a colon, for models that take them.
        edit: changes of attributes, for models that make them.
        direction: for models that go both ways.
        regions: parts of the frames that are made otherwise.
        elsewhere: what is outside of all regions.
        root: what relative style images are relative to.
        regions_root: what relative paths of the regions are relative to.
        models: folder of the models that regions may name.
        style_bank: folder of precomputed references, whose names style images then are.
        vocabulary: the user's own words for edits, if there is such a file.
    """

    style_images: tuple[str, ...] = ()
    edit: str | Mapping[str, float] | None = None
    direction: Literal["forward", "backward"] = "forward"
    regions: tuple[RegionSettings, ...] = ()
    elsewhere: Literal["source", "style"] = "source"
    root: Path = field(default_factory=Path.cwd)
    regions_root: Path = field(default_factory=Path.cwd)
    models: Path = Path("models")
    style_bank: Path | None = None
    vocabulary: Path = OWN

    def stand_in_model(self) -> Path | None:
        """A region's model where regions need no other: outside of them all is the source's.

        Raises:
            PlanError: the region's model does not exist.
        """
        apart = all(region.model or region.picture for region in self.regions)
        named = [region.model for region in self.regions if region.model]
        if self.elsewhere != "source" or not apart or not named:
            return None
        return find_model(named[0], self.models, self.regions_root)


def plan_request_job(
    frames: Sequence[FrameTask],
    wishes: ConditioningRequest,
    *,
    input_folder: Path,
    output_folder: Path,
    model: Model,
    render: RenderSettings = DEFAULT_RENDER,
    source_space: str = "auto",
    chunk_frames: int = 64,
    device: str = "auto",
    earlier: Sequence[Path] = (),
) -> Plan:
    """``plan_job`` with what is wished for; the other arguments are its own.

    Raises:
        PlanError: the model does not heed a wish, a file is missing, or a setting is out of range.
        ModelError: a region's model cannot be loaded.
    """
    device = choose_device(device)
    directions = plan_conditioning(
        model,
        style_images=wishes.style_images,
        edit=wishes.edit,
        direction=wishes.direction,
        root=wishes.root,
        style_bank=wishes.style_bank,
        vocabulary=wishes.vocabulary,
    )
    regions, frames = plan_regions(
        wishes.regions,
        frames,
        model,
        models=wishes.models,
        root=wishes.regions_root,
        strength=render.strength,
        precision=render.precision,
        device=device,
        vocabulary=wishes.vocabulary,
    )
    return plan_job(
        frames,
        input_folder=input_folder,
        output_folder=output_folder,
        model=model,
        render=render,
        source_space=source_space,
        chunk_frames=chunk_frames,
        device=device,
        directions=directions,
        regions=regions,
        elsewhere=wishes.elsewhere,
        earlier=earlier,
    )
