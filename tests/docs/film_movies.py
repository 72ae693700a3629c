"""The rows of movies in the table of formats: each is made by FFmpeg's encoder alone, read, written and read again."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from stylegan_core.frames.movies.encoding import choose_encoding
from stylegan_core.frames.movies.frame_file import SUFFIX, read_movie_frame, write_movie_frame
from stylegan_core.frames.movies.planes import changed_planes
from stylegan_core.frames.movies.probe import MovieInfo, probe_movie
from stylegan_core.frames.movies.reader import MovieReader
from stylegan_core.frames.movies.writer import assemble_movie
from stylegan_core.frames.provenance.tags import movie_tags, read_provenance_tags
from tests.docs.film_table import NONE, Row
from tests.stylegan_core.frames.movies import sample_movies as movies

HD, HDR = (1, 1, 1, 1), (1, 9, 9, 16)
QUIET = "log-level=none:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"


@dataclass(frozen=True)
class Movie:
    """A kind of movie."""

    format: str
    suffix: str
    codec: str
    pix_fmt: str
    audio: str = "pcm_s16le"
    colour: tuple[int, int, int, int] = HD
    options: dict[str, str] = field(default_factory=dict)


CASES = (
    Movie("MP4 H.264 8 bit", ".mp4", "libx264", "yuv420p", "aac"),
    Movie("MP4 H.264 10 bit 4:2:2", ".mp4", "libx264", "yuv422p10le", "aac"),
    Movie("MP4 H.265 10 bit HDR", ".mp4", "libx265", "yuv420p10le", "aac", HDR, {"x265-params": QUIET}),
    Movie("MOV ProRes 422 HQ", ".mov", "prores_ks", "yuv422p10le", options={"profile": "hq"}),
    Movie("MOV ProRes 4444", ".mov", "prores_ks", "yuva444p10le", options={"profile": "4444"}),
    Movie("MOV DNxHR HQX 10 bit", ".mov", "dnxhd", "yuv422p10le", options={"profile": "dnxhr_hqx"}),
    Movie("MXF DNxHR HQ 8 bit", ".mxf", "dnxhd", "yuv422p", options={"profile": "dnxhr_hq"}),
    Movie("MKV FFV1 8 bit 4:2:0", ".mkv", "ffv1", "yuv420p", "aac"),
    Movie("MKV FFV1 10 bit 4:2:2 HDR", ".mkv", "ffv1", "yuv422p10le", "aac", HDR),
    Movie("MKV FFV1 10 bit RGB", ".mkv", "ffv1", "gbrp10le", "aac"),
    Movie("MKV FFV1 10 bit alpha", ".mkv", "ffv1", "yuva444p10le", "aac"),
    Movie("AVI FFV1 8 bit 4:2:2", ".avi", "ffv1", "yuv422p"),
)
LOSSY_MOVIES = {case.format for case in CASES if case.codec != "ffv1"}


def movie_rows() -> list[Row]:
    """One row for each kind of movie."""
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for number, case in enumerate(CASES):
            place = Path(folder) / str(number)
            place.mkdir()
            rows.append(try_movie(case, place))
        return rows


def try_movie(case: Movie, folder: Path) -> Row:
    """Measures one row."""
    source, same, new = (folder / f"{name}{case.suffix}" for name in ("source", "same", "new"))
    timecode = "01:02:03:04" if case.suffix in (".mov", ".mxf") else None
    size = {"width": 256, "height": 128} if case.codec == "dnxhd" else {}
    movies.make_movie(
        source, case.codec, case.pix_fmt, colour=case.colour, audio=case.audio, timecode=timecode,
        options=case.options, **size,
    )  # fmt: skip
    _through(source, same, change=False)
    _through(source, new, change=True)
    before, kept = _all_planes(source), _all_planes(same)
    exact = all(
        np.array_equal(a, b) for one, other in zip(before, kept, strict=True) for a, b in zip(one, other, strict=True)
    )
    wanted, made = probe_movie(source), probe_movie(new)
    sound = movies.packets(new, "audio") == movies.packets(source, "audio")
    alpha = "none"
    if "a" in case.pix_fmt.removeprefix("yuv")[:1] or case.pix_fmt.startswith("gbrap"):
        off = max(int(np.abs(a[3].astype(int) - b[3]).max()) for a, b in zip(before, _all_planes(new), strict=True))
        alpha = "straight, kept" if off == 0 else f"straight, within {off} code"
    return Row(
        case.format,
        "yes",
        "yes" if exact else "lossy",
        "yes" if exact else "no",
        _lost(wanted, made, read_provenance_tags(new) == {"model": "0123"}),
        alpha,
        "sound kept" if sound else "sound lost",
        NONE,
    )


def _through(source: Path, output: Path, *, change: bool) -> None:
    """Reads a movie, writes each frame to its own file, and assembles them."""
    reader = MovieReader(source)
    facts, frames = reader.info, []
    for index, pts in enumerate(facts.pts):
        planes = reader.read(index)
        rgb = planes.rgb.copy()
        if change:
            rgb[: rgb.shape[0] // 2] = 255 - rgb[: rgb.shape[0] // 2] if rgb.dtype == np.uint8 else rgb.max()
        file = output.with_name(f"{output.stem}.{index:04d}{SUFFIX}")
        write_movie_frame(file, planes.pix_fmt, changed_planes(planes, rgb))
        frames.append((pts, *read_movie_frame(file)))
    left = assemble_movie(
        output, frames, facts, choose_encoding(output, facts, frames[0][1]), tags=movie_tags({"model": "0123"})
    )
    assert all("holds no custom tags" in what for what in left), left
    reader.close()


def _all_planes(path: Path) -> list[tuple[np.ndarray, ...]]:
    reader = MovieReader(path)
    found = [reader.read(index).planes for index in range(len(reader.info.pts))]
    reader.close()
    return found


def _lost(before: MovieInfo, after: MovieInfo, stamped: bool) -> str:
    wanted, made = _said(before), _said(after)
    lost = [name for name in wanted if wanted[name] != made[name]] + ([] if stamped else ["provenance"])
    return "kept" if not lost else f"kept, but not {', '.join(lost)}"


def _said(facts: MovieInfo) -> dict[str, object]:
    names = ("rate", "codec", "profile", "pix_fmt", "bits", "colour", "aspect", "timecode", "hdr")
    return {
        "size": (facts.width_px, facts.height_px),
        "times": [round(float(pts * facts.time_base), 3) for pts in facts.pts],
        "title": facts.metadata.get("title"),
        **{name: getattr(facts, name) for name in names},
    }
