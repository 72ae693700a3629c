"""Describes metrics for reports: meaning, direction and unit, and which of result and baselines is best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Better = Literal["lower", "higher", "one", ""]
"""Which value is best: "one" is the nearest to 1, "" means no direction."""

SUBJECTS: dict[str, str] = {
    "": "Result",
    "unstylized": "Untouched input",
    "best_filter": "Best filter",
    "truth": "Painter",
}
"""Suffix of a metric's name -> heading; the figures of the truth are a reference and are not compared."""

_REFERENCES = frozenset({"truth"})


@dataclass(frozen=True)
class Metric:
    """Description of a metric.

    Attributes:
        name: as in reports/metrics.json, without a baseline's suffix.
        title: short name.
        unit: "1" for a ratio or another number without a unit.
        better: direction of improvement.
        meaning: one or two plain sentences.
    """

    name: str
    title: str
    unit: str
    better: Better
    meaning: str


_FEATURE_DISTANCES = (
    (
        "style_distance",
        "Style distance",
        "How far Gram matrices of features are from the style's, relative to them.",
    ),
    ("kernel_distance", "Kernel distance", "How far features of the results lie from the style's, as a set."),
)

METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric(
            "truth/swd",
            "Patch SWD",
            "1",
            "lower",
            "How far the texture of small patches is from the painter's. The figure for brushwork.",
        ),
        Metric(
            "truth/detail_ratio",
            "Detail ratio",
            "1",
            "one",
            "Fine detail over the painter's. Under 1 is blurred, over 1 is noisy.",
        ),
        Metric(
            "truth/psnr_db",
            "PSNR",
            "dB",
            "higher",
            "Agreement with the painter, pixel by pixel. It rewards blur: read it together with SWD and detail.",
        ),
        Metric(
            "truth/ssim", "SSIM", "1", "higher", "Agreement of local structure, 1 is identical. It rewards blur too."
        ),
        Metric("truth/mse", "MSE", "1", "lower", "Mean squared difference to the painter, on a scale of 0 to 1."),
        Metric(
            "truth/unseen_fraction",
            "Unseen part",
            "1",
            "",
            "Part of these frames that no painted key frame shows: there the style had to be carried over.",
        ),
        Metric(
            "truth/diversity",
            "Diversity",
            "1",
            "one",
            "How far results of different pictures lie apart, over how far they should. Near 0 the modes collapsed.",
        ),
        Metric(
            "temporal/warp_error",
            "Warp error",
            "1",
            "lower",
            "Flicker: what still changes between neighbours once the known motion is undone. It rewards blur.",
        ),
        Metric(
            "temporal/e_warp_dis",
            "Warp error (DIS)",
            "1",
            "lower",
            "Flicker, with the motion estimated by DIS optical flow. Not comparable with papers that use FlowNet2.",
        ),
        Metric(
            "temporal/shift_error",
            "Shift error",
            "codes",
            "lower",
            "How much the result changes, besides moving, when its input moves by a pixel. In codes of 255; 0 is best.",
        ),
        Metric(
            "temporal/detail_ratio",
            "Detail over the input's",
            "1",
            "",
            "How much fine detail remains. A low warp error counts only while this is near the painter's.",
        ),
        Metric("style/swd", "Patch SWD to the style", "1", "lower", "How far textures are from the style's pictures."),
        *(
            Metric(f"style/{extractor}_{name}", f"{label} ({shown})", "1", "lower", meaning)
            for extractor, shown in (("vgg16_hed", "VGG16 of HED"), ("efficientnet_lite0", "EfficientNet-Lite0"))
            for name, label, meaning in _FEATURE_DISTANCES
        ),
        Metric(
            "content/psnr_db", "PSNR to the input", "dB", "", "How much was changed. Neither way is better by itself."
        ),
        Metric(
            "content/ssim", "SSIM to the input", "1", "", "How much of the input's structure is kept, 1 is untouched."
        ),
        Metric("speed/images_per_s", "Speed", "frames/s", "higher", "Frames translated a second on this machine."),
        Metric(
            "speed/peak_memory_mb", "Peak memory", "MB", "lower", "The most memory that the evaluating process held."
        ),
    )
}

GROUPS: dict[str, str] = {
    "truth": "Compared with the painter, on frames that training never saw",
    "temporal": "From frame to frame",
    "style": "Compared with the style's pictures",
    "content": "Compared with the input",
    "speed": "Cost",
    "": "Further figures",
}


@dataclass(frozen=True)
class Row:
    """One metric with a value for each subject.

    Attributes:
        metric: its description.
        values: subject (key of the table's ``subjects``) -> value; subjects without one are missing.
        shown: the values as text with equal decimals.
        winners: subjects with the best value among those that are compared; empty without a comparison.
    """

    metric: Metric
    values: Mapping[str, float]
    shown: Mapping[str, str]
    winners: frozenset[str]


@dataclass(frozen=True)
class Group:
    """Rows under a common heading."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class FigureTable:
    """All figures with their baselines.

    Attributes:
        subjects: suffix -> heading of the columns, in order; only those that have a value.
        groups: in the order of ``GROUPS``.
    """

    subjects: Mapping[str, str]
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Headline:
    """A figure for the top of the page.

    Attributes:
        value: as text, with its unit.
        label: its meaning, in plain words.
        note: the values that it is compared with.
        good: whether it is better than those; None without a comparison.
    """

    value: str
    label: str
    note: str
    good: bool | None = field(default=None)


def split_name(name: str) -> tuple[str, str]:
    """``truth/swd_best_filter`` into ``("truth/swd", "best_filter")``; a metric of its own has subject ""."""
    if name in METRICS:
        return name, ""
    known = [m for m in METRICS if name.startswith(m + "_")]
    if known:
        metric = max(known, key=len)
        return metric, name[len(metric) + 1 :]
    for suffix in SUBJECTS:
        if suffix and name.endswith("_" + suffix):
            return name[: -len(suffix) - 1], suffix
    return name, ""


def describe(name: str) -> Metric:
    """The description of a metric; an unknown one is titled by its name."""
    return METRICS.get(name) or Metric(name, name.rsplit("/", maxsplit=1)[-1].replace("_", " "), "1", "", "")


def heading(subject: str) -> str:
    """Heading of a subject's column: an unknown suffix is written out."""
    return SUBJECTS.get(subject) or subject.replace("_", " ").capitalize()


