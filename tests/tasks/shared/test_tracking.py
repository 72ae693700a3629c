"""MLflow runs, registry and lineage tags in a store of the project's own; a store that is away costs nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from stylegan_core.training.hardware import Machine
from tasks.shared import registry, tracking
from tasks.shared.errors import StoppedError, UsageError
from tasks.shared.mlflow_dataset import log_dataset
from tasks.shared.mlflow_observer import MlflowObserver, last_logged_step
from tasks.shared.origin import origin


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STYLEREEL_FLOW_RUN_ID", "flow-1")
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "params.yaml").write_text("{}\n")
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "add", "."], check=True)
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "start"], check=True)
    # These models are a card without weights; tests/tasks/serving tests what is saved around a real one.
    monkeypatch.setattr(tracking, "save_mlflow_model", shutil.copytree)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_text('{"digest": "d1"}')
    return tmp_path


def test_a_training_from_start_to_registry(project: Path) -> None:
    run_id = tracking.start_training_run("all", settings={"common": {"seed": 0}, "recipe": "keyframe"})
    assert run_id is not None
    with MlflowObserver(run_id) as observer:
        observer.start(100, 0, Machine("cpu", "fp32", 3))
        for step in (25, 50):
            observer.metrics(step, {"loss/generator/l1": 1 / step, "validation/psnr_db": float("nan")})
        observer.pictures(50, np.zeros((8, 8, 3), np.uint8))
        observer.finish(None)
    store = tracking.client()
    run = store.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["threads"] == "3"
    assert run.data.params == {"common.seed": "0", "recipe": "keyframe"}
    assert [m.step for m in store.get_metric_history(run_id, "loss/generator/l1")] == [25, 50]
    assert "validation/psnr_db" not in run.data.metrics
    assert [f.path for f in store.list_artifacts(run_id)] == ["images"]

    # An interrupted process sent step 50 already: after a resume only later steps are sent.
    assert tracking.start_training_run("all", settings={"common": {"seed": 1}}, run_id=run_id) == run_id
    with pytest.raises(KeyboardInterrupt), MlflowObserver(run_id) as observer:  # noqa: PT012
        observer.start(100, 25, Machine("cpu", "fp32", 3))
        observer.metrics(50, {"loss/generator/l1": 0.02})
        observer.metrics(75, {"loss/generator/l1": 0.01})
        raise KeyboardInterrupt
    assert [m.step for m in store.get_metric_history(run_id, "loss/generator/l1")] == [25, 50, 75]
    assert store.get_run(run_id).info.status == "KILLED"
    for error, status in ((StoppedError("SIGTERM"), "KILLED"), (ValueError("a fault"), "FAILED")):
        with pytest.raises(type(error)), MlflowObserver(run_id) as observer:  # noqa: PT012
            observer.start(100, 75, Machine("cpu", "fp32", 3))
            raise error
        assert store.get_run(run_id).info.status == status
    assert store.get_run(run_id).data.tags["stylereel.now.common.seed"] == "1"

    # The same digest is one version, whoever registers it again.
    versions = [tracking.register_model(run_id, project / "model", training="all", digest="d1") for _ in range(2)]
    assert versions == ["1", "1"]
    assert tracking.find_run_by_digest("d1") == run_id
    assert tracking.find_run_by_digest("d2") is None
    registry.set_alias("all", "d1", "promoted")
    with pytest.raises(registry.RegistryError, match=r"the model d2 is not registered as stylereel\."):
        registry.set_alias("all", "d2", "promoted")
    assert registry.promoted_models() == {"all": f"models:/{tracking.registered_name('all')}@promoted"}
    fetched = registry.fetch_model(f"models:/{tracking.registered_name('all')}@promoted", project / "fetched")
    assert (fetched / "model.json").read_bytes() == (project / "model" / "model.json").read_bytes()
    for uri, message in (("models:/nobody@promoted", "not in the model registry"), ("models:/all", "not a model URI")):
        with pytest.raises(UsageError, match=message):
            registry.fetch_model(uri, project / "fetched")

    # Lineage: from the model to commit and flow run, and back.
    tags = tracking.run_tags(run_id)
    assert tags is not None
    assert tags["git_commit"] == origin()["git_commit"]
    assert tags["flow_run_id"] == "flow-1"
    assert [r.id for r in registry.find_runs("flow-")] == [run_id]
    assert [r.id for r in registry.find_runs(tags["git_commit"][:8])] == [run_id]
    assert registry.find_runs("0000") == []

    tracking.log_results(run_id, metrics={"truth/swd": 0.1}, files={"evaluate": project / "model" / "model.json"})
    assert store.get_run(run_id).data.metrics["truth/swd"] == pytest.approx(0.1)
    assert sorted(p.name for p in project.glob("ml*")) == ["mlartifacts", "mlflow.db"]


def test_a_run_names_its_data_and_the_use_of_its_machine(project: Path) -> None:
    run_id = tracking.start_training_run("all", settings={})
    assert run_id is not None
    for _ in range(2):  # a resumed training names its data again
        log_dataset(run_id, "d" * 64, project / "data")
    with MlflowObserver(run_id) as observer:
        observer.start(100, 0, Machine("cpu", "fp32", 3))
        observer.metrics(50, {"loss/generator/l1": 0.5})
    store = tracking.client()
    run = store.get_run(run_id)
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest, data.dataset.source_type) == ("prepared", "d" * 32, "local")
    assert json.loads(data.dataset.source) == {"uri": (project / "data").as_uri()}
    assert 0 < run.data.metrics["system/system_memory_usage_percentage"] <= 100
    assert [m.step for m in store.get_metric_history(run_id, "system/cpu_utilization_percentage")] == [50]
    tracking.log_metrics(run_id, [tracking.LoggedMetrics(99, {"system/cpu_utilization_percentage": 1.0})])
    assert last_logged_step(run_id) == 50, "a sample may be sent before the metrics of its step"


def test_a_continued_training_leaves_the_registered_version_as_it_was(project: Path) -> None:
    run_id = tracking.start_training_run("all", settings={})
    assert run_id is not None
    card = project / "model" / "model.json"
    first, second = "aa" * 32, "bb" * 32
    assert _register(run_id, card, first) == "1"
    registry.set_alias("all", first, "promoted")
    assert tracking.start_training_run("all", settings={}, run_id=run_id) == run_id
    assert _register(run_id, card, second) == "2"

    name = tracking.registered_name("all")
    for uri, digest in ((f"{name}@promoted", first), (f"{name}/1", first), (f"{name}@trained", second)):
        fetched = registry.fetch_model(f"models:/{uri}", project / "fetched")
        assert json.loads((fetched / "model.json").read_text())["digest"] == digest
        assert fetched == project / "fetched" / digest[:16]
        assert tracking.find_run_by_digest(digest) == run_id
        assert [r.id for r in registry.find_runs(digest[:8])] == [run_id]
    tags = tracking.run_tags(run_id)
    assert tags is not None
    assert registry.model_digests(tags) == [first, second]


def test_a_version_whose_files_are_of_another_model_is_refused(project: Path) -> None:
    run_id = tracking.start_training_run("all", settings={})
    assert run_id is not None
    _register(run_id, project / "model" / "model.json", "aa" * 32)
    stored = next((project / "mlartifacts").glob("**/model/*/model.json"))
    stored.write_text(json.dumps({"digest": "bb" * 32}))
    with pytest.raises(UsageError, match="its files are those of bbbb"):
        registry.fetch_model(f"models:/{tracking.registered_name('all')}/1", project / "fetched")


def _register(run_id: str, card: Path, digest: str) -> str | None:
    card.write_text(json.dumps({"digest": digest}))
    return tracking.register_model(run_id, card.parent, training="all", digest=digest)


def test_a_store_that_is_away_is_a_warning(
    project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project}/missing/folder/mlflow.db")
    monkeypatch.setattr(tracking, "client", _away)
    assert tracking.start_training_run("all", settings={}) is None
    with MlflowObserver(None) as observer:
        observer.start(1, 0, Machine("cpu", "fp32", 3))
        observer.metrics(1, {"loss": 1.0})
    for run_id in (None, "1"):
        assert tracking.register_model(run_id, project / "model", training="all", digest="d") is None
    assert tracking.find_run_by_digest("d") is None
    tracking.log_results("1", metrics={"a": 1.0})
    assert "continuing without it" in caplog.text


def _away() -> None:
    raise ConnectionError("no route to the tracking server")


def test_settings_become_flat() -> None:
    assert tracking.flatten({"a": {"b": 1, "c": {"d": None}}, "e": [1]}) == {"a.b": 1, "a.c.d": None, "e": [1]}
