"""The review page of stylized shots: one self-contained HTML file that opens offline."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from stylegan_core.report.curves import Chart, Mark, Series, chart, training_charts
from stylegan_core.report.embed import Encoding, PictureSource, choose_encoding, display_pixels, movie_uri, picture_uri
from stylegan_core.report.figures import (
    SUBJECTS,
    FigureTable,
    describe,
    figure_table,
    heading,
    headlines,
    shown,
    split_name,
)
from stylegan_core.report.panels import DIFFERENCE_GAIN, difference_picture
from stylegan_core.storage.atomic import write_bytes_atomically

PAGE_LIMIT_BYTES = 7_500_000
MOST_FRAMES = 48
FRAME_FIGURES = ("truth/swd", "truth/detail_ratio", "truth/psnr_db", "temporal/warp_error")
"""Metrics that are shown for each frame."""

_FrameEntry = dict[str, str | int | bool | None]
"""A frame as JSON for the page's script: label, number, key, figures, and data URIs of its pictures."""

_THUMBNAIL_PX = 220
_PANEL_PX = 560


@dataclass(frozen=True)
class FrameReview:
    """One frame.

    Attributes:
        label: on the page, e.g. the file's name.
        result: the stylized frame.
        original: the input frame.
        number: of the frame, where it has one.
        truth: its painted version, where there is one.
        key: whether training saw the painted version.
        figures: of this frame alone, with its baselines, named as in reports/metrics.json.
    """

    label: str
    result: PictureSource
    original: PictureSource
    number: int | None = None
    truth: PictureSource | None = None
    key: bool = False
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ShotReview:
    """One shot, or one folder of pictures.

    Attributes:
        name: of the shot.
        frames: all of them, in order; the page shows at most ``MOST_FRAMES``.
        facts: (label, value) of its model, recipe, digest, run, steps, and the requested conditioning.
        style: a style picture that was trained on, for the four-panel picture.
        panel_frame: index of the frame in the four-panel picture; None is the middle one that is not a key frame.
        movie: the preview movie.
        curves: CSV of the training.
        kept_step: the step whose weights are used, where it is not the last.
        figures: of this shot alone; empty if there are only figures of the project.
        frames_per_s: speed at which the slider plays.
    """

    name: str
    frames: tuple[FrameReview, ...]
    facts: tuple[tuple[str, str], ...] = ()
    style: PictureSource | None = None
    panel_frame: int | None = None
    movie: Path | None = None
    curves: Path | None = None
    kept_step: float | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    frames_per_s: float = 24.0


@dataclass(frozen=True)
class Refused:
    """An input that was refused or caused a warning, with the reason in plain words."""

    path: str
    reason: str
    stage: str = ""


@dataclass(frozen=True)
class ReviewData:
    """The content of the page, as plain values: equal data give equal bytes.

    Attributes:
        project: name of the project.
        made: date and time, as text.
        shots: at least one.
        figures: flat, as in reports/metrics.json.
        lineage: (label, value): commit, MLflow run, flow run, model digest and the like.
        refused: inputs without a result.
        warnings: inputs that were used with a warning.
        notes: sentences for the reader, about a dirty tree for example.
    """

    project: str
    made: str
    shots: tuple[ShotReview, ...]
    figures: Mapping[str, float] = field(default_factory=dict)
    lineage: tuple[tuple[str, str], ...] = ()
    refused: tuple[Refused, ...] = ()
    warnings: tuple[Refused, ...] = ()
    notes: tuple[str, ...] = ()


def write_review(path: Path, data: ReviewData, *, limit_bytes: int = PAGE_LIMIT_BYTES) -> None:
    """Writes the page atomically.

    Args:
        path: of the HTML file.
        data: what it shows.
        limit_bytes: approximate upper limit for pictures and movies.

    Raises:
        ValueError: there is no shot, or a shot has no frame.
        UnreadablePictureError: a picture file cannot be read.
    """
    write_bytes_atomically(path, render_review(data, limit_bytes=limit_bytes).encode())


def render_review(data: ReviewData, *, limit_bytes: int = PAGE_LIMIT_BYTES) -> str:
    """The page as text; see ``write_review``."""
    if not data.shots:
        raise ValueError("a review page needs at least one shot")
    import jinja2

    folder = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["short"] = _short
    share = limit_bytes // len(data.shots)
    return environment.get_template("review.html.j2").render(
        data=data,
        css=(folder / "review.css").read_text(encoding="utf-8"),
        js=(folder / "review.js").read_text(encoding="utf-8"),
        shots=[_shot(shot, share) for shot in data.shots],
        headlines=headlines(data.figures),
        table=figure_table(data.figures),
        frame_total=sum(len(shot.frames) for shot in data.shots),
    )


def _short(value: str) -> str:
    """The beginning of a digest; other texts are returned unchanged."""
    return value[:10] if re.fullmatch("[0-9a-f]{12,}", value) else value


@dataclass(frozen=True)
class _ShotPage:
    """A shot as the template renders it, with pictures as data URIs.

    Attributes:
        shot: see there.
        frames: for the page's script.
        thumbnails: of ``frames``.
        width: of the pictures, px.
        aspect: width over height.
        frames_per_s: at which the slider plays.
        has_truth: some frame has a painted version.
        movie: the preview movie; None without one that is small enough.
        panel_number: number of the frame in the four-panel picture.
        panels: (caption, data URI) of the four-panel picture.
        curves: of the training.
        over_frames: charts of figures over frames.
        table: of the shot's figures.
    """

    shot: ShotReview
    frames: list[_FrameEntry]
    thumbnails: list[str]
    width: int
    aspect: float
    frames_per_s: float
    has_truth: bool
    movie: str | None
    panel_number: int
    panels: list[tuple[str, str]]
    curves: list[Chart]
    over_frames: list[Chart]
    table: FigureTable


