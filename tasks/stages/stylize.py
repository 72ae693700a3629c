"""The stage stylize: every shot with its model, from a store in the user's cache to the folders that DVC tracks.

DVC empties its outputs before a stage runs. The work therefore happens in the cache, where a kill or an edit of one
frame costs one frame; ``out/stylized`` is filled at the end.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from stylegan_core.config import Params
from stylegan_core.inference.job.report import Progress
from stylegan_core.inference.job.summary import summarize
from stylegan_core.storage.atomic import write_bytes_atomically
from tasks.shared.errors import InputsFailedError
from tasks.shared.runner import Runner
from tasks.stages.stage_reports import REPORT_NAME, FailedInput, ItemReport, stylize_report_text
from tasks.stages.stylize_items import StageItem
from tasks.stages.stylize_stores import trim_stores
from tasks.stylize.report import ProgressCallback, StylizeReport
from tasks.stylize.work import work_on

log = logging.getLogger(__name__)

LOCK_WAIT_S = 3600.0
LOG_EVERY_S = 10.0


def stylize_item(item: StageItem, runner: Runner, progress: ProgressCallback | None = None) -> StylizeReport:
    """Works through an item's chunks in the cache.

    Raises:
        StoppedError: stopped; a rerun finishes.
    """
    return work_on(item.plan, item.model, runner, preview=None, progress=progress, lock_wait_s=LOCK_WAIT_S)


def publish_outputs(
    params: Params, items: Sequence[StageItem], reports: Sequence[StylizeReport], output: Path
) -> list[StylizeReport]:
    """Copies the results from the cache to the output: ``<name>/`` with the frames, ``<name>.mp4``, ``report.json``.

    Args:
        params: all settings.
        items: what was stylized.
        reports: one per item.
        output: folder of the stage; it is replaced.

    Returns:
        The reports with their movies.

    Raises:
        InputsFailedError: more than ``max_bad_fraction`` of an item's inputs failed; every one is named.
    """
    from stylegan_core.inference.delivery.preview import write_job_preview

    _stop_if_too_bad(reports, params.stylize.max_bad_fraction)
    shutil.rmtree(output, ignore_errors=True)
    published: list[StylizeReport] = []
    summary: dict[str, ItemReport] = {}
    for item, report in zip(items, reports, strict=True):
        folder = output / item.name
        folder.mkdir(parents=True)
        for frame in item.job.frames:
            if (made := item.job.output_path(frame)).is_file():
                _copy(made, folder / frame.output)
        movie = write_job_preview(item.job, output / f"{item.name}.mp4", fps=params.stylize.preview_fps)
        published.append(replace(report, preview=movie))
        summary[item.name] = _item_report(item, report, movie)
        trim_stores(item.job.output_folder)
    write_bytes_atomically(output / REPORT_NAME, stylize_report_text(summary).encode())
    for report in reports:
        for failure in report.failed:
            log.error("%s: %s", failure.path, failure.reason)
    return published


def log_to_mlflow(items: Sequence[StageItem], reports: Sequence[StylizeReport]) -> None:
    """Adds the movie and the counts to the MLflow runs that made the models; warns where that cannot be done."""
    from tasks.shared.tracking import find_run_by_digest, log_results

    for item, report in zip(items, reports, strict=True):
        run_id = find_run_by_digest(item.model.card.digest)
        if run_id is None:
            log.warning("MLflow has no run of the model %s", item.training)
            continue
        figures = {f"stylize/{item.name}/failed": float(len(report.failed))}
        if report.made:
            figures[f"stylize/{item.name}/frames_per_s"] = report.made / max(report.seconds, 1e-6)
        log_results(run_id, metrics=figures, files={"stylize": report.preview} if report.preview else {})


def total_progress(items: Sequence[StageItem], progress: Callable[[int, int], None] | None = None) -> ProgressCallback:
    """Adds up the progress of all items.

    Args:
        items: in the order in which they are stylized.
        progress: called with the frames done and in total; default: logs a line every ten seconds.
    """
    total, earlier, last = sum(len(item.job.frames) for item in items), 0, 0
    logged_s = time.monotonic()

    def report(now: Progress) -> None:
        nonlocal earlier, last, logged_s
        if now.done < last:  # the next item began
            earlier += last
        last = now.done
        if progress is not None:
            progress(earlier + now.done, total)
        elif time.monotonic() - logged_s > LOG_EVERY_S:
            logged_s = time.monotonic()
            log.info("stylized %d of %d, %.1f frames/s", earlier + now.done, total, now.frames_per_s)

    return report


def _stop_if_too_bad(reports: Sequence[StylizeReport], max_bad_fraction: float) -> None:
    for report in reports:
        total = len(report.job.frames)
        if len(report.failed) > max_bad_fraction * total:
            raise InputsFailedError(
                f"{len(report.failed)} of {total} inputs failed, more than stylize.max_bad_fraction "
                f"({max_bad_fraction:g}) allows:\n{report.failures()}"
            )


def _item_report(item: StageItem, report: StylizeReport, movie: Path | None) -> ItemReport:
    return ItemReport(
        model=item.model.card.digest,
        training=item.training,
        recipe=item.model.card.recipe,
        strength=item.job.settings.strength,
        asked=summarize(item.job),
        precision=item.job.settings.precision,
        frames=len(item.job.frames),
        failed=tuple(
            FailedInput(path=failure.path.relative_to(item.job.input_folder).as_posix(), reason=failure.reason)
            for failure in report.failed
        ),
        movie=movie.name if movie else None,
    )


def _copy(source: Path, target: Path) -> None:
    """A file of its own: a link would let an edit of DVC's copy reach the cache."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    shutil.copyfile(source, part)
    part.replace(target)
