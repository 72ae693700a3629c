"""One frame's way in and out: file to unit RGB, and the network's answer to a file."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stylegan_core.frames.colour.carry_over import carry_over
from stylegan_core.frames.colour.luminance_transfer import keep_source_colour
from stylegan_core.frames.colour.source_space import SourceSpace
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.inference.colour_plan import form_of
from stylegan_core.inference.job import FrameSettings, JobFrame
from stylegan_core.inference.masks import RegionReader, RegionWeights, read_mask, refuse_changed
from stylegan_core.inference.resume import FileState
from stylegan_core.inference.sources import Sources
from stylegan_core.inference.translate import Pixels
from stylegan_core.inference.window import Glimpse, WindowReader, glimpses, see

_NO_MOUNT = ("ESTALE", "ENOTCONN", "ENODEV", "EMFILE", "ENFILE")
_READING_STOPS = frozenset(getattr(errno, name) for name in _NO_MOUNT if hasattr(errno, name))
_WRITING_STOPS = _READING_STOPS | {
    getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EROFS", "EIO", "EACCES", "EPERM") if hasattr(errno, name)
}


@dataclass(frozen=True)
class Decoded:
    """A frame that waits for the network.

    Attributes:
        frame: of the job.
        picture: as it was read.
        space: that the picture is in.
        before_unit: (H, W, 3) float32 in the working space; without rows if it is painted in bands.
        mask_unit: (H, W) float32 in [0, 1], or None.
        source: the input file as it was read.
        mask: the mask file as it was read, or None.
        regions: of a job that has them.
        other_views: the frame through the other eyes of a stereo file.
        beside: files that the frame was made with beside its source and mask, as ``Job.beside_paths`` lists them.
        glimpse: the frame itself, where it has a window.
        window: frames that it is steadied with.
    """

    frame: JobFrame
    picture: Picture
    space: SourceSpace
    before_unit: Pixels
    mask_unit: Pixels | None
    source: FileState
    mask: FileState | None
    regions: RegionWeights | None = None
    other_views: tuple[Decoded, ...] = ()
    beside: tuple[FileState | None, ...] = ()
    glimpse: Glimpse | None = None
    window: tuple[Glimpse, ...] = ()

    @property
    def height_px(self) -> int:
        """Rows."""
        return self.picture.height_px

    @property
    def width_px(self) -> int:
        """Columns."""
        return self.picture.width_px

    @property
    def in_bands(self) -> bool:
        """Whether it is too large to be painted as a whole."""
        return not len(self.before_unit)


def decode_frame(
    frame: JobFrame,
    sources: Sources,
    settings: FrameSettings,
    *,
    max_megapixels: float = 200.0,
    regions: RegionReader | None = None,
    windows: WindowReader | None = None,
) -> Decoded:
    """Reads a frame, its mask, its regions and its window.

    Args:
        frame: of the job.
        sources: of the job.
        settings: of the job.
        max_megapixels: masks that declare more are refused before they are decoded.
        regions: reads those of a job that has them.
        windows: reads those of a job that has them.

    Raises:
        UnreadablePictureError: a file is damaged, changed while it was read, or a mask does not fit.
        OSError: a file cannot be read.
    """
    seen = windows.see(frame) if windows is not None else see(frame, sources, settings)
    picture, state = seen.picture, seen.state
    views = [replace(picture, pixels=pixels, other_views=()) for pixels in (picture.pixels, *picture.other_views)]
    masks: list[Pixels | None] = [None for _ in views]
    mask_state = None
    if frame.mask is not None:
        mask_path = Path(frame.mask)
        mask_state = FileState.of(mask_path)
        places = picture.windows or [None for _ in views]
        masks = [
            read_mask(mask_path, view.height_px, view.width_px, window=window, max_megapixels=max_megapixels)
            for view, window in zip(views, places, strict=True)
        ]
        refuse_changed(mask_path, mask_state)
    weights = regions.read(frame, picture.height_px, picture.width_px) if regions is not None else None
    files = weights.files if weights is not None else ()
    first, *others = [
        Decoded(frame, view, seen.space, unit, mask_unit, state, mask_state, weights, beside=files)
        for view, unit, mask_unit in zip(views, seen.views, masks, strict=True)
    ]
    if windows is not None and frame.window:
        windows_of_views, more = windows.window(frame, seen)
        first, *others = [
            replace(view, glimpse=glimpse, window=window, beside=(*files, *more))
            for view, glimpse, window in zip((first, *others), glimpses(frame, seen), windows_of_views, strict=True)
        ]
    return replace(first, picture=picture, other_views=tuple(others))


def encode_frame(
    decoded: Decoded,
    after: Sequence[Pixels | Picture],
    output: Path,
    settings: FrameSettings,
    *,
    strength: float,
    write: Callable[[Path, Picture, Decoded], None],
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
        answer if isinstance(answer, Picture) else carried_over(view, answer, settings, strength=strength)
        for view, answer in zip((decoded, *decoded.other_views), after, strict=True)
    ]
    if others:
        first = replace(first, other_views=tuple(other.pixels for other in others))
    write(output, first, decoded)


def carried_over(view: Decoded, after_unit: Pixels, settings: FrameSettings, *, strength: float) -> Picture:
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


def reading_stops(error: BaseException) -> bool:
    """Whether the next frame could not be read either: a vanished mount, no file handles left."""
    return isinstance(error, OSError) and error.errno in _READING_STOPS


def writing_stops(error: BaseException) -> bool:
    """Whether the next frame could not be written either: a full disk, a folder without permission, ..."""
    return isinstance(error, OSError) and error.errno in _WRITING_STOPS


def folder_identity(folder: Path) -> tuple[int, int] | None:
    """Tells a folder from the one that shows in its place when its file system is unmounted; None if there is none."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
