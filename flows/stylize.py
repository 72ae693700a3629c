"""Flow of the stage stylize: plan, stylize every shot, fill the output, write the review page, log to MLflow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from stylegan_core.config import Params
from stylegan_core.inference.job.report import Progress
from stylegan_core.inference.planning.request import Request
from tasks.shared.runner import Runner
from tasks.stages.review import write_review_page
from tasks.stages.stylize import log_to_mlflow, publish_outputs, stylize_item, total_progress
from tasks.stages.stylize_items import list_items
from tasks.stylize.report import StylizeReport
from tasks.stylize.stylize import stylize_directory


def stylize_flow(
    runner: Runner,
    params: Params,
    prepared: Path,
    models: Path,
    output: Path,
    reports: Path,
    progress: Callable[[int, int], None] | None = None,
) -> list[StylizeReport]:
    """Stylizes every shot of ``prepared`` with its model into ``output``; writes ``reports/review.html``."""
    items = runner.run("plan", list_items, params, prepared, models)
    with runner.progress("stylize", "frames") as show:
        log_total, show_total = total_progress(items, progress), total_progress(items, show)

        def count(now: Progress) -> None:
            log_total(now)
            show_total(now)

        reports_of_items = [stylize_item(item, runner, count) for item in items]
    done = runner.run("fill the output", publish_outputs, params, items, reports_of_items, output)
    places = {"prepared": prepared, "models": models}
    runner.run("write the review page", write_review_page, params, items, done, output, reports, **places)
    runner.run("log to MLflow", log_to_mlflow, items, done)
    return done


def stylize_command(runner: Runner, source: Path, output: Path, **options: Any) -> dict[str, object]:
    """Stylizes one folder, for the deployment on demand; raises if an input failed, after all others are done.

    Args:
        runner: calls the tasks.
        source: a folder of pictures.
        output: another folder.
        options: other fields of ``Request``, and of ``StylizeSettings``.
    """
    request = Request.of(source, output, **options)
    with runner.progress("stylize", "frames") as show:
        report = stylize_directory(request, runner, progress=lambda now: show(now.done, now.total))
    report.raise_if_failed()
    return report.as_dict()


def main() -> None:
    """``python -m flows.stylize``, the command of DVC's stage."""
    from flows.stage import stage_main
    from stylegan_core.config import load_params

    stage_main(
        "stylize",
        lambda runner: stylize_flow(
            runner, load_params(), Path("data/prepared"), Path("models"), Path("out/stylized"), Path("reports")
        ),
    )


if __name__ == "__main__":
    main()
