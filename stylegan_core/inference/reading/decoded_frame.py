"""A decoded frame: its source picture, its pixels in the working space, and the network's other inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from stylegan_core.frames.colour.source_space import SourceSpace
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.network.translate import Pixels
from stylegan_core.inference.reading.masks import RegionWeights
from stylegan_core.storage.file_state import FileState


class FrameRows(Protocol):
    """Rows of a picture that the network sees."""

    def rows(self, first: int, last: int) -> Pixels:
        """(last - first, W, C) in the working space; of a guide with its confidence in [0, 1] as fourth channel."""


@dataclass(frozen=True)
class WholeRows(FrameRows):
    """Rows of a picture that is in memory.

    Attributes:
        unit: (H, W, C).
    """

    unit: Pixels

    def rows(self, first: int, last: int) -> Pixels:
        """(last - first, W, C)."""
        return self.unit[first:last]


@dataclass(frozen=True)
class DecodedFrame:
    """A frame, seen through one eye of a stereo file, or through the only one.

    Attributes:
        task: the frame of the job.
        picture: the source, as it was read.
        space: colour space of the source.
        before_unit: (H, W, 3) float32 in the working space; without rows if the frame is rendered in bands.
        source: state of the input file when it was read.
        view: 0, or the index of another eye.
        mask_unit: (H, W) float32 in [0, 1], or None.
        mask: state of the mask file when it was read, or None.
        regions: weights of the regions, if the job has regions.
        other_views: the frame through the other eyes.
        auxiliary_files: states of the other files that the frame depends on, in the order of ``Job.auxiliary_files``.
        window: its neighbours in the temporal window, of the same view and size, in the order of their numbers.
        offset: of a frame in a window: how many frames after the one whose window it is.
        filtered: the frame averaged with its neighbours, for the network; None: it sees ``before_unit``.
        averaged_with: these neighbours, by the frames between and by their keys.
        guide: of a guided network; None: no key frame guides the frame.
    """

    task: FrameTask
    picture: Picture
    space: SourceSpace
    before_unit: Pixels
    source: FileState
    view: int = 0
    mask_unit: Pixels | None = None
    mask: FileState | None = None
    regions: RegionWeights | None = None
    other_views: tuple[DecodedFrame, ...] = ()
    auxiliary_files: tuple[FileState | None, ...] = ()
    window: tuple[DecodedFrame, ...] = ()
    offset: int = 0
    filtered: FrameRows | None = None
    averaged_with: tuple[tuple[int, str], ...] = ()
    guide: FrameRows | None = None

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
        """Whether it is too large to be rendered as a whole."""
        return not len(self.before_unit)

    @property
    def views(self) -> tuple[DecodedFrame, ...]:
        """All eyes, this one first."""
        return (self, *self.other_views)

    @property
    def key(self) -> str:
        """Identifies the pixels among all frames of the job: file, index in a movie, missing frame, view, guides."""
        guides = ",".join(f"{guide.number} {guide.flow} {guide.distance}" for guide in self.task.guides)
        return f"{self.source.sha256}:{self.task.index}:{self.task.missing == 'black'}:{self.view}:{guides}"

    @property
    def size_bytes(self) -> int:
        """Memory of the pixels of all views."""
        arrays = [self.picture.pixels, *self.picture.other_views, *(view.before_unit for view in self.views)]
        return sum(array.nbytes for array in arrays)

    def fits_batch_of(self, other: DecodedFrame) -> bool:
        """Whether both may be rendered together: they have the same size and the same frozen statistics."""
        same_size = self.before_unit.shape == other.before_unit.shape
        return same_size and self.task.statistics == other.task.statistics
