"""Facts in files: put there, read again, replaced; the formats themselves are tested with ``attributes``."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.pictures.encode import write_picture
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.frames.provenance.tags import movie_tags, provenance_tags, read_provenance_tags

FACTS = {"model": "ab" * 32, "asked": "strength 0.5; edit käse <&> smiling +1", "source": "s.0001.exr", "commit": ""}
SAID = {name: text for name, text in FACTS.items() if text}


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp", ".exr", ".dpx"])
def test_facts_come_back_and_newer_ones_take_their_place(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    picture = Picture(np.full((8, 12, 3), 90, np.uint8))
    write_picture(path, provenance_tags(picture, FACTS))
    assert read_provenance_tags(path) == SAID
    write_picture(path, provenance_tags(read_picture(path), {"model": "cd" * 32, "asked": "two\nlines"}))
    # Tags of the source do not remain: they would describe this file.
    assert read_provenance_tags(path) == {"model": "cd" * 32, "asked": "two lines"}
    write_picture(path, provenance_tags(picture, {}))
    assert read_provenance_tags(path) == {}


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_movie_says_it_in_its_tags(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    options = {} if suffix == ".mkv" else {"movflags": "use_metadata_tags"}
    with av.open(str(path), "w", options=options) as container:
        container.metadata.update({**movie_tags(FACTS), "title": "A shot"})
        stream = container.add_stream("libx264", rate=Fraction(24))
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        for packet in stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 32, 3), np.uint8), format="rgb24")):
            container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    assert read_provenance_tags(path) == SAID


def test_what_is_neither_picture_nor_movie_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(UnreadablePictureError):
        read_provenance_tags(tmp_path / "a.png")
