"""Compares the figures of results with those of the untouched input and of tuned filters; means over a shot.

A row contains the figures of one picture under their names in reports/metrics.json; those of a filter are named
``<name>_filter:<family>`` until the family that is best over the shot is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from stylegan_core.metrics.baselines import Baseline, tuned
from stylegan_core.metrics.detail import detail_ratio
from stylegan_core.metrics.mse import mse
from stylegan_core.metrics.pictures import Floats
from stylegan_core.metrics.psnr import psnr_db
from stylegan_core.metrics.ssim import ssim
from stylegan_core.metrics.swd import patch_swd

Row = dict[str, float]
Filters = dict[str, list[Baseline]]
"""By metric one tuned filter per family, the best on the key frames first."""

_FILTER = "_filter:"
_PATCHES = 4096
"""Patches of a frame for each size and scale: within 0.5 % of the result of all, in a sixth of the time."""


class Compared(NamedTuple):
    """A metric of a result and its truth, and how good a value is (larger is better)."""

    measure: Callable[[Floats, Floats], float]
    goodness: Callable[[float], float]


def frame_swd(picture: Floats, truth: Floats) -> float:
    """Patch SWD of a frame to its truth, on the same subsample of patches of both."""
    return patch_swd([picture], [truth], max_patches=_PATCHES)


def _nearness_to_one(ratio: float) -> float:
    # Half as much detail is as wrong as twice as much.
    return -abs(math.log(ratio)) if ratio > 0.0 and math.isfinite(ratio) else -math.inf


COMPARED: dict[str, Compared] = {
    "psnr_db": Compared(psnr_db, lambda value: value),
    "ssim": Compared(ssim, lambda value: value),
    "mse": Compared(mse, lambda value: -value),
    "swd": Compared(frame_swd, lambda value: -value),
    "detail_ratio": Compared(detail_ratio, _nearness_to_one),
}


def tuned_to_truth(contents: Sequence[Floats], truths: Sequence[Floats], grid: Sequence[Baseline]) -> Filters:
    """The filters whose results are nearest to the style frames, for each metric.

    Args:
        contents: the content pictures of the key frames, (H, W, 3) in unit range.
        truths: their style pictures.
        grid: see ``baselines.baselines``.
    """

    def score(metric: Compared) -> Callable[[list[Floats]], float]:
        def goodness(filtered: list[Floats]) -> float:
            values = [metric.measure(a, b) for a, b in zip(filtered, truths, strict=True)]
            return metric.goodness(float(np.mean(values)))

        return goodness

    return tuned(contents, grid, {name: score(metric) for name, metric in COMPARED.items()})


def tuned_to_style(contents: Sequence[Floats], styles: Sequence[Floats], grid: Sequence[Baseline]) -> Filters:
    """The filters whose texture is nearest to the style pictures', where there are no pairs; for "swd" alone."""
    return tuned(contents, grid, {"swd": lambda filtered: -style_swd(filtered, styles)})


def style_swd(pictures: Sequence[Floats], styles: Sequence[Floats]) -> float:
    """Patch SWD between two pools of pictures of any sizes."""
    return patch_swd(list(pictures), list(styles), max_patches=4 * _PATCHES)


def truth_figures(result: Floats, content: Floats, truth: Floats, filters: Filters) -> Row:
    """Figures ``truth/...`` of a frame whose truth is known.

    Args:
        result: (H, W, 3) in unit range.
        content: the input frame, of the same shape.
        truth: its painted version, of the same shape.
        filters: to compare with; may be empty.
    """
    row: Row = {}
    filtered = _FilteredVersions(content)
    for name, metric in COMPARED.items():
        row[f"truth/{name}"] = metric.measure(result, truth)
        row[f"truth/{name}_unstylized"] = metric.measure(content, truth)
        for baseline in filters.get(name, []):
            row[f"truth/{name}{_FILTER}{baseline.family}"] = metric.measure(filtered(baseline), truth)
    return row


