"""What train says of a training: to MLflow, on the console and in the mark of a finished run."""

import json

from flows.runners.local_runner import LocalRunner
from flows.train import train_flow
from stylegan_core.training.hardware import Machine
from stylegan_core.training.observer import Observers
from stylegan_core.training.persistence.run_folder import RunNotes
from tasks.stages import train as stage
from tasks.stages import training_observers as observers
from tasks.stages.train import mark_finished, train_model
from tasks.stages.training_plan import plan_trainings
from tests.tasks.shot_trainings import content, run, settings


def test_the_flow_tracks_and_registers(project, monkeypatch):
    calls = []

    class Mlflow(Observers):
        def __init__(self, run_id):
            super().__init__([])
            calls.append(("observer", run_id))

        def __enter__(self):
            return self

        def __exit__(self, *error):
            calls.append(("closed", error[0]))

    def start(name, *, settings, tags, run_id):
        calls.append(("start", name, settings["keyframe"]["budget_steps"], run_id))
        return run_id or f"run of {name}"

    monkeypatch.setattr(observers, "MlflowObserver", Mlflow)
    monkeypatch.setattr(observers.tracking, "start_training_run", start)
    monkeypatch.setattr(observers.tracking, "log_results", lambda run_id, **what: calls.append(("results", run_id)))
    monkeypatch.setattr(
        observers.tracking,
        "register_model",
        lambda run_id, folder, *, training, digest: calls.append(("register", run_id, training, digest)),
    )
    monkeypatch.setattr(observers, "log_dataset", lambda run_id, digest, folder: calls.append(("data", folder)))
    params = settings(("sea",))
    cards = train_flow(LocalRunner(), params, project / "prepared", project / "models", project / "reports" / "train")
    run_id = "run of sea"
    assert calls == [
        ("start", "sea", 6, None),
        ("data", project / "prepared"),
        ("observer", run_id),
        ("closed", None),
        ("results", run_id),
        ("register", run_id, "sea", cards["sea"].digest),
    ]
    calls.clear()
    larger = settings(("sea",), budget_steps=7)
    train_flow(LocalRunner(), larger, project / "prepared", project / "models", project / "reports" / "train")
    assert calls[0] == ("start", "sea", 7, run_id)  # the same run goes on
    job = plan_trainings(larger.model_copy(), project / "prepared").jobs[0]
    assert job.folder.notes() == RunNotes()  # forced: cleared with all else
    assert not any(b"run of sea" in data for data in content(project / "models").values())


def test_further_processes_of_a_distributed_run_write_nothing(project, monkeypatch):
    plan = plan_trainings(settings(("sea",)), project / "prepared")
    monkeypatch.setattr(stage, "is_follower", lambda: True)
    assert train_model(plan.jobs[0], project / "prepared", project / "models", project / "reports") is None
    mark_finished(plan, project / "models", project / "reports")
    assert not (project / "models").exists()
    assert plan.jobs[0].folder.finished() is None


def test_the_console_logs_progress(caplog, monkeypatch):
    monkeypatch.setattr(observers, "_LINE_EVERY_S", 0.0)
    with caplog.at_level("INFO"), observers.ConsoleObserver("sea") as console:
        console.start(1000, 0, Machine("cpu", "fp32", 1))
        rates = {"rate/steps_per_s": 12.5, "time_left_s": 3725.0}
        console.metrics(25, {"loss/generator/l1": 0.1234, "loss/discriminator/r1": 2.0, **rates})
        console.metrics(50, {"validation/psnr_db": 21.5, "validation/score": 1.0})
    assert "step 25 of 1000, 12.5 steps/s, 1:02:05 left  G l1 0.123  D r1 2" in caplog.text
    assert "validation after step 50: psnr_db 21.5" in caplog.text
    assert "score" not in caplog.text


def test_the_mark_is_json_a_person_can_read(project):
    run(project, settings(("sea",)))
    mark = next((project / "cache" / "train").glob("*/finished.json"))
    assert json.loads(mark.read_text())["stopped_by"] == "budget"


def test_the_page_shows_the_steps_of_a_training_and_of_its_continuation():
    shown = []
    steps = observers.StepsObserver(lambda done, total: shown.append((done, total)))
    steps.start(400, 100, Machine("cpu", "fp32", 1))
    steps.metrics(125, {})
    steps.checkpoint(130)
    assert shown == [(100, 400), (125, 400), (130, 400)]
