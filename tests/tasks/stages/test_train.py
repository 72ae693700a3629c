"""The stage train on two tiny shots: what is trained, what is taken from the cache, and what is written where."""

import json
import os
import signal
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from flows.runners.local_runner import LocalRunner
from flows.train import train_flow
from stylegan_core.config import parse_params
from stylegan_core.data.manifest import Box, ManifestRow, as_manifest, read_manifest, write_manifest
from stylegan_core.data.store import StoreWriter
from stylegan_core.recipes import keyframe
from stylegan_core.recipes.adversary import AdversarialConfig, Adversary
from stylegan_core.recipes.model import load_model, load_networks, read_card
from stylegan_core.training.hardware import Machine
from stylegan_core.training.observer import Observers
from stylegan_core.training.persistence.run_folder import RunNotes
from tasks.shared.errors import StoppedError, UsageError
from tasks.stages import train as stage
from tasks.stages import training_observers as observers
from tasks.stages.train import mark_finished, train_model
from tasks.stages.training_plan import plan_trainings

TINY = {"channels": 4, "blocks": 1, "discriminator_channels": 4, "crop_px": 32, "batch_size": 2, "budget_steps": 6}
COMMON = {"accelerator": "cpu", "precision": "fp32", "log_every_steps": 2, "validate_every_steps": 4}


def settings(shots=("sea", "hill"), common=None, overrides=None, **config):
    listed = [
        {"name": n, "plates": f"{n}/plates", "painted": f"{n}/painted", "train": (overrides or {}).get(n, {})}
        for n in shots
    ]
    train = {"recipe": "keyframe", "common": COMMON | (common or {}), "keyframe": TINY | config}
    return parse_params({"prepare": {"source": "shots"}, "shots": listed, "train": train})


def write_prepared(folder, shots=("sea", "hill"), frames=2, extra_test_row=False):
    """Pairs of noise and its negative, with a corner held out."""
    rows = []
    with StoreWriter(folder / "store", "srgb", "uint8", "digest of a config") as writer:
        for shot in shots:
            for frame in range(1, frames + 1):
                rng = np.random.default_rng([len(shot), frame])
                plate = rng.random((64, 64, 3), np.float32)
                for domain, pixels in (("content", plate), ("style", 1 - plate)):
                    rows.append(
                        ManifestRow(
                            f"{shot}/{domain}/{frame}.png",
                            domain=domain,
                            shot=shot,
                            frame=frame,
                            pair=f"{shot}/{frame}",
                            split="train",
                            held_out=Box(40, 40, 24, 24) if domain == "style" else None,
                            width_px=64,
                            height_px=64,
                            sample=writer.add(pixels),
                        )
                    )
    if extra_test_row:
        rows.append(ManifestRow("t.png", domain="truth", shot="sea", frame=9, split="test"))
    write_manifest(as_manifest(rows), folder / "manifest.csv")


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_prepared(tmp_path / "prepared")
    return tmp_path


class Watching:
    """Counts the steps that were really taken."""

    def __init__(self):
        self.started = {}

    @contextmanager
    def __call__(self, job):
        outer = self

        class Observer:
            def start(self, total_steps, resumed_from, machine):
                outer.started[job.training.name] = resumed_from

        yield Observers([Observer()])


def run(project, params, prepared="prepared"):
    """The stage without its tracker; returns from which step each training began."""
    watching = Watching()
    plan = plan_trainings(params, project / prepared)
    for job in plan.jobs:
        train_model(job, project / prepared, project / "models", project / "reports", watching)
    mark_finished(plan, project / "models", project / "reports")
    return watching.started


def content(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_models_and_curves_are_written_and_a_second_machine_writes_the_same(project, monkeypatch):
    assert run(project, settings()) == {"sea": 0, "hill": 0}
    first = content(project / "models") | content(project / "reports")
    names = {"model.json", "last.safetensors", "best.safetensors", "networks.safetensors", "curves.csv"}
    assert set(content(project / "models")) == {f"{shot}/{name}" for shot in ("sea", "hill") for name in names}
    assert set(content(project / "reports")) == {"sea.csv", "hill.csv"}
    model = load_model(project / "models" / "sea")
    assert (model.card.steps, model.card.images_seen, model.card.shots) == (6, 12, ["sea"])
    assert (model.card.working_space, model.card.stopped_by, model.card.init_from) == ("srgb", "budget", None)
    assert model.card.ocio == "digest of a config"
    assert set(model.card.validation) == {"last", "best"}
    assert "psnr_db" in model.card.validation["last"]
    curves = pd.read_csv(project / "reports" / "sea.csv")
    assert curves["step"].tolist() == [2, 4, 6]
    assert curves["loss/generator/l1"].notna().all()
    assert curves["validation/psnr_db"].notna().tolist() == [False, True, True]
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(project / "another cache"))
    run(project, settings())
    assert content(project / "models") | content(project / "reports") == first


