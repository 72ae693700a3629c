"""The stage evaluate: a model's figures beside the untouched input and tuned filters, and the pictures to judge by."""

from __future__ import annotations

import csv
import io
import json
import logging
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stylegan_core.config import Params
from stylegan_core.data.subjects import Still, spread
from stylegan_core.metrics import comparison
from stylegan_core.metrics.comparison import Row
from stylegan_core.metrics.detail import detail_ratio
from stylegan_core.metrics.e_warp import input_flow, pair_e_warp
from stylegan_core.metrics.pictures import Floats
from stylegan_core.metrics.swd import smallest_side_px
from stylegan_core.metrics.warp_error import pair_warp_error
from stylegan_core.motion.coverage import unseen_fraction
from stylegan_core.storage.atomic import write_bytes_atomically
from tasks.stages.evaluator import Evaluator, Part, Seen, display_of, open_judges, see

_log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with pictures done and pictures in all, from any thread."""

_KEPT_PIXELS = 40_000_000
_KEPT = 16
_GRID_ROWS = 5
_DIGITS = 6


@dataclass
class Measured:
    """Rows of a part, one a picture, and a few of the pictures."""

    judge: Evaluator
    rows: list[Row] = field(default_factory=list)
    kept: list[Seen] = field(default_factory=list)


def evaluate(
    params: Params,
    prepared: Path,
    models: Path,
    reports: Path,
    *,
    progress: Progress | None = None,
    root: Path | None = None,
) -> Row:
    """Runs the whole stage in this process; returns what ``reports/metrics.json`` holds.

    Raises:
        UsageError: prepared data or a model is missing, or there is no picture to judge on.
    """
    judges = open_judges(params, prepared, models, root=root)
    measure = measurer(judges, progress)
    return write_reports([measure(part) for judge in judges for part in judge.parts()], reports)


def measurer(judges: Sequence[Evaluator], progress: Progress | None = None) -> Callable[[Part], Measured]:
    """The function that measures one part, to be called from a few threads."""
    total, done, lock = sum(len(judge.stills) for judge in judges), 0, threading.Lock()

    def measure(part: Part) -> Measured:
        nonlocal done
        judge = part.judge
        kept = {s.name for s in _to_keep(judge)}
        measured = Measured(judge)
        # The frame before the part's first is made again: a part needs no other part.
        before = see(judge, judge.stills[part.start - 1]) if judge.temporal and part.start else None
        for still in judge.stills[part.start : part.stop]:
            seen = see(judge, still)
            measured.rows.append(_row(judge, seen, before))
            if still.name in kept:
                measured.kept.append(seen)
            before = seen
            if progress is not None:
                with lock:
                    done += 1
                    progress(done, total)
        return measured

    return measure


def _row(judge: Evaluator, seen: Seen, before: Seen | None) -> Row:
    row: Row = {}
    content, result, truth = seen.content, seen.result, seen.truth
    if min(content.shape[:2]) < smallest_side_px():
        _log.warning("%s is too small to be measured: it takes %d px a side", seen.still.content, smallest_side_px())
        return row
    same_size = result.shape == content.shape
    if seen.still.judged:
        if truth is not None and same_size:
            row |= comparison.truth_figures(result, content, truth, judge.filters)
        if same_size:
            row |= comparison.content_figures(result, content, truth)
        frame = seen.still.frame
        if judge.motion is not None and frame is not None and judge.motion.knows((frame, *judge.subject.key_frames)):
            size = (content.shape[0], content.shape[1])
            row["truth/unseen_fraction"] = unseen_fraction(judge.motion, [frame], judge.subject.key_frames, size)
    if judge.temporal and same_size:
        row |= _temporal(judge, seen, before)
    return row


def _temporal(judge: Evaluator, seen: Seen, before: Seen | None) -> Row:
    versions = _versions(judge, seen)
    row = {
        f"temporal/detail_ratio{n}": detail_ratio(p, seen.content) for n, p in versions.items() if n != "_unstylized"
    }
    if before is None or seen.still.frame is None or before.still.frame is None:
        return row
    earlier = _versions(judge, before)
    pairs = {suffix: (picture, earlier[suffix]) for suffix, picture in versions.items() if suffix in earlier}
    if (flow := input_flow(seen.content, before.content)) is not None:
        row |= {f"temporal/e_warp_dis{suffix}": pair_e_warp(*pair, flow) for suffix, pair in pairs.items()}
    numbers = (seen.still.frame, before.still.frame)
    if judge.motion is not None and judge.motion.knows(numbers):
        row |= {
            f"temporal/warp_error{suffix}": pair_warp_error(*pair, judge.motion, numbers)
            for suffix, pair in pairs.items()
        }
    return row


def _versions(judge: Evaluator, seen: Seen) -> dict[str, Floats]:
    """What is watched over time, by suffix."""
    versions = {"": seen.result, "_unstylized": seen.content}
    if seen.truth is not None:
        versions["_truth"] = seen.truth
    if judge.filters:
        # The least warp error is the strongest blur's: the filter with the best look is watched instead.
        versions["_best_filter"] = judge.filters["swd"][0].apply(seen.content)
    return versions


def write_reports(measured: Sequence[Measured], reports: Path) -> Row:
    """Writes ``metrics.json`` and ``evaluate/`` (frames.csv, panels and grids); returns the figures.

    Args:
        measured: every part, in order.
        reports: the folder of reports.
    """
    folder = reports / "evaluate"
    shutil.rmtree(folder, ignore_errors=True)
    judges = list({id(m.judge): m.judge for m in measured}.values())
    table: list[dict[str, object]] = []
    summaries: dict[str, Row] = {}
    kinds: dict[str, str] = {}
    for judge in judges:
        parts = [m for m in measured if m.judge is judge]
        rows = [row for part in parts for row in part.rows]
        kept = [seen for part in parts for seen in part.kept]
        figures = comparison.means(rows) | _style(judge, kept) | judge.speed
        families = comparison.best_families(figures)
        name = judge.subject.name
        summaries[name] = comparison.with_best_filter(figures, families)
        kinds[name] = judge.subject.kind
        for metric, family in families.items():
            chosen = next(b for b in judge.filters[metric.rsplit("/", 1)[-1]] if b.family == family)
            _log.info("%s: the best filter for %s is %s, %s", name, metric, family, chosen.settings)
        for still, row in zip(judge.stills, rows, strict=True):
            named = comparison.with_best_filter(row, families)
            table.append({"subject": name, "frame": still.frame, "picture": still.name, **named})
        _write_pictures(judge, kept, folder)
    totals = {name: _rounded(value) for name, value in comparison.overall(summaries, kinds).items()}
    _write_table(table, folder / "frames.csv")
    text = json.dumps(totals, indent=1, allow_nan=False) + "\n"
    write_bytes_atomically(reports / "metrics.json", text.encode())
    return totals


def log_to_mlflow(params: Params, models: Path, figures: Row, reports: Path) -> None:
    """Adds the figures and pictures to the MLflow runs that made the models; warns where that cannot be done."""
    from stylegan_core.recipes.model import read_card
    from tasks.shared.tracking import find_run_by_digest, log_results

    trainings = params.trainings()
    for training in trainings:
        run_id = find_run_by_digest(read_card(models / training.name).digest)
        if run_id is None:
            _log.warning("MLflow knows no run of the model %s: its figures are in %s alone", training.name, reports)
            continue
        own = [f"shot/{shot}/" for shot in training.shots] if len(trainings) > 1 else [""]
        named = {n.removeprefix(p): v for p in own for n, v in figures.items() if n.startswith(p)}
        log_results(run_id, metrics=named, files={"evaluate": reports / "evaluate"})


def _to_keep(judge: Evaluator) -> list[Still]:
    """Pictures for the pooled distance to the style and for the grid: few where they are large."""
    judged = [still for still in judge.stills if still.judged]
    if not judged:
        return []
    height, width = judge.read(judged[0].content, "content").shape[:2]
    return spread(judged, max(2, min(_KEPT, _KEPT_PIXELS // (height * width))))


def _style(judge: Evaluator, kept: Sequence[Seen]) -> Row:
    display = display_of(judge.model)
    styles = [display(judge.read(path, "style")) for path in judge.subject.styles]
    if not styles or not kept:
        return {}
    truths = [seen.truth for seen in kept if seen.truth is not None]
    return comparison.style_figures(
        [seen.result for seen in kept], [seen.content for seen in kept], truths, styles, judge.filters
    )


def _write_pictures(judge: Evaluator, kept: Sequence[Seen], folder: Path) -> None:
    from stylegan_core.frames.pictures.picture import Picture, write_picture
    from stylegan_core.report.panels import four_panel, picture_grid

    if not kept:
        return
    display, name = display_of(judge.model), judge.subject.name
    middle = kept[len(kept) // 2]
    if judge.subject.styles:
        style = display(judge.read(judge.subject.styles[0], "style"))
        write_picture(folder / f"{name}-panels.png", Picture(four_panel(style, middle.content, middle.result)))
    columns: dict[str, Callable[[Seen], Floats | None]] = {
        "original": lambda s: s.content,
        "result": lambda s: s.result,
    }
    if any(seen.truth is not None for seen in kept):
        columns["painter"] = lambda s: s.truth
    if judge.filters:
        rival = judge.filters["swd"][0]
        columns[f"{rival.family}, {rival.settings}"] = lambda s: rival.apply(s.content)
    rows = spread(list(kept), _GRID_ROWS)
    grid = picture_grid(
        [[column(seen) for column in columns.values()] for seen in rows],
        column_labels=tuple(columns),
        row_labels=[
            str(seen.still.frame) if seen.still.frame is not None else Path(seen.still.name).stem for seen in rows
        ],
    )
    write_picture(folder / f"{name}-grid.png", Picture(grid))


def _write_table(rows: Sequence[Mapping[str, object]], path: Path) -> None:
    names = sorted({name for row in rows for name in row} - {"subject", "frame", "picture"})
    text = io.StringIO()
    writer = csv.DictWriter(text, ["subject", "frame", "picture", *names], restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: _rounded(v) if isinstance(v, float) else v for k, v in row.items()})
    write_bytes_atomically(path, text.getvalue().encode())


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