def content_figures(result: Floats, content: Floats, truth: Floats | None) -> Row:
    """Figures ``content/...``: similarity to the input, of the result and of its truth."""
    row = {"content/psnr_db": psnr_db(result, content), "content/ssim": ssim(result, content)}
    if truth is not None:
        row |= {"content/psnr_db_truth": psnr_db(truth, content), "content/ssim_truth": ssim(truth, content)}
    return row


def style_figures(
    results: Sequence[Floats],
    contents: Sequence[Floats],
    truths: Sequence[Floats],
    styles: Sequence[Floats],
    filters: Filters,
) -> Row:
    """Figures ``style/...`` of pools of pictures.

    Args:
        results: (H, W, 3) in unit range.
        contents: their inputs.
        truths: their painted versions; may be empty.
        styles: pictures of the style, of any size.
        filters: to compare with; may be empty.
    """
    row = {"style/swd": style_swd(results, styles), "style/swd_unstylized": style_swd(contents, styles)}
    if truths:
        row["style/swd_truth"] = style_swd(truths, styles)
    for baseline in filters.get("swd", []):
        row[f"style/swd{_FILTER}{baseline.family}"] = style_swd([baseline.apply(c) for c in contents], styles)
    return row


def means(rows: Iterable[Mapping[str, float]]) -> Row:
    """Means over rows of the finite values; names without any finite value are omitted."""
    columns: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            if math.isfinite(value):
                columns.setdefault(name, []).append(value)
    return {name: float(np.mean(values)) for name, values in columns.items()}


def best_families(figures: Mapping[str, float]) -> dict[str, str]:
    """For each name with filters the family with the best of ``figures`` (means over a shot)."""
    best: dict[str, str] = {}
    for name in sorted(figures):
        if _FILTER not in name:
            continue
        metric, family = name.split(_FILTER)
        goodness = _goodness(metric)
        if metric not in best or goodness(figures[name]) > goodness(figures[f"{metric}{_FILTER}{best[metric]}"]):
            best[metric] = family
    return best


def with_best_filter(row: Mapping[str, float], families: Mapping[str, str]) -> Row:
    """``row`` with the figures of the given families as ``_best_filter``, without those of others."""
    named = {name: value for name, value in row.items() if _FILTER not in name}
    for metric, family in families.items():
        if f"{metric}{_FILTER}{family}" in row:
            named[f"{metric}_best_filter"] = row[f"{metric}{_FILTER}{family}"]
    return dict(sorted(named.items()))


def overall(summaries: Mapping[str, Mapping[str, float]], kinds: Mapping[str, str]) -> Row:
    """One flat table of all subjects: means under the plain names, and each subject's figures under ``<kind>/<name>/``.

    Where a model is evaluated on shots and on collections, the means of ``content/`` and ``style/`` are over the
    collections, which it learned from, and all other means over the shots.

    Args:
        summaries: figures by subject.
        kinds: "shot", "pairs" or "collection", by subject.
    """
    mixed = {"shot", "collection"} <= set(kinds.values())

    def counts(subject: str, name: str) -> bool:
        return not mixed or (kinds[subject] == "collection") == name.startswith(("content/", "style/"))

    merged = means({n: v for n, v in row.items() if counts(subject, n)} for subject, row in summaries.items())
    if len(summaries) > 1:
        for subject, row in summaries.items():
            merged |= {f"{kinds[subject]}/{subject}/{name}": value for name, value in row.items()}
    return dict(sorted(merged.items()))


def _goodness(name: str) -> Callable[[float], float]:
    return COMPARED[name.rsplit("/", 1)[-1]].goodness


class _FilteredVersions:
    """Filtered versions of one picture, each computed once: metrics often choose the same setting."""

    def __init__(self, picture: Floats) -> None:
        self._picture = picture
        self._filtered: dict[tuple[str, str], Floats] = {}

    def __call__(self, baseline: Baseline) -> Floats:
        key = (baseline.family, baseline.settings)
        if key not in self._filtered:
            self._filtered[key] = baseline.apply(self._picture)
        return self._filtered[key]