def test_forced_again_it_trains_afresh_to_the_same_bytes(project):
    run(project, settings(("sea",)))
    first = content(project / "models")
    assert run(project, settings(("sea",))) == {"sea": 0}
    assert content(project / "models") == first


def test_a_new_shot_leaves_the_others_in_the_cache(project):
    write_prepared(project / "one", shots=("sea",))
    run(project, settings(("sea",)), "one")
    first = content(project / "models" / "sea")
    assert run(project, settings()) == {"sea": 6, "hill": 0}
    assert content(project / "models" / "sea") == first
    assert run(project, settings(("sea",)), "one") == {"sea": 6}  # and one that left is gone
    assert [p.name for p in (project / "models").iterdir()] == ["sea"]
    assert [p.name for p in (project / "reports").iterdir()] == ["sea.csv"]


def test_prepared_data_that_changed_elsewhere_train_nothing(project):
    run(project, settings())
    first = content(project / "models")
    write_prepared(project / "more", extra_test_row=True)
    assert run(project, settings(), "more") == {"sea": 6, "hill": 6}
    assert content(project / "models") == first


def test_a_larger_budget_continues_and_a_smaller_one_starts_afresh(project):
    run(project, settings(("sea",), budget_steps=9))
    at_once = content(project / "models")
    assert run(project, settings(("sea",))) == {"sea": 0}
    short = content(project / "models")
    assert run(project, settings(("sea",), budget_steps=9)) == {"sea": 6}
    assert content(project / "models") == at_once != short


def test_a_budget_in_images_is_kept_like_one_in_steps(project):
    run(project, settings(("sea",)))
    assert run(project, settings(("sea",), budget_images=18)) == {"sea": 6}  # 9 steps of 2: it continues
    assert read_card(project / "models" / "sea").steps == 9
    assert run(project, settings(("sea",), budget_images=8)) == {"sea": 0}
    assert read_card(project / "models" / "sea").steps == 4


def test_other_settings_and_other_data_are_other_runs(project):
    run(project, settings(("sea",)))
    assert run(project, settings(("sea",), generator_lr=1e-3)) == {"sea": 0}
    write_prepared(project / "frames", frames=3)
    assert run(project, settings(("sea",)), "frames") == {"sea": 0}
    assert run(project, settings(("sea",), {"weights": "best"})) == {"sea": 6}  # chosen of what is there
    assert read_card(project / "models" / "sea").chosen == "best"


def test_an_override_concerns_its_shot(project):
    run(project, settings(overrides={"hill": {"keyframe": {"budget_steps": 3}}}))
    assert [read_card(project / "models" / shot).steps for shot in ("sea", "hill")] == [6, 3]


