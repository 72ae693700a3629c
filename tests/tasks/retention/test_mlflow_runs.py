"""Which MLflow runs go into the trash, which leave it again, and which are removed for good: a real SQLite store."""

from __future__ import annotations

import json
import sqlite3
import time

import pytest

from stylegan_core.storage.model_folder import read_model_digest
from tasks.retention import mlflow_runs
from tasks.retention.in_use import find_in_use
from tasks.retention.mlflow_runs import carry_out, plan
from tasks.shared import registry, tracking
from tasks.shared.lineage import link_run
from tests.film_project import Film

NOW_S = time.time()
DAY_S = 86400.0


def run_of(digest: str) -> str:
    run = tracking.find_run_by_digest(digest)
    assert run is not None
    return run


def end(run: str, days_ago: float, status: str = "FINISHED") -> str:
    tracking.client().set_terminated(run, status, int((NOW_S - days_ago * DAY_S) * 1000))
    return run


def experiment_run(days_ago: float | None = None, status: str = "FINISHED") -> str:
    """A run without a model."""
    run = tracking.start_training_run("hill", settings={"steps": 3})
    assert run is not None
    return run if days_ago is None else end(run, days_ago, status)


def old_ids(film: Film) -> set[str]:
    return {run.id for run in plan(film.root, older_than_days=90, now_s=NOW_S).old}


def trash_since(film: Film, run: str, days: float) -> None:
    with sqlite3.connect(film.root / "mlflow.db") as database:
        moved_ms = int((time.time() - days * DAY_S) * 1000)
        assert database.execute("UPDATE runs SET deleted_time = ? WHERE run_uuid = ?", (moved_ms, run)).rowcount == 1


def stage_of(run: str) -> str:
    return str(tracking.client().get_run(run).info.lifecycle_stage)


def test_runs_that_ended_long_ago_are_old(film: Film) -> None:
    old = {experiment_run(91), experiment_run(200, "FAILED"), experiment_run(91, "KILLED")}
    experiment_run(89)
    experiment_run()  # begun, and not ended
    assert old_ids(film) == old


def test_what_an_alias_names_stays(film: Film) -> None:
    first, second = film.train(1, ["sea"])["sea"], film.train(2, ["sea"])["sea"]
    for digest in (first, second):
        end(run_of(digest), 200)
    assert old_ids(film) == {run_of(first)}, "second is @trained, and in models/"
    tracking.client().set_registered_model_alias("stylereel.film.sea", "favourite", "1")
    assert old_ids(film) == set()


def test_promoted_models_and_the_one_before_stay(film: Film) -> None:
    nights = []
    for seed, swd in ((1, 0.5), (2, 0.4), (3, 0.3)):
        nights.append(film.train(seed)["sea"])
        film.evaluate(hill=swd, sea=swd)
        film.promote()
        end(run_of(nights[-1]), 200)
    assert old_ids(film) == set(), "also the first: frames of work on demand may be its"
    lines = (film.root / ".stylereel/promotions.jsonl").read_text().splitlines()
    assert nights[0] in {json.loads(line)["digest"] for line in lines}


def test_what_lineage_names_stays(film: Film) -> None:
    digest = film.train(1, ["sea"])["sea"]
    link_run(film.root, "flow-1", {})
    film.train(2, ["sea"])
    end(run_of(digest), 200)
    assert old_ids(film) == set()
    (film.root / ".stylereel/lineage/flow-1.json").unlink()
    assert old_ids(film) == {run_of(digest)}


@pytest.mark.parametrize("place", ["out/stylized/sea/.stylereel/job-12.json", "reports/sea.json"])
def test_what_results_name_stays(film: Film, place: str) -> None:
    digest = film.train(1, ["sea"])["sea"]
    film.train(2, ["sea"])
    run = end(run_of(digest), 200)
    path = film.root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    for named in (digest, run):
        path.write_text(json.dumps({"made_by": named}))
        assert old_ids(film) == set()
    path.unlink()
    assert old_ids(film) == {run}


def test_results_on_another_disk_are_read_too(film: Film) -> None:
    digest = film.train(1, ["sea"])["sea"]
    film.train(2, ["sea"])
    run = end(run_of(digest), 200)
    job = film.root.parent / "big disk/sea/.stylereel/job-12.json"
    job.parent.mkdir(parents=True)
    job.write_text(json.dumps({"model": digest}))
    (film.root / "out").mkdir(exist_ok=True)
    (film.root / "out/sh010").symlink_to(job.parents[1])
    (job.parents[1] / "again").symlink_to(film.root / "out")
    assert old_ids(film) == set()
    (film.root / "out/sh010").unlink()
    assert old_ids(film) == {run}


