import logging
import os

import pytest

from stylegan_core.inference.job.spec import PlanError
from stylegan_core.inference.planning.find_model import find_model
from stylegan_core.storage.model_folder import MODEL_CARD


@pytest.fixture
def models(tmp_path):
    """Three models; hill was trained last."""
    for name, trained_s in {"all": 1000, "hill": 3000, "sea": 2000}.items():
        card = tmp_path / name / MODEL_CARD
        card.parent.mkdir()
        card.write_text("{}")
        os.utime(card, (trained_s, trained_s))
    return tmp_path


def test_the_default_is_the_last_trained_and_is_named(models, caplog):
    with caplog.at_level(logging.INFO, "stylegan_core"):
        assert find_model(None, models) == models / "hill"
    assert "hill" in caplog.text


def test_a_name_and_a_folder_are_found(models, tmp_path):
    assert find_model("sea", models) == models / "sea"
    assert find_model(models / "all", tmp_path / "elsewhere") == models / "all"


def test_an_unknown_name_lists_the_known(models):
    with pytest.raises(PlanError, match="hill, sea, all"):
        find_model("harbour", models)


def test_without_a_model_it_says_what_to_do(tmp_path):
    with pytest.raises(PlanError, match=r"there is no model in .*--model"):
        find_model(None, tmp_path / "models")
