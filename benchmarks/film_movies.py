"""Movies of other programs through stylize: what is kept, and how fast they are read and assembled.

    python benchmarks/film_movies.py $DATA [--frames 24] [--size 1920x1080] [--results docs/results.json]

First every movie under DATA/clips goes through the whole path with the default network, untrained, at strength 0: to
FFV1, where every sample of every plane is compared, and to a movie of its own kind, whose times, colours and sound are.
Then a movie of crops of photographs is made in each codec; frames are read in order and every seventh, kept as files of
their own, and put together again, in frames a second. Codecs take the threads that they want; nothing else should run.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from film_formats import default_model
from PIL import Image

from flows.runners.local_runner import LocalRunner
from stylegan_core.data.sample.photographs import list_photographs, load_photograph
from stylegan_core.frames.movies.encoding import choose_encoding
from stylegan_core.frames.movies.frame_file import SUFFIX, read_movie_frame, write_movie_frame
from stylegan_core.frames.movies.probe import MOVIE_SUFFIXES, probe_movie
from stylegan_core.frames.movies.reader import MovieReader
from stylegan_core.frames.movies.writer import assemble_movie
from stylegan_core.inference.planning.request import Request
from stylegan_core.report.results import Result, record_results
from tasks.stylize.stylize import stylize_directory

CODECS = (
    ("h264", ".mp4", "libx264", "yuv420p", {"crf": "12", "preset": "fast"}),
    ("hevc 10 bit", ".mp4", "libx265", "yuv420p10le", {"crf": "12", "preset": "fast", "x265-params": "log-level=none"}),
    ("prores 422 hq", ".mov", "prores_ks", "yuv422p10le", {"profile": "hq"}),
    ("dnxhr hqx", ".mov", "dnxhd", "yuv422p10le", {"profile": "dnxhr_hqx"}),
    ("ffv1 10 bit", ".mkv", "ffv1", "yuv422p10le", {"level": "3", "slicecrc": "1"}),
)


def sound(path: Path) -> list[bytes]:
    """Every packet of every sound track, in order."""
    with av.open(str(path)) as container:
        tracks = [stream for stream in container.streams if stream.type == "audio"]
        return [bytes(packet) for packet in container.demux(tracks) if packet.size] if tracks else []


def differences(before: Path, after: Path) -> list[str]:
    """Names of what is not the same in two movies, apart from their pictures."""
    said = []
    for facts in (probe_movie(before), probe_movie(after)):
        values = {name: getattr(facts, name) for name in ("width_px", "height_px", "full_range", "aspect", "rotation")}
        values |= {"timecode": facts.timecode, "hdr": facts.hdr, "colour": facts.colour[1:]}
        # Matroska counts milliseconds.
        values |= {
            "rate": round(float(facts.rate), 1),
            "times": [round(float(p * facts.time_base), 2) for p in facts.pts],
        }
        said.append(values)
    lost = [name for name, value in said[0].items() if value != said[1][name]]
    return lost + (["sound"] if sound(before) != sound(after) else [])


def differing_frames(before: Path, after: Path) -> int:
    """Frames of which a sample is not the same."""
    one, other, count = MovieReader(before), MovieReader(after), 0
    for index in range(len(one.info.pts)):
        planes = zip(one.read(index).planes, other.read(index).planes, strict=True)
        count += not all(np.array_equal(a, b) for a, b in planes)
    one.close()
    other.close()
    return count


def through_stylize(source: Path, output: Path, model: Path, codec: str | None = None) -> None:
    """The whole path at strength 0."""
    asked = Request.of(source, output, model=model, strength=0.0, overwrite=True, codec=codec)
    stylize_directory(asked, LocalRunner(), preview=None).raise_if_failed()


def make_movie(
    path: Path, codec: str, pix_fmt: str, options: dict[str, str], width: int, height: int, count: int
) -> None:
    """A pan over photographs."""
    photograph = Image.fromarray(load_photograph(list_photographs()[0]))
    factor = max(1.25 * width / photograph.width, 1.25 * height / photograph.height)
    large = photograph.resize((round(photograph.width * factor), round(photograph.height * factor)))
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(24))
        stream.width, stream.height, stream.pix_fmt, stream.options = width, height, pix_fmt, options
        for number in range(count):
            left, top = (number * 3) % (large.width - width), (number * 2) % (large.height - height)
            crop = np.asarray(large.crop((left, top, left + width, top + height)))
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(crop), format="rgb24").reformat(
                format=pix_fmt, dst_colorspace=1, dst_color_range=1
            )
            frame.colorspace, frame.color_range, frame.pts = 1, 1, number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def speeds(path: Path, folder: Path) -> dict[str, float]:
    """Frames a second of each part of the way."""
    reader, began_s = MovieReader(path), time.perf_counter()
    facts = reader.info
    count = len(facts.pts)
    found = {}

    def lap(name: str, frames: int) -> None:
        nonlocal began_s
        now_s = time.perf_counter()
        found[name] = round(frames / (now_s - began_s), 1)
        began_s = time.perf_counter()

    planes = [reader.read(index) for index in range(count)]
    lap("read", count)
    for index in range(0, count, 7):
        reader.read(index)
    lap("read_every_7th", len(range(0, count, 7)))
    reader.close()
    files = [folder / f"{index:06d}{SUFFIX}" for index in range(count)]
    began_s = time.perf_counter()
    for file, frame in zip(files, planes, strict=True):
        write_movie_frame(file, frame.pix_fmt, frame.planes)
    lap("keep", count)
    frames = ((pts, *read_movie_frame(file)) for pts, file in zip(facts.pts, files, strict=True))
    output = folder / f"again{path.suffix}"
    assemble_movie(output, frames, facts, choose_encoding(output, facts, planes[0].pix_fmt))
    lap("put_together", count)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder of trial data")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--machine", default="2-core CPU, trial machine")
    parser.add_argument("--results", type=Path, help="record the figures there")
    options = parser.parse_args()
    clips = [path for path in sorted((options.data / "clips").iterdir()) if path.suffix in MOVIE_SUFFIXES]
    if not clips:
        parser.error(f"{options.data}/clips holds no movie")
    width, height = (int(side) for side in options.size.split("x"))
    figures: dict[str, float] = {"movies": len(clips), "movies_exact": 0, "movies_kept": 0}
    with tempfile.TemporaryDirectory(prefix="stylereel-movies-") as name:
        work = Path(name)
        model = default_model(work / "model")
        for clip in clips:
            exact, own = work / "exact" / f"{clip.stem}.mkv", work / "own" / clip.name
            through_stylize(clip, exact, model, "ffv1")
            through_stylize(clip, own, model)
            wrong, lost = differing_frames(clip, exact), differences(clip, own)
            figures["movies_exact"] += not wrong
            figures["movies_kept"] += not lost
            print(f"{clip.name}: {wrong} frames differ in FFV1; {'all is kept' if not lost else f'lost: {lost}'}")
        for codec, suffix, encoder, pix_fmt, encoding in CODECS:
            folder = work / codec.replace(" ", "-")
            folder.mkdir()
            path = folder / f"source{suffix}"
            make_movie(path, encoder, pix_fmt, encoding, width, height, options.frames)
            found = speeds(path, folder)
            print(
                json.dumps(
                    {"codec": codec, "size_px": [width, height], **{f"{k}_frames_per_s": v for k, v in found.items()}}
                )
            )
            figures |= {f"{codec.replace(' ', '_')}/{part}_frames_per_s": rate for part, rate in found.items()}
    if options.results is not None:
        command = "python benchmarks/film_movies.py $DATA"
        day = datetime.now(UTC).date().isoformat()
        common = {"recipe": "keyframe", "status": "measured", "command": command, "seed": 0, "date": day}
        record_results(
            options.results,
            [
                Result(
                    **common, name=f"film_movies/{key}", value=value, machine=options.machine,
                    unit="frames/s" if key.endswith("per_s") else "1",
                )
                for key, value in figures.items()
            ],
        )  # fmt: skip


if __name__ == "__main__":
    main()
