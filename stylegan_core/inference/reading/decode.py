"""One frame's way in and out: file to unit RGB, and the network's answer to a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from stylegan_core.frames.colour.source_space import SourceSpace
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.inference.job.frame_settings import FrameSettings
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.network.translate import Pixels
from stylegan_core.inference.reading.frame_reader import FrameReader
from stylegan_core.inference.reading.masks import RegionReader, RegionWeights, read_mask, refuse_changed
from stylegan_core.inference.reading.temporal_window import FrameView, WindowReader, glimpses, load_frame
from stylegan_core.storage.file_state import FileState


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
        beside: files that the frame was made with beside its source and mask, as ``Job.auxiliary_files`` lists them.
        glimpse: the frame itself, where it has a window.
        window: frames that it is steadied with.
    """

    frame: FrameTask
    picture: Picture
    space: SourceSpace
    before_unit: Pixels
    mask_unit: Pixels | None
    source: FileState
    mask: FileState | None
    regions: RegionWeights | None = None
    other_views: tuple[Decoded, ...] = ()
    beside: tuple[FileState | None, ...] = ()
    glimpse: FrameView | None = None
    window: tuple[FrameView, ...] = ()

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
    frame: FrameTask,
    sources: FrameReader,
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
    seen = windows.load_frame(frame) if windows is not None else load_frame(frame, sources, settings)
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