def test_results_on_a_disk_that_is_away_remove_nothing(film: Film) -> None:
    experiment_run(200)
    (film.root / "out").symlink_to(film.root.parent / "not mounted")
    with pytest.raises(FileNotFoundError, match="out"):
        old_ids(film)


def test_a_model_that_somebody_registered_by_another_name_stays(film: Film) -> None:
    digest = film.train(1, ["sea"])["sea"]
    film.train(2, ["sea"])
    run = end(run_of(digest), 200)
    assert old_ids(film) == {run}
    store = tracking.client()
    store.create_registered_model("favourites")
    store.create_model_version("favourites", store.get_run(run).info.artifact_uri, run_id=run)
    assert old_ids(film) == set()
    store.delete_run(run)
    assert plan(film.root, older_than_days=90, now_s=NOW_S).wanted == (run,)


def test_runs_of_others_in_the_experiment_stay(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    """A team's experiment, or that of another project of the same name on a shared server."""
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "team")
    own, foreign = experiment_run(200), experiment_run(200)
    store = tracking.client()
    by_hand = store.create_run(store.get_run(own).info.experiment_id).info.run_id
    end(by_hand, 200)
    assert old_ids(film) == {own, foreign}
    store.set_tag(foreign, "stylereel.project_id", "ba9876543210")
    assert old_ids(film) == {own}


def test_emptying_the_trash_does_not_take_for_ever(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_runs, "_GC_S", 0.01)
    with pytest.raises(mlflow_runs.RetentionError, match="was stopped after"):
        carry_out(mlflow_runs.Plan(), film.root)


def test_models_of_the_checkout_of_scheduled_runs_stay(film: Film) -> None:
    digest = film.train(1, ["sea"])["sea"]
    runs = film.root.with_name("film-runs")
    (runs / ".stylereel").mkdir(parents=True)
    (film.root / "models").rename(runs / "models")
    assert digest not in find_in_use(film.root).models
    (runs / ".stylereel/project").write_text(str(film.root))
    assert read_model_digest(runs / "models/sea") in find_in_use(film.root).models


def test_an_unreadable_file_removes_nothing(film: Film) -> None:
    experiment_run(200)
    (film.root / ".stylereel").mkdir(exist_ok=True)
    (film.root / ".stylereel/promotions.jsonl").write_text("{torn")
    with pytest.raises(ValueError, match=r"line 1 of .*promotions\.jsonl is no decision"):
        old_ids(film)


def test_from_the_store_by_way_of_the_trash(film: Film) -> None:
    gone, back, fresh = film.train(1, ["sea"])["sea"], film.train(2, ["sea"])["sea"], film.train(3, ["sea"])["sea"]
    for digest in (gone, back, fresh):
        end(run_of(digest), 200)
    runs = {digest: run_of(digest) for digest in (gone, back, fresh)}
    found = plan(film.root, older_than_days=90, now_s=NOW_S)
    assert {run.id for run in found.old} == {runs[gone], runs[back]}
    assert carry_out(found, film.root) == ""
    assert {run: stage_of(run) for run in runs.values()} == {
        runs[gone]: "deleted",
        runs[back]: "deleted",
        runs[fresh]: "active",
    }
    assert len(registry.registered_versions("sea")) == 3, "as long as the run can be restored"

    registry.set_alias("sea", back, "promoted")
    for digest in (gone, back):
        trash_since(film, runs[digest], mlflow_runs.TRASH_DAYS + 1)
    files = [folder for folder in (film.root / "mlartifacts").rglob("artifacts") if folder.parent.name == runs[gone]]
    assert any(files[0].iterdir())
    again = plan(film.root, older_than_days=90, now_s=NOW_S)
    assert (again.old, again.wanted, again.trash) == ((), (runs[back],), 1)
    carry_out(again, film.root)
    assert stage_of(runs[back]) == "active"
    with pytest.raises(Exception, match="not found"):
        stage_of(runs[gone])
    assert not files[0].exists()
    assert [version.digest for version in registry.registered_versions("sea")] == [fresh, back]
    place = registry.fetch_model("models:/stylereel.film.sea@promoted", film.root / "fetched")
    assert read_model_digest(place) == back


def test_the_trash_of_a_shared_store_is_left_to_its_owner(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = film.root.parent / "shared.db"
    (film.root / "mlflow.db").rename(shared)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{shared}")
    run = experiment_run(200)
    found = plan(film.root, older_than_days=90, now_s=NOW_S)
    assert "mlflow gc --older-than 30d" in carry_out(found, film.root)
    assert stage_of(run) == "deleted"


def test_nothing_is_done_without_a_store(film: Film) -> None:
    (film.root / "mlflow.db").unlink()
    found = plan(film.root, older_than_days=90, now_s=NOW_S)
    assert found == mlflow_runs.Plan()
    assert carry_out(found, film.root) == ""
    assert not (film.root / "mlflow.db").exists(), "connecting would create it"
