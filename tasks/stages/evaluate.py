"""The stage evaluate: metrics of the models, the untouched input and tuned filters, with comparison pictures."""

from __future__ import annotations

import csv
import io
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
from stylegan_core.metrics.feature_figures import feature_figures
from stylegan_core.metrics.pictures import Floats
from stylegan_core.metrics.swd import smallest_side_px
from stylegan_core.metrics.warp_error import pair_warp_error, seen_points
from stylegan_core.motion.coverage import unseen_fraction
from stylegan_core.storage.atomic import write_bytes_atomically
from tasks.stages.evaluator import EvaluatedPicture, Evaluator, Part, display_of, evaluate_picture, open_evaluators
from tasks.stages.figures_files import write_figures

_log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with pictures done and pictures in all, from any thread."""

_KEPT_PIXELS = 40_000_000
_KEPT = 16
_GRID_ROWS = 5
_DIGITS = 6


@dataclass
class Measured:
    """The rows of a part, one per picture, and a few of its pictures."""

    evaluator: Evaluator
    rows: list[Row] = field(default_factory=list)
    kept: list[EvaluatedPicture] = field(default_factory=list)


def evaluate(
    params: Params,
    prepared: Path,
    models: Path,
    reports: Path,
    *,
    progress: Progress | None = None,
    root: Path | None = None,
) -> Row:
    """Runs the whole stage in this process; returns what ``reports/metrics.json`` and ``speed.json`` hold.

    Raises:
        UsageError: prepared data or a model is missing, or there is no picture to evaluate on.
    """
    evaluators = open_evaluators(params, prepared, models, root=root)
    measure = measurer(evaluators, progress)
    return write_reports([measure(part) for evaluator in evaluators for part in evaluator.parts()], reports)


def measurer(evaluators: Sequence[Evaluator], progress: Progress | None = None) -> Callable[[Part], Measured]:
    """The function that measures one part; thread-safe."""
    total, done, lock = sum(len(evaluator.stills) for evaluator in evaluators), 0, threading.Lock()

    def measure(part: Part) -> Measured:
        nonlocal done
        evaluator = part.evaluator
        kept = {s.name for s in _to_keep(evaluator)}
        measured = Measured(evaluator)
        # The frame before the part's first one is translated again, so that parts are independent.
        previous = (
            evaluate_picture(evaluator, evaluator.stills[part.start - 1]) if evaluator.temporal and part.start else None
        )
        for still in evaluator.stills[part.start : part.stop]:
            current = evaluate_picture(evaluator, still)
            measured.rows.append(_row(evaluator, current, previous))
            if still.name in kept:
                measured.kept.append(current)
            previous = current
            if progress is not None:
                with lock:
                    done += 1
                    progress(done, total)
        return measured

    return measure


def _row(evaluator: Evaluator, current: EvaluatedPicture, previous: EvaluatedPicture | None) -> Row:
    row: Row = {}
    content, result, truth = current.content, current.result, current.truth
    if min(content.shape[:2]) < smallest_side_px():
        _log.warning(
            "%s is too small to be measured: each side needs at least %d px",
            current.still.content,
            smallest_side_px(),
        )
        return row
    same_size = result.shape == content.shape
    if current.still.evaluated:
        if truth is not None and same_size:
            row |= comparison.truth_figures(result, content, truth, evaluator.filters)
        if same_size:
            row |= comparison.content_figures(result, content, truth)
        frame = current.still.frame
        if (
            evaluator.motion is not None
            and frame is not None
            and evaluator.motion.knows((frame, *evaluator.subject.key_frames))
        ):
            size = (content.shape[0], content.shape[1])
            row["truth/unseen_fraction"] = unseen_fraction(
                evaluator.motion, [frame], evaluator.subject.key_frames, size
            )
    if evaluator.temporal and same_size:
        row |= _temporal(evaluator, current, previous)
    return row


def _temporal(evaluator: Evaluator, current: EvaluatedPicture, previous: EvaluatedPicture | None) -> Row:
    versions = _versions(evaluator, current)
    row = {
        f"temporal/detail_ratio{n}": detail_ratio(p, current.content) for n, p in versions.items() if n != "_unstylized"
    }
    if previous is None or current.still.frame is None or previous.still.frame is None:
        return row
    earlier = _versions(evaluator, previous)
    pairs = {suffix: (picture, earlier[suffix]) for suffix, picture in versions.items() if suffix in earlier}
    if (flow := input_flow(current.content, previous.content)) is not None:
        row |= {f"temporal/e_warp_dis{suffix}": pair_e_warp(*pair, flow) for suffix, pair in pairs.items()}
    numbers = (current.still.frame, previous.still.frame)
    if evaluator.motion is not None and evaluator.motion.knows(numbers):
        seen = seen_points(evaluator.motion, numbers, (current.content.shape[0], current.content.shape[1]))
        row |= {f"temporal/warp_error{suffix}": pair_warp_error(*pair, *seen) for suffix, pair in pairs.items()}
    return row


def _versions(evaluator: Evaluator, current: EvaluatedPicture) -> dict[str, Floats]:
    """What is watched over time, by suffix."""
    versions = {"": current.result, "_unstylized": current.content}
    if current.truth is not None:
        versions["_truth"] = current.truth
    if evaluator.filters:
        # The least warp error is the strongest blur's: the filter with the best look is watched instead.
        versions["_best_filter"] = evaluator.filters["swd"][0].apply(current.content)
    return versions


def write_reports(measured: Sequence[Measured], reports: Path) -> Row:
    """Writes ``metrics.json``, ``speed.json`` and ``evaluate/`` (frames.csv, panels and grids); returns the figures.

    Args:
        measured: every part, in order.
        reports: the folder of reports.
    """
    folder = reports / "evaluate"
    shutil.rmtree(folder, ignore_errors=True)
    evaluators = list({id(m.evaluator): m.evaluator for m in measured}.values())
    table: list[dict[str, object]] = []
    summaries: dict[str, Row] = {}
    kinds: dict[str, str] = {}
    for evaluator in evaluators:
        parts = [m for m in measured if m.evaluator is evaluator]
        rows = [row for part in parts for row in part.rows]
        kept = [current for part in parts for current in part.kept]
        figures = comparison.means(rows) | _style(evaluator, kept) | evaluator.speed | evaluator.equivariance
        families = comparison.best_families(figures)
        name = evaluator.subject.name
        summaries[name] = comparison.with_best_filter(figures, families)
        kinds[name] = evaluator.subject.kind
        for metric, family in families.items():
            chosen = next(b for b in evaluator.filters[metric.rsplit("/", 1)[-1]] if b.family == family)
            _log.info("%s: the best filter for %s is %s, %s", name, metric, family, chosen.settings)
        for still, row in zip(evaluator.stills, rows, strict=True):
            named = comparison.with_best_filter(row, families)
            table.append({"subject": name, "frame": still.frame, "picture": still.name, **named})
        _write_pictures(evaluator, kept, folder)
    totals = {name: _rounded(value) for name, value in comparison.overall(summaries, kinds).items()}
    _write_table(table, folder / "frames.csv")
    write_figures(totals, reports)
    return totals


def log_to_mlflow(params: Params, models: Path, figures: Row, reports: Path) -> None:
    """Adds the figures and pictures to the MLflow runs that made the models; warns where that cannot be done."""
    from stylegan_core.recipes.model import read_card
    from tasks.shared.tracking import find_run_by_digest, log_results

    trainings = params.trainings()
    for training in trainings:
        run_id = find_run_by_digest(read_card(models / training.name).digest)
        if run_id is None:
            _log.warning("MLflow has no run of the model %s: its figures are only in %s", training.name, reports)
            continue
        own = [f"shot/{shot}/" for shot in training.shots] if len(trainings) > 1 else [""]
        named = {n.removeprefix(p): v for p in own for n, v in figures.items() if n.startswith(p)}
        log_results(run_id, metrics=named, files={"evaluate": reports / "evaluate"})


def _to_keep(evaluator: Evaluator) -> list[Still]:
    """Pictures for the pooled distance to the style and for the grid: fewer of large ones."""
    evaluated = [still for still in evaluator.stills if still.evaluated]
    if not evaluated:
        return []
    height, width = evaluator.read(evaluated[0].content, "content").shape[:2]
    return spread(evaluated, max(2, min(_KEPT, _KEPT_PIXELS // (height * width))))


def _style(evaluator: Evaluator, kept: Sequence[EvaluatedPicture]) -> Row:
    display = display_of(evaluator.colour)
    styles = [display(evaluator.read(path, "style")) for path in evaluator.subject.styles]
    if not styles or not kept:
        return {}
    truths = [item.truth for item in kept if item.truth is not None]
    results, contents = [item.result for item in kept], [item.content for item in kept]
    pools = {"": results, "_unstylized": contents, "_truth": truths}
    trained_with = evaluator.model.recipe.config.extractors()
    return comparison.style_figures(results, contents, truths, styles, evaluator.filters) | feature_figures(
        pools, styles, trained_with
    )


def _write_pictures(evaluator: Evaluator, kept: Sequence[EvaluatedPicture], folder: Path) -> None:
    from stylegan_core.frames.pictures.encode import write_picture
    from stylegan_core.frames.pictures.picture import Picture
    from stylegan_core.report.panels import four_panel, picture_grid

    if not kept:
        return
    display, name = display_of(evaluator.colour), evaluator.subject.name
    middle = kept[len(kept) // 2]
    if evaluator.subject.styles:
        style = display(evaluator.read(evaluator.subject.styles[0], "style"))
        write_picture(folder / f"{name}-panels.png", Picture(four_panel(style, middle.content, middle.result)))
    columns: dict[str, Callable[[EvaluatedPicture], Floats | None]] = {
        "original": lambda s: s.content,
        "result": lambda s: s.result,
    }
    if any(item.truth is not None for item in kept):
        columns["painter"] = lambda s: s.truth
    if evaluator.filters:
        rival = evaluator.filters["swd"][0]
        columns[f"{rival.family}, {rival.settings}"] = lambda s: rival.apply(s.content)
    rows = spread(list(kept), _GRID_ROWS)
    grid = picture_grid(
        [[column(item) for column in columns.values()] for item in rows],
        column_labels=tuple(columns),
        row_labels=[
            str(item.still.frame) if item.still.frame is not None else Path(item.still.name).stem for item in rows
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
