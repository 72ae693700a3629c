"""Flow of the stage evaluate: open the models, measure their pictures, write the metrics, log them to MLflow."""

from __future__ import annotations

from pathlib import Path

from flows.progress import progress_bar
from stylegan_core.config import Params
from tasks.shared.runner import Runner
from tasks.stages.evaluate import Progress, log_to_mlflow, measurer, write_reports
from tasks.stages.evaluator import open_evaluators


def evaluate_flow(
    runner: Runner,
    params: Params,
    prepared: Path,
    models: Path,
    reports: Path,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Evaluates the models of ``params`` on the pictures in ``prepared``; returns the figures."""
    evaluators = runner.run("open models and tune filters", open_evaluators, params, prepared, models)
    parts = [part for evaluator in evaluators for part in evaluator.parts()]
    measured = runner.map("measure", measurer(evaluators, progress), parts)
    figures = runner.run("write figures", write_reports, measured, reports)
    runner.run("log to MLflow", log_to_mlflow, params, models, figures, reports)
    return figures


def main() -> None:
    """``python -m flows.evaluate``, the command of DVC's stage."""
    from flows.stage import stage_main
    from stylegan_core.config import load_params

    prepared, models, reports = Path("data/prepared"), Path("models"), Path("reports")
    with progress_bar("measuring") as progress:
        stage_main("evaluate", lambda runner: evaluate_flow(runner, load_params(), prepared, models, reports, progress))


if __name__ == "__main__":
    main()
