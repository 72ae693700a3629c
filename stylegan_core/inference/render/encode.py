"""Encodes a frame: blends the network's change back into the source and writes the result in the form of the output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from stylegan_core.frames.colour.carry_over import carry_over
from stylegan_core.frames.colour.luminance_transfer import keep_source_colour
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.inference.job.frame_settings import FrameSettings
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.network.translate import Pixels
from stylegan_core.inference.reading.colour import output_encoding_of
from stylegan_core.inference.reading.decoded_frame import DecodedFrame
from stylegan_core.storage.file_state import FileState


def encode_frame(
    frame: DecodedFrame,
    outputs: Sequence[Pixels | Picture],
    path: Path,
    settings: FrameSettings,
    *,
    strength: float,
    write: Callable[[Path, Picture, FrameTask, FileState], None],
) -> None:
    """Blends the network's change back into the source and writes the result atomically.

    Args:
        frame: the frame.
        outputs: of the network, for each view: (H, W, 3) float32 in the working space, or the finished picture.
        path: of the output; its suffix is the format.
        settings: of the job.
        strength: how much of the change.
        write: writes a picture atomically, see ``Provenance.write``.

    Raises:
        OSError: the file cannot be written.
    """
    first, *others = [
        output if isinstance(output, Picture) else blend_back(view, output, settings, strength=strength)
        for view, output in zip(frame.views, outputs, strict=True)
    ]
    if others:
        first = replace(first, other_views=tuple(other.pixels for other in others))
    write(path, first, frame.task, frame.source)


def blend_back(frame: DecodedFrame, after_unit: Pixels, settings: FrameSettings, *, strength: float) -> Picture:
    """The source with the network's change, in the form of the output; pixel by pixel, so it works on rows, too.

    Args:
        frame: one view of a frame.
        after_unit: (H, W, 3) float32, the network's output in the working space.
        settings: of the job.
        strength: how much of the change.

    Raises:
        ValueError: the output is not finite.
    """
    space, ocio = settings.working_space, settings.colour_config
    if settings.keep_source_colour:
        after_unit = keep_source_colour(frame.before_unit, after_unit, working_space=space, ocio=ocio)
    return carry_over(
        frame.picture,
        frame.before_unit,
        after_unit,
        strength=strength,
        mask_unit=frame.mask_unit,
        source_space=frame.space.name,
        working_space=space,
        ocio=ocio,
        output=output_encoding_of(frame.picture, frame.space, frame.task, settings),
        replaced_unit=None if frame.regions is None else frame.regions.replaced(settings.regions),
    )