def test_killed_in_the_second_training_it_goes_on_there(project, monkeypatch):
    run(project, settings(common={"seed": 1}))
    whole = content(project / "models")
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(project / "another cache"))
    plan = plan_trainings(settings(common={"seed": 1}), project / "prepared")
    train_model(plan.jobs[0], project / "prepared", project / "models", project / "reports")
    # Killed here: nothing is marked, and DVC empties the outputs.
    for path in sorted((project / "models").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    assert run(project, settings(common={"seed": 1})) == {"sea": 6, "hill": 0}
    assert content(project / "models") == whole


def test_continues_from_an_earlier_model_with_new_data(project):
    run(project, settings(("sea",)))
    old = read_card(project / "models" / "sea")
    networks = load_networks(project / "models" / "sea")
    write_prepared(project / "frames", frames=3)
    for path in (project / "models" / "sea").iterdir():
        path.unlink()  # as DVC does
    params = settings(("sea",), {"init_from": old.digest[:12]}, generator_lr=1e-9, discriminator_lr=1e-9)
    assert run(project, params, "frames") == {"sea": 0}
    assert read_card(project / "models" / "sea").init_from == old.digest
    for key, tensor in load_networks(project / "models" / "sea").items():
        if tensor.is_floating_point() and "generator" in key:
            np.testing.assert_allclose(tensor, networks[key], atol=1e-6)
    with pytest.raises(UsageError, match="neither a model folder nor the digest"):
        plan_trainings(settings(("sea",), {"init_from": "models/sea-of-old"}), project / "prepared")


def test_a_model_of_another_recipe_is_refused(project):
    run(project, settings(("sea",)))
    params = settings(("sea",), {"init_from": str(project / "models" / "sea")})
    section = {**params.train_section, "recipe": "cut"}
    with pytest.raises(UsageError, match="keyframe model"):
        plan_trainings(params.model_copy(update={"train_section": section}), project / "prepared")


def test_a_model_of_another_size_is_a_wrong_setting(project):
    run(project, settings(("sea",)))
    plan = plan_trainings(
        settings(("sea",), {"init_from": str(project / "models" / "sea")}, channels=8), project / "prepared"
    )
    with pytest.raises(UsageError, match=r"sea: the model in train.common.init_from is of another size"):
        train_model(plan.jobs[0], project / "prepared", project / "models", project / "reports")


def test_a_recipe_gets_what_it_needs_with_its_settings_and_knows_the_size_of_the_set(project, monkeypatch):
    path = project / "prepared" / "manifest.csv"
    write_manifest(tuple(replace(r, labels="first=1" if r.frame == 1 else "") for r in read_manifest(path)), path)
    seen = []

    class Recipe(keyframe.Recipe):
        def __init__(self, config):
            super().__init__(config)
            self.adversary = Adversary(AdversarialConfig())

        @classmethod
        def needs_with(cls, config):
            assert config.crop_px == 32
            return replace(cls.needs, labels=("first",), known_fraction=0.5, zoom_min=0.5)

        def generator_losses(self, batch, step):
            seen.append((self.adversary.dataset_size, set(batch.labels.flatten().tolist())))
            assert batch.known_content.shape == batch.known_style.shape == (2, 3, 32, 32)
            return super().generator_losses(batch, step)

    monkeypatch.setattr(keyframe, "Recipe", Recipe)
    run(project, settings(("sea",)))
    assert {count for count, _ in seen} == {4}  # two frames, before and after
    assert set.union(*(labels for _, labels in seen)) == {0.0, 1.0}


def test_changed_labels_are_new_data(project):
    before = plan_trainings(settings(), project / "prepared").jobs[0]
    path = project / "prepared" / "manifest.csv"
    write_manifest(tuple(replace(row, labels="dark=1") for row in read_manifest(path)), path)
    assert plan_trainings(settings(), project / "prepared").jobs[0].folder.key != before.folder.key


def test_interrupted_is_stopped_and_goes_on(project):
    plan = plan_trainings(settings(("sea",)), project / "prepared")

    class Interrupt(Watching):
        @contextmanager
        def __call__(self, job):
            class Observer:
                def start(self, total_steps, resumed_from, machine):
                    os.kill(os.getpid(), signal.SIGTERM)

            yield Observers([Observer()])

    with pytest.raises(StoppedError, match="training of sea stopped by SIGTERM after step 1 of 6"):
        train_model(plan.jobs[0], project / "prepared", project / "models", project / "reports", Interrupt())
    assert not (project / "models").exists()
    assert run(project, settings(("sea",))) == {"sea": 1}


def test_a_run_that_a_limit_stopped_goes_on_when_the_limit_is_lifted(project):
    run(project, settings(("sea",), {"limit_minutes": 1e-9}))
    assert read_card(project / "models" / "sea").stopped_by == "limit_minutes"
    assert run(project, settings(("sea",))) == {"sea": 1}
    assert read_card(project / "models" / "sea").stopped_by == "budget"


def test_nothing_held_out_trains_without_validation(project, caplog):
    manifest = pd.read_csv(project / "prepared" / "manifest.csv", dtype=str, keep_default_na=False)
    manifest["held_out"] = ""
    manifest.to_csv(project / "prepared" / "manifest.csv", index=False)
    run(project, settings(("sea",)))
    card = read_card(project / "models" / "sea")
    assert card.weights["last"].sha256 == card.weights["best"].sha256


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
    params = settings(("sea",))
    cards = train_flow(LocalRunner(), params, project / "prepared", project / "models", project / "reports" / "train")
    run_id = "run of sea"
    assert calls == [
        ("start", "sea", 6, None),
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