def _shot(shot: ShotReview, limit_bytes: int) -> _ShotPage:
    if not shot.frames:
        raise ValueError(f"shot {shot.name} has no frame to show")
    movie = None if shot.movie is None else movie_uri(shot.movie, limit_bytes=limit_bytes * 3 // 10)
    sources = [[s for s in (f.result, f.original, f.truth) if s is not None] for f in shot.frames]
    keys = {i for i, frame in enumerate(shot.frames) if frame.key}
    encoding = choose_encoding(sources, limit_bytes=limit_bytes * 6 // 10, most_frames=MOST_FRAMES, keep=keys)
    with ThreadPoolExecutor(os.cpu_count()) as threads:  # decoding and encoding release the GIL
        frames = list(threads.map(lambda i: _frame(shot, i, encoding), encoding.frames))
    first = display_pixels(shot.frames[0].result)
    return _ShotPage(
        shot=shot,
        frames=[entry for entry, _ in frames],
        thumbnails=[thumbnail for _, thumbnail in frames],
        width=min(first.shape[1], encoding.width_px),
        aspect=first.shape[1] / first.shape[0],
        frames_per_s=shot.frames_per_s * len(encoding.frames) / len(shot.frames),
        has_truth=any(entry["truth"] for entry, _ in frames),
        movie=movie,
        panel_number=_number(shot, _panel_frame(shot)),
        panels=_panels(shot),
        curves=training_charts(shot.curves, kept_step=shot.kept_step) if shot.curves else [],
        over_frames=_over_frames(shot),
        table=figure_table(shot.figures),
    )


def _frame(shot: ShotReview, index: int, encoding: Encoding) -> tuple[_FrameEntry, str]:
    """A frame for the page's script, and its thumbnail as a data URI."""
    frame = shot.frames[index]
    uris: dict[str, str | None] = {"truth": None}
    for name, source in (("original", frame.original), ("truth", frame.truth), ("result", frame.result)):
        if source is not None:
            pixels = display_pixels(source)
            uris[name] = picture_uri(pixels, width_px=encoding.width_px, quality=encoding.quality)
    entry: _FrameEntry = {
        "label": frame.label,
        "number": _number(shot, index),
        "key": frame.key,
        "figures": _frame_figures(frame.figures),
        **uris,
    }
    return entry, picture_uri(pixels, width_px=_THUMBNAIL_PX, quality=70)


def _frame_figures(figures: Mapping[str, float]) -> str:
    """The result's own figures in one line."""
    parts = []
    for name in (n for n in FRAME_FIGURES if n in figures):
        metric = describe(name)
        parts.append(f"{metric.title} {shown([figures[name]])[0]}" + ("" if metric.unit == "1" else f" {metric.unit}"))
    return " · ".join(parts)


def _number(shot: ShotReview, index: int) -> int:
    number = shot.frames[index].number
    return index + 1 if number is None else number


def _panel_frame(shot: ShotReview) -> int:
    if shot.panel_frame is not None:
        return shot.panel_frame
    unseen = [i for i, frame in enumerate(shot.frames) if not frame.key] or list(range(len(shot.frames)))
    return unseen[len(unseen) // 2]


def _panels(shot: ShotReview) -> list[tuple[str, str]]:
    """(caption, data URI) of style, original, result and difference of one frame."""
    frame = shot.frames[_panel_frame(shot)]
    original, result = display_pixels(frame.original), display_pixels(frame.result)
    pictures: list[tuple[str, PictureSource]] = [] if shot.style is None else [("Style", shot.style)]
    pictures += [("Original", original), ("Result", result)]
    if original.shape == result.shape:  # super-resolution changes the size
        caption = f"Difference ×{DIFFERENCE_GAIN:g}"
        pictures.append((caption, difference_picture(original, result, gain=DIFFERENCE_GAIN)))
    return [(caption, picture_uri(p, width_px=_PANEL_PX, quality=82)) for caption, p in pictures]


def _over_frames(shot: ShotReview) -> list[Chart]:
    """A chart for each metric with values per frame: the result and its baselines, with key frames marked."""
    marks = [Mark(float(_number(shot, i)), "key") for i, frame in enumerate(shot.frames) if frame.key]
    lines: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for i, frame in enumerate(shot.frames):
        for name, value in frame.figures.items():
            metric, subject = split_name(name)
            lines.setdefault(metric, {}).setdefault(subject, []).append((float(_number(shot, i)), value))
    charts = []
    for name in (n for n in FRAME_FIGURES if len(lines.get(n, {}).get("", ())) > 1):
        known, found = describe(name), lines[name]
        series = [
            Series(heading(s), tuple(p[0] for p in found[s]), tuple(p[1] for p in found[s]), colour)
            for colour, s in enumerate(SUBJECTS)  # the same colour in every chart
            if s in found
        ]
        title = known.title + ("" if known.unit == "1" else f", {known.unit}")
        charts.append(chart(title, series, x_label="frame", marks=marks, note=known.meaning))
    return charts
