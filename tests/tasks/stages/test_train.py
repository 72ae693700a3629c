"""The stage train on two tiny shots: what is trained, what is taken from the cache, and what is written where."""

import os
import signal
from contextlib import contextmanager
from dataclasses import replace

import pandas as pd
import pytest

from stylegan_core.data.manifest import read_manifest, write_manifest
from stylegan_core.recipes import keyframe
from stylegan_core.recipes.adversary import AdversarialConfig, Adversary
from stylegan_core.recipes.model import load_model, read_card
from stylegan_core.training.observer import Observers
from tasks.shared.errors import StoppedError
from tasks.stages.train import train_model
from tasks.stages.training_plan import plan_trainings
from tests.tasks.shot_trainings import Watching, content, run, settings, write_prepared


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
