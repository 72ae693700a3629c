"""Training that starts from an earlier model: ``train.common.init_from``."""

import numpy as np
import pytest

from stylegan_core.recipes.model import load_networks, read_card
from tasks.shared.errors import UsageError
from tasks.stages.train import train_model
from tasks.stages.training_plan import plan_trainings
from tests.tasks.shot_trainings import run, settings, write_prepared


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


def test_a_network_that_changes_with_a_new_setting_is_announced(project, caplog):
    run(project, settings(("sea",), anti_aliased=False))
    params = settings(("sea",), {"init_from": str(project / "models" / "sea")})
    with caplog.at_level("WARNING"):
        plan_trainings(params, project / "prepared")
    assert "set train.keyframe.anti_aliased to false" in caplog.text
    caplog.clear()
    params = settings(("sea",), {"init_from": str(project / "models" / "sea")}, anti_aliased=False)
    with caplog.at_level("WARNING"):
        plan_trainings(params, project / "prepared")
    assert not caplog.text