def figure_table(figures: Mapping[str, float]) -> FigureTable:
    """Arranges flat figures (as in reports/metrics.json) by metric and subject; only finite values are included."""
    values: dict[str, dict[str, float]] = {}
    for name, value in figures.items():
        if math.isfinite(value):
            metric, subject = split_name(name)
            values.setdefault(metric, {})[subject] = float(value)
    present = {subject for row in values.values() for subject in row}
    order = [s for s in SUBJECTS if s in present] + sorted(present - set(SUBJECTS))
    order.sort(key=lambda s: s in _REFERENCES)  # the reference is last
    known = list(METRICS)
    names = sorted(values, key=lambda n: (known.index(n) if n in METRICS else len(known), n))
    groups = []
    for prefix, title in GROUPS.items():
        rows = tuple(_row(n, values[n]) for n in names if _group(n) == prefix)
        if rows:
            groups.append(Group(title, rows))
    return FigureTable({s: heading(s) for s in order}, tuple(groups))


def shown(values: Sequence[float]) -> list[str]:
    """Numbers of one row with equal decimals: two from 1 up, else three digits of the smallest, at most six."""
    largest = max(abs(v) for v in values)
    if largest >= 1.0:
        decimals = 2 if largest < 1000.0 else 0
    else:
        smallest = min((abs(v) for v in values if v != 0.0), default=1.0)
        decimals = min(2 - math.floor(math.log10(smallest)), 6)
    return [f"{v:,.{decimals}f}" for v in values]


def headlines(figures: Mapping[str, float]) -> list[Headline]:
    """The few figures that say whether a training succeeded, each with the values that it must beat."""
    found = [
        _ratio(figures, "truth/swd", "unstylized", "best_filter", "of the untouched frame's distance to the painter"),
        _detail(figures),
        _gain(figures),
        _ratio(figures, "temporal/warp_error", "truth", "unstylized", "of the flicker of the painter's own frames"),
    ]
    if found[0] is None:  # no truth to compare with: use the style pictures
        label = "of the untouched input's distance to the style"
        found.insert(0, _ratio(figures, "style/swd", "unstylized", "best_filter", label))
    speed = figures.get("speed/images_per_s")
    if speed is not None and math.isfinite(speed):
        found.append(Headline(f"{speed:.3g} /s", "frames translated a second", "on the machine of this run"))
    return [headline for headline in found if headline is not None]


def _group(name: str) -> str:
    prefix = name.split("/", maxsplit=1)[0] if "/" in name else ""
    return prefix if prefix in GROUPS else ""


def _row(name: str, values: dict[str, float]) -> Row:
    metric = describe(name)
    texts = dict(zip(values, shown(list(values.values())), strict=True))
    rivals = {s: _badness(metric.better, v) for s, v in values.items() if s not in _REFERENCES}
    best = min(rivals.values()) if metric.better and len(rivals) > 1 else math.nan
    return Row(metric, values, texts, frozenset(s for s, badness in rivals.items() if badness == best))


def _badness(better: Better, value: float) -> float:
    if better == "one":  # half as much detail is as wrong as twice as much
        return abs(math.log(value)) if value > 0.0 else math.inf
    return -value if better == "higher" else value


def _pair(figures: Mapping[str, float], name: str, subject: str) -> tuple[float, float] | None:
    value, other = figures.get(name, math.nan), figures.get(f"{name}_{subject}", math.nan)
    return (value, other) if math.isfinite(value) and math.isfinite(other) else None


def _ratio(figures: Mapping[str, float], name: str, over: str, reference: str, label: str) -> Headline | None:
    """The result over ``over``, which it must beat; it must beat ``reference`` too if that is the best filter."""
    pair = _pair(figures, name, over)
    if pair is None or pair[1] <= 0.0:
        return None
    rivals = {s: figures[f"{name}_{s}"] for s in (over, reference) if f"{name}_{s}" in figures}
    texts = shown([pair[0], *rivals.values()])
    note = f"{describe(name).title} {texts[0]}; " + ", ".join(
        f"{heading(s).lower()} {text}" for s, text in zip(rivals, texts[1:], strict=True)
    )
    good = all(pair[0] < value for s, value in rivals.items() if s in (over, "best_filter"))
    return Headline(f"{pair[0] / pair[1]:.2f}×", label, note, good)


def _detail(figures: Mapping[str, float]) -> Headline | None:
    value = figures.get("truth/detail_ratio", math.nan)
    if not math.isfinite(value):
        return None
    verdict = "blurred" if value < 0.85 else "noisy" if value > 1.2 else "as detailed as the painter"
    return Headline(f"{value:.2f}", "fine detail, where 1 is the painter's", verdict, verdict.startswith("as"))


def _gain(figures: Mapping[str, float]) -> Headline | None:
    pair = _pair(figures, "truth/psnr_db", "unstylized")
    if pair is None:
        return None
    gain = pair[0] - pair[1]
    note = f"PSNR {pair[0]:.2f} dB; untouched input {pair[1]:.2f} dB"
    return Headline(f"{gain:+.1f} dB", "agreement with the painter, over the untouched frame's", note, gain > 0.0)
