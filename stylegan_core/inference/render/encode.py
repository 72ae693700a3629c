"""From a network's output to a file: blend back into the source, output encoding, provenance."""

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
from stylegan_core.inference.reading.colour import form_of
from stylegan_core.inference.reading.decode import Decoded
from stylegan_core.storage.file_state import FileState


def encode_frame(
    decoded: Decoded,
    after: Sequence[Pixels | Picture],
    output: Path,
    settings: FrameSettings,
    *,
    strength: float,
    write: Callable[[Path, Picture, FrameTask, FileState], None],
) -> None:
    """Carries the network's change over to the source and writes the result, whole or not at all.

    Args:
        decoded: the frame.
        after: the network's answers of each view, (H, W, 3) float32 in the working space, or its finished picture.
        output: where; its suffix is the format.
        settings: of the job.
        strength: how much of the change.
        write: puts a picture into a file, whole or not at all, see ``Provenance.write``.

    Raises:
        OSError: the file cannot be written.
    """
    first, *others = [
        answer if isinstance(answer, Picture) else blend_back(view, answer, settings, strength=strength)
        for view, answer in zip((decoded, *decoded.other_views), after, strict=True)
    ]
    if others:
        first = replace(first, other_views=tuple(other.pixels for other in others))
    write(output, first, decoded.frame, decoded.source)


def blend_back(view: Decoded, after_unit: Pixels, settings: FrameSettings, *, strength: float) -> Picture:
    """The source with the network's change, in the form of the output; pixel by pixel, so rows do for themselves.

    Args:
        view: one view of a frame.
        after_unit: (H, W, 3) float32, the network's answer in the working space.
        settings: of the job.
        strength: how much of the change.

    Raises:
        ValueError: the answer is not finite.
    """
    return carry_over(
        view.picture,
        view.before_unit,
        _coloured(view, after_unit, settings),
        strength=strength,
        mask_unit=view.mask_unit,
        source_space=view.space.name,
        working_space=settings.working_space,
        ocio=settings.colour_config,
        output=form_of(view.picture, view.space, view.frame, settings),
        replaced_unit=None if view.regions is None else view.regions.replaced(settings.regions),
    )


def _coloured(view: Decoded, after_unit: Pixels, settings: FrameSettings) -> Pixels:
    if not settings.keep_source_colour:
        return after_unit
    space, ocio = settings.working_space, settings.colour_config
    return keep_source_colour(view.before_unit, after_unit, working_space=space, ocio=ocio)
