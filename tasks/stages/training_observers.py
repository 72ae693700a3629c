"""Observers of a training: a progress bar on the terminal, and the MLflow run."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from stylegan_core.recipes.model import ModelCard
from stylegan_core.training.observer import Observer, Observers
from stylegan_core.training.persistence.run_folder import RunNotes
from tasks.shared import tracking
from tasks.shared.mlflow_dataset import log_dataset
from tasks.shared.mlflow_observer import MlflowObserver
from tasks.shared.provenance import note_model
from tasks.shared.runner import Runner, ShowProgress
from tasks.shared.throughput import ThroughputMonitor
from tasks.stages.training_plan import TrainingJob

if TYPE_CHECKING:
    import numpy as np
    from rich.progress import Progress

    from stylegan_core.training.hardware import Machine
    from stylegan_core.training.result import TrainResult

_log = logging.getLogger(__name__)

_LINE_EVERY_S = 15.0
_SLOW_ADVICE = (
    "End them, or stop this run and start it again with fewer --threads: it continues from its checkpoint "
    "(with another number of threads its result is no longer bit-identical)"
)


@contextmanager
def open_observers(job: TrainingJob, *, prepared: Path, runner: Runner) -> Iterator[Observer]:
    """The observers of a training; a resumed training continues its MLflow run.

    Args:
        job: the training.
        prepared: output of prepare, named as an input of the run.
        runner: shows the progress of the steps.
    """
    training = job.training
    settings = training.settings
    run_id = tracking.start_training_run(
        training.name,
        settings={
            "recipe": settings.recipe,
            "common": settings.common.model_dump(mode="json"),
            settings.recipe: settings.config.model_dump(mode="json"),
        },
        tags={
            "training": training.name,
            "shots": ",".join(training.shots),
            "data": job.data,
            "run_key": job.folder.key,
            "init_from": job.init_digest or "",
        },
        run_id=job.folder.notes().mlflow_run_id,
    )
    if run_id is not None:
        job.folder.write_notes(RunNotes(mlflow_run_id=run_id))
        log_dataset(run_id, job.data, prepared)
    with (
        ConsoleObserver(training.name) as console,
        MlflowObserver(run_id) as mlflow,
        runner.progress(f"train {training.name}", "steps") as show,
    ):
        yield Observers([console, mlflow, StepsObserver(show)])


def register(job: TrainingJob, card: ModelCard | None, output: Path) -> None:
    """Logs the model and its final metrics to the MLflow run, and registers the model."""
    run_id = job.folder.notes().mlflow_run_id
    if card is None or run_id is None:
        return
    folder = output / job.training.name
    figures = {f"{which}/{name}": v for which, values in card.validation.items() for name, v in values.items()}
    tracking.log_results(
        run_id,
        metrics={f"final/{name}": value for name, value in figures.items()},
        files={"curves": folder / "curves.csv"},
        tags={"stopped_by": card.stopped_by, "steps": str(card.steps)},
    )
    tracking.register_model(run_id, folder, training=job.training.name, digest=card.digest)
    note_model(card.digest, run_id)


class ConsoleObserver:
    """A progress bar with losses, rate and time left, or log lines; warns when other processes slow the training.

    Args:
        name: of the training.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._bar: Progress | None = None
        self._task: Any = None
        self._total = 0
        self._logged_s = 0.0
        self._losses = ""
        self._throughput = ThroughputMonitor("training", "steps", _SLOW_ADVICE)

    def start(self, total_steps: int, resumed_from: int, machine: Machine) -> None:  # noqa: ARG002
        """Shows the bar."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._total, self._logged_s = total_steps, time.monotonic()
        console = Console(stderr=True)
        if not console.is_terminal:
            return
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[now]}"),
            console=console,
        )
        self._task = self._bar.add_task(self._name, total=total_steps, completed=resumed_from, now="")
        self._bar.start()

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Updates the bar, or logs a line."""
        losses = {k.removeprefix("loss/"): v for k, v in values.items() if k.startswith("loss/")}
        if losses:
            self._losses = "  ".join(f"{_short(k)} {v:.3g}" for k, v in losses.items())
        parts = [self._losses]
        if "rate/steps_per_s" in values:
            self._throughput.rate(values["rate/steps_per_s"])
            parts = [f"{values['rate/steps_per_s']:.3g} steps/s, {_duration(values['time_left_s'])} left", *parts]
        checked = {k.removeprefix("validation/"): v for k, v in values.items() if k.startswith("validation/")}
        if checked:
            figures = ", ".join(f"{k} {v:.4g}" for k, v in checked.items() if k not in ("score", "collapsed"))
            _log.info("%s: validation after step %d: %s", self._name, step, figures)
        if self._bar is not None:
            self._bar.update(self._task, completed=step)
            if len(parts) > 1:
                self._bar.update(self._task, now="  ".join(parts))
        elif losses and time.monotonic() - self._logged_s >= _LINE_EVERY_S:
            self._logged_s = time.monotonic()
            _log.info("%s: step %d of %d, %s", self._name, step, self._total, "  ".join(parts))

    def pictures(self, step: int, grid: np.ndarray[Any, Any]) -> None:
        """Does nothing: a terminal shows no pictures."""

    def checkpoint(self, step: int) -> None:
        """Does nothing."""

    def finish(self, result: object) -> None:  # noqa: ARG002  # Observer's signature
        """Removes the bar."""
        self.close()

    def close(self) -> None:
        """Removes the bar, once."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class StepsObserver:
    """Shows the number of steps.

    Args:
        show: takes the steps done and in total.
    """

    def __init__(self, show: ShowProgress) -> None:
        self._show = show
        self._total = 0

    def start(self, total_steps: int, resumed_from: int, machine: Machine) -> None:  # noqa: ARG002
        """Shows the steps that were done before."""
        self._total = total_steps
        self._show(resumed_from, total_steps)

    def metrics(self, step: int, values: Mapping[str, float]) -> None:  # noqa: ARG002  # Observer's signature
        """Shows the step."""
        self._show(step, self._total)

    def pictures(self, step: int, grid: np.ndarray[Any, Any]) -> None:
        """Does nothing."""

    def checkpoint(self, step: int) -> None:
        """Shows the step, which may be between two metrics."""
        self._show(step, self._total)

    def finish(self, result: TrainResult) -> None:
        """Shows the last step, which a time limit may have chosen."""
        self._show(result.steps, self._total)


def _short(name: str) -> str:
    """Abbreviates the name of a loss: generator/l1 is "G l1"."""
    role, _, term = name.partition("/")
    return f"{role[:1].upper()} {term}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
