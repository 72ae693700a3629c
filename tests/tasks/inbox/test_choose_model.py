"""The names of models that a folder of an inbox may have."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tasks.inbox import choose_model as module
from tasks.inbox.choose_model import choose_model
from tasks.shared.errors import UsageError


@pytest.fixture
def models(tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "models"
    for age, name in enumerate(("oil", "wash")):
        shutil.copytree(tiny_model_folder, folder / name)
        os.utime(folder / name / "model.json", (10**9 + age, 10**9 + age))
    return folder


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """The promoted models; the registry gives a folder called like the URI."""
    promoted: dict[str, str] = {}
    monkeypatch.setattr(module, "promoted_models", lambda: promoted)
    located = module.locate_model
    monkeypatch.setattr(
        module, "locate_model", lambda given, models: located(given, models) if given is None else Path(str(given))
    )
    return promoted


def test_a_model_of_the_project_and_the_last_trained(models: Path, registry: dict[str, str]) -> None:
    assert choose_model("oil", models) == models / "oil"
    assert choose_model("last", models) == models / "wash"


def test_a_registered_model_by_the_last_part_of_its_name(models: Path, registry: dict[str, str]) -> None:
    registry["all"] = "models:/stylereel.film.all@promoted"
    registry["oil"] = "models:/stylereel.film.oil@promoted"
    assert choose_model("all", models) == Path(registry["all"])
    assert choose_model("oil", models) == models / "oil"
    assert choose_model("oil@promoted", models) == Path(registry["oil"])


def test_promoted_must_be_one(models: Path, registry: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"names no model: rename it to one of last, oil, wash$"):
        choose_model("promoted", models)
    registry["all"] = "models:/stylereel.film.all@promoted"
    assert choose_model("promoted", models) == Path(registry["all"])
    registry["oil"] = "models:/stylereel.film.oil@promoted"
    with pytest.raises(UsageError, match="several are promoted, so rename the folder to one of all, oil"):
        choose_model("promoted", models)


def test_an_unknown_name_lists_the_known(models: Path, registry: dict[str, str]) -> None:
    registry["all"] = "models:/stylereel.film.all@promoted"
    with pytest.raises(UsageError, match="names no model: rename it to one of last, oil, wash, promoted, all"):
        choose_model("pastel", models)


def test_nothing_outside_of_the_project_is_a_model(models: Path, registry: dict[str, str], tmp_path: Path) -> None:
    """A folder of the working folder that holds a model is one for ``stylize --model``, but not here."""
    shutil.copytree(models / "oil", tmp_path / "pastel")
    with pytest.raises(UsageError, match="names no model"):
        choose_model("pastel", models)


def test_no_model_at_all(tmp_path: Path, registry: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="cannot be matched with a model: there is no model in"):
        choose_model("last", tmp_path / "models")
