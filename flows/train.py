"""Flow of the stage train: plan the trainings, train each model, register it, mark the runs as finished."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from stylegan_core.config import Params
from tasks.shared.runner import Runner
from tasks.stages.train import mark_finished, train_model
from tasks.stages.training_observers import open_observers, register
from tasks.stages.training_plan import plan_trainings

if TYPE_CHECKING:
    from stylegan_core.recipes.model import ModelCard

REPORTS = Path("reports/train")


def train_flow(
    runner: Runner, params: Params, prepared: Path, output: Path, reports: Path = REPORTS
) -> dict[str, ModelCard | None]:
    """Trains every model of ``params`` into ``output`` and its curves into ``reports``; returns the cards by name."""
    plan = runner.run("plan trainings", plan_trainings, params, prepared)
    cards, track = {}, partial(open_observers, prepared=prepared, runner=runner)
    for job in plan.jobs:
        name = job.training.name
        cards[name] = runner.run(f"train {name}", train_model, job, prepared, output, reports, track)
        runner.run(f"register {name}", register, job, cards[name], output)
    runner.run("mark finished", mark_finished, plan, output, reports)
    return cards


def main() -> None:
    """``python -m flows.train``, the command of DVC's stage."""
    from flows.stage import stage_main
    from stylegan_core.config import load_params

    stage_main("train", lambda runner: train_flow(runner, load_params(), Path("data/prepared"), Path("models")))


if __name__ == "__main__":
    main()
