"""Colour of a job: the source space and the output encoding of a picture, and the check of the OpenColorIO config."""

from __future__ import annotations

from pathlib import Path

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.colour.output_encoding import OutputEncoding, choose_output_encoding
from stylegan_core.frames.colour.source_space import OWN_SPACES, SourceSpace, source_space_of
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.profiles.ocio import (
    ColourError,
    load_config,
)
from stylegan_core.inference.job.frame_settings import FrameSettings
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.spec import PlanError


def check_config(settings: FrameSettings) -> None:
    """Refuses an OpenColorIO config that differs from the one of the plan.

    Raises:
        PlanError: the config cannot be loaded here, or its content differs.
    """
    if settings.ocio is None:
        return
    try:
        config = load_config(settings.colour_config)
    except ColourError as error:
        raise PlanError(str(error)) from error
    if config.digest != settings.ocio:
        raise PlanError(f"{config.name}, or a table that it reads, was changed since the job was planned: plan again")


def space_of(picture: Picture, settings: FrameSettings, path: Path | None = None) -> SourceSpace:
    """The colour space of a picture under the settings of a job.

    Raises:
        UnreadablePictureError: the picture lacks what the requested space needs, such as an ICC profile.
    """
    try:
        return source_space_of(picture, settings.source_space, path=path, ocio=settings.colour_config)
    except ValueError as error:
        raise UnreadablePictureError(str(error)) from error


def output_encoding_of(
    picture: Picture, space: SourceSpace, frame: FrameTask, settings: FrameSettings
) -> OutputEncoding | None:
    """How a job stores the result of a picture; None stores it like the picture."""
    return choose_output_encoding(picture, space, frame.output, settings.output_space, ocio=settings.colour_config)


def needs_fp32(settings: FrameSettings) -> bool:
    """Whether 16 bits would be visible: in a linear working space, all shadows are within a few steps of bf16."""
    space = settings.working_space
    return space == "linear_rec709" if space in OWN_SPACES else load_config(settings.colour_config).is_linear(space)
