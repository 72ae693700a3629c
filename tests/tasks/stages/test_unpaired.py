"""Unpaired recipes through the stages prepare and train, on as little as one picture a side."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylegan_core.config import Params, parse_params
from stylegan_core.inference.network.translate import translate_unit
from stylegan_core.recipes.model import load_model
from stylegan_core.training.observer import Observers
from tasks.shared.errors import StoppedError
from tasks.stages.prepare import prepare
from tasks.stages.train import train_model
from tasks.stages.training_plan import plan_trainings

TINY = {
    "crop_px": 32,
    "batch_size": 2,
    "channels": 4,
    "blocks": 1,
    "discriminator_channels": 4,
    "discriminator_layers": 1,
    "budget_steps": 4,
}
UNPAIRED = TINY | {"projected_channels": 8}
CUT = TINY | {"nce_patches": 16, "projection_width": 8}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_pictures(folder: Path, noise_picture: Any, count: int, inverted: bool = False) -> None:
    folder.mkdir()
    for index in range(count):
        pixels = noise_picture(index, 96, 80)
        Image.fromarray(255 - pixels if inverted else pixels).save(folder / f"{index}.png")


def params(source: str, recipe: str, config: dict[str, Any]) -> Params:
    common = {"accelerator": "cpu", "precision": "fp32", "validate_every_steps": 100, "log_every_steps": 4}
    section = {"source": source, "content": "content", "style": "style"}
    return parse_params({"prepare": section, "train": {"recipe": recipe, "common": common, recipe: config}})


def test_single_image_trains_on_one_picture_a_side_and_translates_it(project: Path, noise_picture: Any) -> None:
    write_pictures(project / "content", noise_picture, 1)
    write_pictures(project / "style", noise_picture, 1, inverted=True)
    settings = params("folders", "cut", CUT | {"single_image": True})
    prepare(settings, project / "prepared")
    (job,) = plan_trainings(settings, project / "prepared").jobs
    card = train_model(job, project / "prepared", project / "models", project / "curves")
    assert card is not None
    assert card.steps == 4
    assert card.config["r1_gamma"] == 1.0
    curves = (project / "curves" / "all.csv").read_text().splitlines()[0]
    assert "identity" in curves
    assert "discriminator_r1" in curves
    picture = noise_picture(0, 96, 80).astype(np.float32) / 255
    made = translate_unit(load_model(project / "models" / "all"), picture)
    assert made.shape == picture.shape
    assert np.isfinite(made).all()


@pytest.mark.parametrize(("recipe", "config"), [("cut", CUT), ("cyclegan", TINY)])
def test_known_pairs_reach_the_objective(
    project: Path, noise_picture: Any, recipe: str, config: dict[str, Any]
) -> None:
    write_pictures(project / "content", noise_picture, 6)
    write_pictures(project / "style", noise_picture, 6, inverted=True)
    settings = params("pairs", recipe, config | {"known_fraction": 0.3})
    prepare(settings, project / "prepared")
    (job,) = plan_trainings(settings, project / "prepared").jobs
    train_model(job, project / "prepared", project / "models", project / "curves")
    curves = (project / "curves" / "all.csv").read_text().splitlines()
    assert "loss/generator/supervised" in curves[0]


class Stops:
    """An observer that asks for a stop, which comes after the first step."""

    def start(self, total_steps: int, resumed_from: int, machine: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def stopping(job: Any) -> Iterator[Observers]:
    yield Observers([Stops()])


@pytest.mark.parametrize(("recipe", "config"), [("cyclegan", TINY | {"replay_pictures": 2}), ("unpaired", UNPAIRED)])
def test_a_stopped_training_goes_on_to_the_same_bytes(
    project: Path, noise_picture: Any, monkeypatch: pytest.MonkeyPatch, recipe: str, config: dict[str, Any]
) -> None:
    """Pools, full after the first step, and augmentation's random numbers are part of what is resumed."""
    write_pictures(project / "content", noise_picture, 4)
    write_pictures(project / "style", noise_picture, 4, inverted=True)
    settings = params("folders", recipe, config | {"budget_steps": 8})
    prepare(settings, project / "prepared")
    places = (project / "prepared", project / "models", project / "curves")
    weights = []
    for is_stopped in (False, True):
        monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(project / f"cache_{is_stopped}"))
        (job,) = plan_trainings(settings, project / "prepared").jobs
        if is_stopped:
            with pytest.raises(StoppedError, match="after step 1 of 8"):
                train_model(job, *places, stopping)
        card = train_model(job, *places)
        assert card is not None
        assert card.steps == 8
        weights.append(card.networks.sha256)
    assert weights[0] == weights[1]
