"""Picture: the pixels of a picture file, with all that is needed to write the file again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from stylegan_core.frames.formats.exr.read import Window
from stylegan_core.frames.pictures.metadata import Metadata

if TYPE_CHECKING:
    from stylegan_core.frames.base.frame_planes import FramePlanes

Pixels = NDArray[Any]


@dataclass(frozen=True)
class Picture:
    """A picture in memory.

    Attributes:
        pixels: (H, W, C), C in 1..4 (grey, grey + alpha, RGB, RGB + one), in the file's own type (uint8, uint16,
            uint32, float16, float32) and encoding, with EXIF orientation applied. Read-only for EXR.
        format: format of the content, one of FORMATS; the file's suffix may differ.
        has_alpha: whether the last channel is alpha.
        alpha_associated: whether colours are stored multiplied by alpha (EXR, some TIFFs); otherwise alpha is straight.
            Pixels keep the stored form, so that nothing is lost; ``colour.convert.to_working`` divides by alpha.
        icc_profile: bytes of the embedded ICC profile.
        metadata: for ``write_picture``, opaque; None for a picture that was not read from a file.
        warnings: messages about the file for the user.
        other_views: (H, W, C) each, the other views of a stereo file.
        windows: (left, top, display width, display height) of each view in a format with windows, else empty.
        colour_tags: raw colour tags of the file, other than the ICC profile.
        layers: names of layers and channels that pass through unchanged.
        bits: bits a sample in the file, if fewer than the type holds; otherwise None.
        movie: the planes of a movie frame.
    """

    pixels: Pixels
    format: str = "png"
    has_alpha: bool = False
    alpha_associated: bool = False
    icc_profile: bytes | None = None
    metadata: Metadata | None = None
    warnings: tuple[str, ...] = ()
    other_views: tuple[Pixels, ...] = ()
    windows: tuple[Window, ...] = ()
    colour_tags: Mapping[str, object] = field(default_factory=dict)
    layers: tuple[str, ...] = ()
    bits: int | None = None
    movie: FramePlanes | None = None

    @property
    def colour_channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return 3 if self.pixels.shape[2] >= 3 else 1

    @property
    def width_px(self) -> int:
        """Columns, after orientation."""
        return int(self.pixels.shape[1])

    @property
    def height_px(self) -> int:
        """Rows, after orientation."""
        return int(self.pixels.shape[0])
